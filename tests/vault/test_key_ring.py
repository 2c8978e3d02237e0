"""The ring of keys on a real PostgreSQL: made once, opened by its secret, rotated while in use."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import psycopg
import pytest

from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import RegisterUser
from rim_ledger.postgres.migrations import migrate
from rim_ledger.vault import rotation
from rim_ledger.vault.key_ring import (
    Purpose,
    Ring,
    UnknownKey,
    WrongSecret,
    begin_event_macs,
    derived,
    open_ring,
)
from rim_ledger.vault.personal_keys import Vault
from rim_ledger.vault.rotation import RotationInProgress, rotate

WORLD = SystemEnvironment()
INSERT = "INSERT INTO ledger.key_ring (purpose, id, wrapped) VALUES ('event', 9, '')"
OLD, NEW = b"the master secret of the beginning", b"the master secret that comes after it"
PLAIN = "$argon2id$ of nobody"


def _rows(url: str, query: Any, *values: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as connection:
        cursor = connection.execute(query, values)
        return cursor.fetchall() if cursor.description else []


def _vault(url: str, *secrets: bytes) -> Vault:
    return Vault(open_ring(url, secrets or [OLD], WORLD), WORLD)


def _persons(url: str, vault: Vault, count: int) -> dict[UUID, str]:
    """Persons with a key each, and what their fingerprints are; a sealed secret for each besides,
    and a hash."""
    people = {WORLD.new_id(): f"person {number}" for number in range(count)}
    with psycopg.connect(url, autocommit=True) as connection:
        for person, words in people.items():
            wrapped = vault.make_key(person)[1]
            connection.execute(
                "INSERT INTO ledger.personal_keys VALUES (%s, %s)", [person, wrapped]
            )
            sealed = vault.wrap_secret(person, "apiKey", words)
            for purpose, secret in [("apiKey", sealed), ("password", PLAIN)]:
                values = [person, purpose, secret]
                connection.execute("INSERT INTO ledger.secrets VALUES (%s, %s, %s)", values)
    return {person: vault.fingerprint("phone", words) for person, words in people.items()}


def _check(url: str, vault: Vault, people: dict[UUID, str]) -> None:
    """Everything can be read, and is found by the same fingerprint."""
    keys = dict(_rows(url, "SELECT person, wrapped FROM ledger.personal_keys"))
    sealed = dict(_rows(url, "SELECT owner, secret FROM ledger.secrets WHERE purpose = 'apiKey'"))
    assert keys.keys() == sealed.keys() == people.keys()
    for person, print_ in people.items():
        assert vault.unwrap(person, keys[person])
        words = vault.unwrap_secret(person, "apiKey", sealed[person])
        assert vault.fingerprint("phone", words) == print_
    hashes = _rows(url, "SELECT DISTINCT secret FROM ledger.secrets WHERE purpose = 'password'")
    assert hashes == [(PLAIN,)], "what is no sealed secret stays as it is"


def _numbers(url: str) -> set[tuple[int, int]]:
    """The numbers of the keys that persons' keys and secrets are wrapped under."""
    query = (
        "SELECT DISTINCT get_byte(wrapped, 3), split_part(substr(secret, 2), '.', 1)::int"
        " FROM ledger.personal_keys JOIN ledger.secrets ON owner = person WHERE purpose = 'apiKey'"
    )
    return set(_rows(url, query))  # type: ignore[arg-type]


def _silent(done: int, total: int) -> None:
    pass


def test_whoever_comes_first_makes_the_ring_and_all_others_use_it(database: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        rings = list(pool.map(lambda _: open_ring(database, [OLD], WORLD), range(8)))
    for purpose in Purpose:
        assert len({ring.key(purpose, 1) for ring in rings}) == 1
    keys = {rings[0].key(purpose, 1) for purpose in Purpose}
    assert len(keys) == len(Purpose), "each purpose has a key of its own"
    assert rings[0].key(Purpose.CURSOR, 1) != derived(OLD).key(Purpose.CURSOR, 1), "made at random"
    stored = b"".join(
        wrapped for (wrapped,) in _rows(database, "SELECT wrapped FROM ledger.key_ring")
    )
    assert not any(key in stored for key in keys)


def test_another_secret_does_not_open_the_ring_and_leaves_it_alone(database: str) -> None:
    open_ring(database, [OLD], WORLD)
    before = _rows(database, "SELECT * FROM ledger.key_ring ORDER BY purpose")
    with pytest.raises(WrongSecret, match=r"RIM_SECRET_KEY .* is not the secret"):
        open_ring(database, [NEW], WORLD)
    assert _rows(database, "SELECT * FROM ledger.key_ring ORDER BY purpose") == before


@pytest.mark.parametrize(
    "change", ["UPDATE ledger.key_ring SET id = 2", "DELETE FROM ledger.key_ring", INSERT]
)
def test_the_service_reads_the_ring_and_does_not_change_it(database: str, change: str) -> None:
    open_ring(database, [OLD], WORLD)
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("SET ROLE rim_service")
        assert connection.execute("SELECT FROM ledger.key_ring").fetchone() is not None
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute(change.encode())


async def test_a_ledger_from_before_the_ring_goes_on_with_the_keys_it_was_written_with(
    database: str,
) -> None:
    """Its rows carry no number of a key; its keys follow from the master secret."""

    async def register(vault: Vault, number: int) -> UUID:
        async with Ledger(database, ENTITY_OF, vault, WORLD) as ledger:
            form = {"phone": f"0803123456{number}", "email": f"a{number}@example.com", "name": "A"}
            command, stamp = RegisterUser(**form), Stamp(at=WORLD.now(), actor=SYSTEM)
            return (await ledger.execute(User, None, command, stamp)).id

    first = derived(OLD)
    person = await register(Vault(first, WORLD), 1)
    people = _persons(database, Vault(first, WORLD), 2)
    _rows(database, "UPDATE ledger.personal_keys SET wrapped = substr(wrapped, 5)")
    _rows(database, "UPDATE ledger.secrets SET secret = substr(secret, 4) WHERE secret LIKE '~%%'")
    _rows(database, "DROP TABLE ledger.key_ring")
    _rows(database, "DELETE FROM public.migrations WHERE name = '0006_key_ring.sql'")
    assert migrate(database) == ["0006_key_ring.sql"]
    with pytest.raises(WrongSecret):
        open_ring(database, [NEW], WORLD)
    vault = _vault(database, NEW, OLD)  # Both are tried: the change of the secret may be under way.
    assert vault.fingerprint("phone", "x") == Vault(first, WORLD).fingerprint("phone", "x")
    (kept,) = _rows(database, "SELECT wrapped FROM ledger.personal_keys WHERE person = %s", person)
    assert vault.unwrap(person, kept[0])
    _rows(database, "DELETE FROM ledger.personal_keys WHERE person = %s", person)
    _check(database, vault, people)
    assert begin_event_macs(database, [NEW, OLD], WORLD)
    await register(_vault(database, NEW, OLD), 2)


def test_a_rotation_wraps_everything_anew_under_new_keys(database: str) -> None:
    people = _persons(database, _vault(database), 7)
    told: list[tuple[int, int]] = []
    rotated = rotate(database, [OLD], WORLD, lambda done, total: told.append((done, total)))
    assert (rotated.wrapped, rotated.resumed) == (14, False)
    assert told == [(7, 14), (14, 14)]
    assert _numbers(database) == {(2, 2)}
    _check(database, _vault(database), people)
    assert rotate(database, [OLD], WORLD, _silent).wrapped == 14, (
        "each rotation has keys of its own"
    )
    assert _numbers(database) == {(3, 3)}


def test_a_process_that_runs_reads_what_was_wrapped_before_and_after(database: str) -> None:
    running = _vault(database)
    people = _persons(database, running, 3)
    rotate(database, [OLD], WORLD, _silent)
    _check(database, running, people)
    more = _persons(database, running, 1)
    assert _numbers(database) == {(2, 2)}, "and wraps under the new key from then on"
    _check(database, _vault(database), people | more)


def test_the_master_secret_is_changed_while_processes_know_both(database: str) -> None:
    early, running = _vault(database, OLD), _vault(database, NEW, OLD)
    people = _persons(database, running, 3)
    rotate(database, [NEW, OLD], WORLD, _silent)
    _check(database, running, people)
    _check(database, _vault(database, NEW), people)
    with pytest.raises(WrongSecret):
        _vault(database, OLD)
    with pytest.raises(UnknownKey, match="started anew"):
        _check(database, early, people)


def test_what_is_interrupted_is_readable_and_goes_on_from_there(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "BATCH", 2)
    people = _persons(database, _vault(database), 4)

    def interrupt(done: int, total: int) -> None:
        if done == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rotate(database, [NEW, OLD], WORLD, interrupt)
    assert _numbers(database) == {(2, 1), (2, 2)}
    _check(database, _vault(database, NEW), people)
    told: list[tuple[int, int]] = []
    rest = rotate(database, [NEW], WORLD, lambda done, total: told.append((done, total)))
    assert (rest.wrapped, rest.resumed, told) == (2, True, [(2, 2)])
    assert _numbers(database) == {(2, 2)}
    _check(database, _vault(database, NEW), people)


def test_whoever_is_erased_during_a_rotation_stays_erased(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    people = _persons(database, _vault(database), 3)
    gone, rewrapped = next(iter(people)), Vault.rewrapped
    query = "UPDATE ledger.personal_keys SET wrapped = NULL, erased_at = now() WHERE person = %s"

    def meanwhile(vault: Vault, person: UUID, wrapped: bytes) -> bytes:
        _rows(database, query, gone)
        return rewrapped(vault, person, wrapped)

    monkeypatch.setattr(Vault, "rewrapped", meanwhile)
    rotate(database, [OLD], WORLD, _silent)
    kept = dict(_rows(database, "SELECT person, wrapped FROM ledger.personal_keys"))
    assert [person for person, wrapped in kept.items() if wrapped is None] == [gone]


def test_only_one_rotation_goes_on_at_a_time(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rotation, "LINGERING", 10)
    open_ring(database, [OLD], WORLD)

    def second(done: int, total: int) -> None:
        with pytest.raises(RotationInProgress):
            rotate(database, [OLD], WORLD, _silent)
        others.append(done)

    others: list[int] = []
    _persons(database, _vault(database), 1)
    rotate(database, [OLD], WORLD, second)
    assert others == [1, 2]


def test_a_key_that_is_nowhere_is_no_reason_to_guess() -> None:
    with pytest.raises(UnknownKey):
        Ring({}).key(Purpose.PERSONAL, 1)

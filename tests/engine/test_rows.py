"""A row beside the log that does not follow from it is never decided on."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import psycopg
import pytest

from rim_ledger.engine.adopted_secrets import AdoptedSecrets, NamesAdopted, SecretsAdopted, adopt
from rim_ledger.engine.aggregate import Aggregate, Event
from rim_ledger.engine.event_mac import Forged, RowForged
from rim_ledger.engine.idempotency import Idempotency, Receipt
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import UnitOfWork, Work
from tests.engine.test_ledger import VAULT, WORLD, a_ledger, on_ledger, rows
from tests.sample import (
    EMPTY,
    JARS,
    STAMP,
    CoinAdded,
    Jar,
    add_coin,
    erase_owner,
    open_jar,
)

T = TypeVar("T")
TREE = Path(__file__).parents[2]


def tamper(url: str, *statements: str) -> None:
    """What somebody does who owns the database."""
    with psycopg.connect(url) as connection:
        for statement in statements:
            assert connection.execute(statement.encode()).rowcount == 1, statement


def keep(jar: UUID, text: str, *, sealed: bool = False) -> Work:
    def work(uow: UnitOfWork) -> UUID:
        (uow.keep_sealed if sealed else uow.keep_secret)(jar, "password", text)
        uow.append(Jar, jar, [CoinAdded()])
        return jar

    return work


def tell(jar: UUID, told: list[str | None], *, sealed: bool = False) -> Work:
    def work(uow: UnitOfWork) -> UUID:
        told.append((uow.unsealed if sealed else uow.secret)(jar, "password"))
        uow.read(Jar, jar)
        return jar

    return work


def find(kind: str, name: str, found: list[UUID | None], at: UUID) -> Work:
    def work(uow: UnitOfWork) -> UUID:
        found.append(uow.holder(kind, name))
        return at

    return work


def label(jar: UUID, name: str) -> Work:
    def work(uow: UnitOfWork) -> UUID:
        uow.claim("label", name, jar, Refused("label-taken", f"{name} is taken"))
        uow.append(Jar, jar, [CoinAdded()])
        return jar

    return work


def unlabel(jar: UUID, name: str) -> Work:
    def work(uow: UnitOfWork) -> UUID:
        uow.release("label", name)
        uow.append(Jar, jar, [CoinAdded()])
        return jar

    return work


async def did(url: str, *works: Work) -> None:
    for work in works:
        await on_ledger(url, lambda ledger, work=work: ledger.submit(work, STAMP))


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger.secrets SET secret = 'own' WHERE owner = '{}'",
        "UPDATE ledger.secrets SET secret = '~1.AAAA' WHERE owner = '{}'",
        "UPDATE ledger.secrets SET secret = '~x' WHERE owner = '{}'",
        "DELETE FROM ledger.secrets WHERE owner = '{}'",
        (
            "UPDATE ledger.secrets s SET secret = o.secret FROM ledger.secrets o"
            " WHERE s.owner = '{}' AND o.owner <> s.owner"
        ),
    ],
)
async def test_a_secret_that_no_event_made_is_refused(
    database: str, change: str, sealed: bool
) -> None:
    jar, other = WORLD.new_id(), WORLD.new_id()
    await did(database, open_jar(jar), keep(jar, "hash", sealed=sealed))
    await did(database, open_jar(other), keep(other, "another hash", sealed=sealed))
    told = list[str | None]()
    await did(database, tell(jar, told, sealed=sealed))
    assert set(told) == {"hash"}
    tamper(database, change.format(jar))
    with pytest.raises(RowForged, match=rf"ledger.secrets for {jar} does not follow"):
        await did(database, tell(jar, told, sealed=sealed))
    assert set(told) == {"hash"}


async def test_a_former_secret_that_is_put_back_is_refused(database: str) -> None:
    jar = WORLD.new_id()
    await did(database, open_jar(jar), keep(jar, "first"))
    ((former,),) = rows(database, "SELECT secret FROM ledger.secrets")
    await did(database, keep(jar, "second"))
    tamper(database, f"UPDATE ledger.secrets SET secret = '{former}'")
    with pytest.raises(RowForged):
        await did(database, tell(jar, []))


async def test_a_secret_of_somebody_who_never_had_one_is_refused(database: str) -> None:
    jar = WORLD.new_id()
    await did(database, open_jar(jar))
    tamper(database, f"INSERT INTO ledger.secrets VALUES ('{jar}', 'password', 'own')")
    with pytest.raises(RowForged):
        await did(database, tell(jar, []))


@pytest.mark.parametrize("kind", ["business-id", "label", EMPTY])
async def test_a_name_that_is_said_to_be_anothers_is_refused(database: str, kind: str) -> None:
    jar, victim = WORLD.new_id(), WORLD.new_id()
    await did(database, open_jar(jar, label="mine"), open_jar(victim, label="theirs"))
    tamper(database, f"INSERT INTO ledger.claims VALUES ('{kind}', 'new', '{victim}')")
    with pytest.raises(RowForged, match=rf"ledger.claims for {victim} does not follow"):
        await did(database, find(kind, "new", [], jar))
    found = list[UUID | None]()
    await did(database, find("label", "theirs", found, jar))
    assert found[-1] == victim
    tamper(
        database,
        f"UPDATE ledger.claims SET stream_id = '{jar}' WHERE (kind, name) = ('label', 'theirs')",
    )
    with pytest.raises(RowForged):
        await did(database, find("label", "theirs", [], jar))


async def test_a_jar_that_is_put_on_a_list_is_refused(database: str) -> None:
    jar, other = WORLD.new_id(), WORLD.new_id()
    await did(database, open_jar(jar), add_coin(jar), open_jar(other))
    tamper(database, f"INSERT INTO ledger.claims VALUES ('{EMPTY}', '0', '{jar}')")

    def first(uow: UnitOfWork) -> UUID:
        return uow.listed(EMPTY, 1)[0]

    with pytest.raises(RowForged):
        await did(database, first)


async def test_a_name_that_was_given_back_and_is_put_back_is_refused(database: str) -> None:
    jar = WORLD.new_id()
    await did(database, open_jar(jar, label="mine"), unlabel(jar, "mine"))
    tamper(database, f"INSERT INTO ledger.claims VALUES ('label', 'mine', '{jar}')")
    with pytest.raises(RowForged):
        await did(database, find("label", "mine", [], jar))


async def test_what_another_process_has_just_moved_is_not_forged(database: str) -> None:
    jar = WORLD.new_id()
    found = list[UUID | None]()
    async with a_ledger(database) as ledger:
        await ledger.submit(open_jar(jar), STAMP)
        await ledger.submit(add_coin(jar), STAMP)
        async with Ledger(database, JARS, ledger.cache.vault, WORLD) as other:
            await other.submit(label(jar, "new"), STAMP)
        await ledger.submit(find("label", "new", found, jar), STAMP)
    assert found[-1] == jar


async def test_a_key_that_was_destroyed_and_is_put_back_is_refused(database: str) -> None:
    jar = WORLD.new_id()
    await did(database, open_jar(jar, owner="Ada"))
    ((wrapped,),) = rows(database, "SELECT encode(wrapped, 'hex') FROM ledger.personal_keys")
    await did(database, erase_owner(jar))

    def reveal(uow: UnitOfWork) -> UUID:
        uow.reveal(jar, uow.read(Jar, jar).owner)
        return jar

    await did(database, reveal)
    back = f"UPDATE ledger.personal_keys SET wrapped = '\\x{wrapped}', erased_at = NULL"
    tamper(database, back)
    with pytest.raises(RowForged, match="personal_keys"):
        await did(database, reveal)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger.personal_keys SET wrapped = NULL, erased_at = now()",
        "DELETE FROM ledger.personal_keys",
    ],
)
async def test_a_key_that_is_gone_without_an_event_is_missed(database: str, change: str) -> None:
    jar = WORLD.new_id()
    await did(database, open_jar(jar, owner="Ada"))
    tamper(database, change)

    def reveal(uow: UnitOfWork) -> UUID:
        uow.reveal(jar, uow.read(Jar, jar).owner)
        return jar

    with pytest.raises(RowForged, match="personal_keys"):
        await did(database, reveal)


@pytest.mark.parametrize(
    "change",
    [
        "SET outcome = replace(outcome, '\"version\":2', '\"version\":7')",
        "SET request_hash = 'another'",
        "SET key = 'l'",
        "SET mac = NULL",
    ],
)
async def test_an_outcome_that_this_ledger_did_not_store_is_refused(
    database: str, change: str
) -> None:
    jar = WORLD.new_id()
    await did(database, open_jar(jar))

    def again(key: str) -> Callable[[Ledger], Awaitable[object]]:
        idempotency = Idempotency("ada", key, "hash")
        return lambda ledger: ledger.submit(add_coin(jar), STAMP, idempotency)

    await on_ledger(database, again("k"))
    tamper(database, f"UPDATE ledger.outcomes {change}")
    with pytest.raises(RowForged, match="outcomes"):
        await on_ledger(database, again("l" if "key =" in change else "k"))


@pytest.mark.parametrize(
    "change", ["UPDATE ledger.numbers SET last = 1", "DELETE FROM ledger.numbers"]
)
async def test_a_number_that_was_taken_is_not_handed_out_again(database: str, change: str) -> None:
    await did(database, *(open_jar(WORLD.new_id()) for _ in range(3)))
    tamper(database, change)
    with pytest.raises(RowForged, match=r"ledger.numbers for JAR-\d+ does not follow"):
        await did(database, open_jar(WORLD.new_id()))


async def test_only_who_asks_for_a_forged_row_is_refused(database: str) -> None:
    jar, victim = WORLD.new_id(), WORLD.new_id()
    await did(database, open_jar(jar), open_jar(victim))
    tamper(database, f"INSERT INTO ledger.claims VALUES ('label', 'new', '{victim}')")
    async with a_ledger(database) as ledger:
        answers = await asyncio.gather(
            ledger.submit(add_coin(jar), STAMP),
            ledger.submit(find("label", "new", [], jar), STAMP),
            ledger.submit(add_coin(jar), STAMP),
            return_exceptions=True,
        )
    assert [isinstance(each, RowForged) for each in answers] == [False, True, False]


KINDS: dict[type[Event], type[Aggregate]] = {
    **JARS,
    SecretsAdopted: AdoptedSecrets,
    NamesAdopted: AdoptedSecrets,
}


async def on_new_release(url: str, story: Callable[[Ledger], Awaitable[T]]) -> T:
    """With a ledger that knows the event which takes over what is there."""

    async with Ledger(url, KINDS, VAULT, WORLD) as ledger:
        return await story(ledger)


async def adopting(url: str) -> bool:
    """What the start of a service does."""
    return await on_new_release(url, lambda ledger: adopt(url, ledger))


async def test_a_ledger_from_before_takes_its_rows_over_once(database: str) -> None:
    jar, late = WORLD.new_id(), WORLD.new_id()

    async def run(work: Work, key: str) -> Receipt:
        idempotency = Idempotency("ada", key, "hash")
        return await on_new_release(
            database, lambda ledger: ledger.submit(work, STAMP, idempotency)
        )

    assert not await adopting(database), "there is nothing in it"
    await run(open_jar(jar), "first")
    tamper(
        database,
        f"INSERT INTO ledger.secrets VALUES ('{jar}', 'password', 'hash')",
        "UPDATE ledger.outcomes SET mac = NULL",
    )
    told = list[str | None]()
    with pytest.raises(RowForged):
        await run(tell(jar, told), "second")
    with pytest.raises(RowForged):
        await run(open_jar(jar), "first")
    assert await adopting(database)
    assert not await adopting(database), "once"
    await run(tell(jar, told), "second")
    assert told[-1] == "hash"
    assert (await run(open_jar(jar), "first")).replayed
    await run(open_jar(late), "third")
    tamper(database, f"INSERT INTO ledger.secrets VALUES ('{late}', 'password', 'own')")
    assert not await adopting(database)
    with pytest.raises(RowForged):
        await run(tell(late, told), "fourth")
    await run(keep(jar, "next"), "fifth")
    tamper(database, f"UPDATE ledger.secrets SET secret = 'hash' WHERE owner = '{jar}'")
    with pytest.raises(RowForged):
        await run(tell(jar, told), "sixth")


async def test_nothing_is_taken_over_from_a_log_that_tells_of_rows_or_has_a_gap(
    database: str,
) -> None:
    jar = WORLD.new_id()
    await did(database, open_jar(jar), keep(jar, "hash"), add_coin(jar))
    assert not await adopting(database), "an event tells of a secret"
    with psycopg.connect(database) as connection:
        connection.execute("ALTER TABLE ledger.events DISABLE TRIGGER USER")
        connection.execute("DELETE FROM ledger.events WHERE position = 2")
    with pytest.raises(Forged, match="position 2"):
        await adopting(database)


def test_the_decision_says_of_each_table_what_a_change_of_it_does(database: str) -> None:
    found = rows(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'ledger'")
    told = (TREE / "docs/decisions/0024-rows-beside-the-log.md").read_text()
    assert not {table for (table,) in found if f"`{table}`" not in told}

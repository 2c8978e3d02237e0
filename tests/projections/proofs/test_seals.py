"""The log is sealed whole, and whatever is changed in it is found where it was changed."""

import asyncio
from typing import Any

import psycopg
import pytest
from psycopg import AsyncConnection

from projections.follow import log
from projections.proofs import verify
from projections.proofs.checkpoints import known_signer, origins, signer
from projections.proofs.merkle import WIDTH, Edge, leaf_hash
from projections.proofs.sealer import Sealer
from projections.proofs.signed_note import Checkpoint, Signer, VerificationError, Verifier, parsed
from projections.proofs.trees import Contradiction
from projections.proofs.verify import Verification, require_consistent
from rim_ledger.lending.user import CreditScoreSet, User
from tests.projections.story import ADA, START, VAULT, WORLD, opens, rows, written

PAGE = 4
"""Events that are signed together here."""


async def sealed(url: str, page: int = 1_000) -> list[str]:
    """Seal everything, so many lines at a time; the new notes."""
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        key, notes = await signer(connection, VAULT, WORLD), list[str]()
        sealer = Sealer(connection, key, VAULT, WORLD, page=page)
        while note := await sealer.advance():
            notes.append(note)
        return notes


async def faults(url: str, *outside: str) -> list[str]:
    """What is found to be wrong, of notes that were kept outside as well."""
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        known = await origins(connection, VAULT)
        verification = Verification(connection, known, [*map(parsed, outside)], VAULT.event_mac)
        return [fault async for fault in verification.faults(lambda _, __: None)]


async def contradicts(url: str, note: str) -> str | None:
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        try:
            await require_consistent(connection, await origins(connection, VAULT), [parsed(note)])
        except Contradiction as contradiction:
            return str(contradiction)
        return None


def scores(count: int) -> list[Any]:
    return [opens(User, ADA, CreditScoreSet(score=n, reason="a test")) for n in range(count)]


def tampered(url: str, *statements: str) -> None:
    """Change the store as its owner can, past the triggers."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
async def notes(database: str) -> list[str]:
    """A log of 20 events, sealed four by four."""
    head = await written(database, *START)
    await written(database, *scores(20 - head))
    return await sealed(database, PAGE)


async def test_every_event_is_a_leaf_and_the_root_is_signed(
    database: str, notes: list[str]
) -> None:
    text = "SELECT position, stream_id, version, name, to_char(recorded_at AT TIME ZONE 'UTC',"
    text += """ 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), body FROM ledger.events ORDER BY position"""
    leaves = ["\n".join(str(each) for each in row).encode() for row in rows(database, text)]
    edge = Edge()
    edge.grow(map(leaf_hash, leaves))
    key = await _key(database)
    verifier = Verifier.of(key)
    opened = [verifier.open(note) for note in notes]
    assert [each.size for each in opened] == [4, 8, 12, 16, 20]
    assert opened[-1] == Checkpoint(verifier.origin, 20, edge.root, opened[-1].more)
    assert opened[-1].more[0] == "macs 0"
    assert await faults(database) == []


async def _key(url: str) -> str:
    async with await AsyncConnection.connect(url) as connection:
        found = await known_signer(connection, VAULT)
        assert found
        return found.key


FLIP = "UPDATE ledger.events SET body = overlay(body placing '~' from 3) WHERE position = 7"
LATER = "UPDATE ledger.events SET recorded_at = recorded_at + interval '1 microsecond'"
SWAP = (
    "ALTER TABLE ledger.events DROP CONSTRAINT events_position_check",
    "UPDATE ledger.events SET position = -9 WHERE position = 9",
    "UPDATE ledger.events SET position = 9 WHERE position = 11",
    "UPDATE ledger.events SET position = 11 WHERE position = -9",
)
RENAME = "UPDATE ledger.checkpoints SET note = replace(note, 'ledger/', 'ledger/0') WHERE size = 8"
OTHER = "the event (CreditScoreSet) is not the one that was sealed"
GONE = "the event is missing"
KEPT = "was kept outside, and is missing in the database"
TAMPERED = {
    "a byte": ((FLIP,), [f"position 7: {OTHER}"]),
    "a time": ((f"{LATER} WHERE position = 20",), [f"position 20: {OTHER}"]),
    "a row": (("DELETE FROM ledger.events WHERE position = 13",), [f"position 13: {GONE}"]),
    "two rows": (SWAP, [f"position 9: {OTHER}", f"position 11: {OTHER}"]),
    "the tail": (
        ("DELETE FROM ledger.events WHERE position > 18",),
        [f"position 19: {GONE}", f"position 20: {GONE}"],
    ),
    "a seal": (
        ("UPDATE ledger.tiles SET hashes = substr(hashes, 1, 19 * 32)",),
        ["position 20: the seal is missing"],
    ),
    "a checkpoint": ((RENAME,), ["checkpoint of 8 events: the checkpoint is one of"]),
}


@pytest.mark.parametrize("what", TAMPERED)
async def test_what_was_changed_is_named(database: str, notes: list[str], what: str) -> None:
    statements, found = TAMPERED[what]
    tampered(database, *statements)
    told = await faults(database)
    assert len(told) == len(found)
    assert all(one.startswith(wanted) for one, wanted in zip(told, found, strict=True))


async def forged(url: str) -> None:
    """What somebody does who owns the database but not the key: change an event and all seals."""

    async def story() -> None:
        async with await AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute("SET session_replication_role = replica")
            await connection.execute(FLIP.encode())
            await connection.execute("DELETE FROM ledger.tiles")
            edge = Edge()
            lines = await log.page(connection, 0, None, 100)
            changed = edge.grow(leaf_hash(log.leaf(line)) for line in lines)
            for (level, number), hashes in changed.items():
                values = [level, number, hashes]
                await connection.execute("INSERT INTO ledger.tiles VALUES (%s, %s, %s)", values)

    await story()


async def test_events_and_seals_changed_together_do_not_have_the_signed_root(
    database: str, notes: list[str]
) -> None:
    await forged(database)
    own = "position 7: the event (CreditScoreSet) was not written by this ledger"
    root = "checkpoint of {} events: another root was signed than they have"
    assert await faults(database) == [own, root.format(8)]
    tampered(database, "DELETE FROM ledger.checkpoints WHERE NOT opens")
    found = await faults(database, notes[-1])
    gone = [f"checkpoint number 6 {KEPT}"]
    assert found == [own, root.format(20), *gone]


async def test_a_store_that_lost_its_tail_and_its_seals_contradicts_the_outside(
    database: str, notes: list[str]
) -> None:
    assert await contradicts(database, notes[-1]) is None
    assert await contradicts(database, notes[1]) is None
    tampered(
        database,
        "DELETE FROM ledger.events WHERE position > 16",
        "DELETE FROM ledger.checkpoints WHERE size > 16",
    )
    found = await contradicts(database, notes[-1])
    assert found == "the log ends at position 16, and was signed up to 20"
    assert await faults(database, notes[-1]) == [
        *(f"position {position}: the event is missing" for position in range(17, 21)),
        f"checkpoint number 6 {KEPT}",
    ]


async def test_a_store_that_lost_only_its_last_seals_is_sealed_again_alike(
    database: str, notes: list[str]
) -> None:
    tampered(database, "DELETE FROM ledger.checkpoints WHERE size > 12")
    assert await contradicts(database, notes[-1]) is None
    assert await sealed(database, PAGE) == notes[3:]
    assert await faults(database) == []


async def test_the_quick_look_at_the_start_sees_a_change(database: str, notes: list[str]) -> None:
    tampered(database, "UPDATE ledger.events SET version = 99 WHERE position = 19")
    found = "the event at position 19 is not the one that was signed"
    assert await contradicts(database, notes[-1]) == found


async def test_the_quick_look_at_the_start_sees_another_log(
    database: str, notes: list[str]
) -> None:
    await forged(database)
    found = "the first 20 events are not those that were signed"
    assert await contradicts(database, notes[-1]) == found


@pytest.mark.parametrize(
    ("statement", "found"),
    [
        (
            "UPDATE ledger.events SET body = body || ' ' WHERE position = 9",
            "the event at position 9 is not the one that was signed",
        ),
        ("DELETE FROM ledger.events WHERE position = 9", "position 9 is missing"),
    ],
)
async def test_the_quick_look_at_the_start_goes_far_back(
    database: str, monkeypatch: pytest.MonkeyPatch, statement: str, found: str
) -> None:
    async def story() -> list[str]:
        await written(database, *START)
        await written(database, *scores(3 * WIDTH))
        return await sealed(database)

    note = (await story())[-1]
    assert await contradicts(database, note) is None
    tampered(database, statement)
    assert await contradicts(database, note) == found
    monkeypatch.setattr(verify, "LOOKED_AT", WIDTH)
    assert await contradicts(database, note) is None


async def test_a_hole_is_not_sealed(database: str, notes: list[str]) -> None:
    await written(database, *scores(3))
    tampered(database, "DELETE FROM ledger.events WHERE position = 22")
    with pytest.raises(Contradiction, match="position 22 is missing"):
        await sealed(database)


async def test_two_sealers_at_once_sign_each_event_once(
    database: str, notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story() -> list[str]:
        head = await written(database, *scores(40))
        found = await asyncio.gather(*(sealed(database, PAGE) for _ in range(3)))
        sizes = sorted(int(note.split("\n")[1]) for each in found for note in each)
        assert sizes == [*range(24, head + 1, PAGE)]
        return await faults(database)

    assert await story() == []


CUT = (
    "DELETE FROM ledger.events WHERE position > 22",
    "DELETE FROM ledger.checkpoints WHERE size > 20",
)


@pytest.mark.parametrize("further", [1, 2, 9])
async def test_what_was_signed_here_is_not_signed_otherwise(
    database: str, notes: list[str], further: int
) -> None:
    """A sealer that has signed the tail, and one that comes back to the store and knows of it."""

    async with await AsyncConnection.connect(database, autocommit=True) as connection:
        key = await signer(connection, VAULT, WORLD)
        old = Sealer(connection, key, VAULT, WORLD, page=PAGE)
        await written(database, *scores(PAGE))
        signed = parsed(str(await old.advance()))
        tampered(database, *CUT)
        await written(database, *scores(further))
        words = "24 events are not those" if further > 1 else "23, and was signed up to 24"
        for one in (old, Sealer(connection, key, VAULT, WORLD, signed, page=PAGE)):
            with pytest.raises(Contradiction, match=words):
                await one.advance()
    assert rows(database, "SELECT max(size) FROM ledger.checkpoints") == [(20,)]


async def test_a_sealer_goes_on_from_what_others_signed_after_it(
    database: str, notes: list[str]
) -> None:
    async def story() -> list[str]:
        async with await AsyncConnection.connect(database, autocommit=True) as connection:
            key, found = await signer(connection, VAULT, WORLD), list[str]()
            sealer = Sealer(connection, key, VAULT, WORLD, parsed(notes[1]), page=PAGE)
            for _ in range(3):
                await written(database, *scores(PAGE))
                found += [note for note in [await sealer.advance()] if note]
                await written(database, *scores(PAGE))
                found += await sealed(database, PAGE)
        return found

    found = [parsed(note).size for note in await story()]
    assert found == [*range(24, 45, PAGE)]
    assert await faults(database) == []


async def test_checkpoints_are_not_changed_by_accident(database: str, notes: list[str]) -> None:
    for statement in ("DELETE FROM ledger.checkpoints", "UPDATE ledger.checkpoints SET size = 1"):
        with psycopg.connect(database) as connection, pytest.raises(psycopg.Error, match="never"):
            connection.execute(statement.encode())


SIGNER = Signer(b"k" * 32)
NOTE = SIGNER.sign(7, b"r" * 32)


@pytest.mark.parametrize(
    "note",
    [
        "",
        "nothing",
        NOTE.replace("\n7\n", "\n8\n"),
        NOTE.replace("rim-ledger/", "rim-ledger/0"),
        NOTE[:-9] + "AAAAAAA=\n",
        Signer(b"l" * 32).sign(7, b"r" * 32),
        NOTE + NOTE,
    ],
)
def test_a_note_that_was_not_signed_so_is_untrue(note: str) -> None:
    assert Verifier.of(SIGNER.key).open(NOTE) == Checkpoint(SIGNER.origin, 7, b"r" * 32)
    with pytest.raises(VerificationError):
        SIGNER.open(note)


@pytest.mark.parametrize("key", ["", "a+b", "a+b+c", SIGNER.key[1:], SIGNER.key[:-4]])
def test_a_key_that_is_none_is_untrue(key: str) -> None:
    with pytest.raises(VerificationError):
        Verifier.of(key)

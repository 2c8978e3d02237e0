"""A log goes on under another key: whoever knows the one before follows, and nobody else opens."""

from collections.abc import Sequence
from typing import Any

import msgspec
import psycopg
import pytest
from psycopg import AsyncConnection

from projections.proofs import checkpoints
from projections.proofs.checkpoints import origins, signer
from projections.proofs.merkle import EMPTY
from projections.proofs.origins import OriginOpening, Origins, open_first, open_next
from projections.proofs.sealer import Sealer
from projections.proofs.signed_note import Checkpoint, Signer, VerificationError, Verifier, parsed
from projections.proofs.trees import Contradiction
from projections.proofs.verify import Verification, require_consistent
from rim_ledger.lending.user import CreditScoreSet, User
from tests.projections.proofs.test_seals import FLIP, forged, scores, sealed, tampered
from tests.projections.story import BOLA, START, VAULT, WORLD, opens, written

OLD, NEW, NEWEST, STRANGER = (Signer(bytes([number]) * 32) for number in range(4))
ROOT, OTHER = b"r" * 32, b"s" * 32
FIRST = open_first(OLD)
KEPT = Checkpoint(OLD.origin, 9, OTHER)
NEXT = open_next(NEW, OLD, (7, ROOT), Checkpoint(OLD.origin, 5, ROOT), [KEPT])
"""What a restore of seven events says, of which five were signed; two more were lost."""
LAST = open_next(NEWEST, NEW, (12, OTHER), parsed(NEXT), [])


def test_whoever_knows_only_the_first_key_follows_to_the_last() -> None:
    known = Verifier.of(OLD.key)
    for note, following in ((NEXT, NEW), (LAST, NEWEST)):
        known.require_signed(note)
        assert OriginOpening.of(note).verifier.key == following.key
        known = OriginOpening.of(note).verifier
        assert known.open(note) == parsed(note)
    assert Origins([FIRST, NEXT, LAST]).openings[-1].verifier.key == known.key


def test_an_origin_says_where_it_goes_on_and_what_was_lost() -> None:
    opening = OriginOpening.of(NEXT)
    assert (opening.checkpoint.size, opening.checkpoint.root) == (7, ROOT)
    assert opening.after == Checkpoint(OLD.origin, 5, ROOT)
    assert opening.lost == [KEPT]
    assert str(opening) == (
        f"{NEW.origin} goes on from {OLD.origin} at position 7;"
        f" lost: the later events that {OLD.origin} signed, up to position 9"
    )


def test_an_older_reader_of_checkpoints_reads_what_opens_one() -> None:
    origin, size, root, *_ = NEXT.partition("\n\n")[0].split("\n")
    assert (origin, size) == (NEW.origin, "7")
    assert NEW.open(NEXT).root == ROOT
    assert len(root) == 44
    with pytest.raises(VerificationError, match="is one of"):
        OLD.open(NEXT)


def test_each_checkpoint_is_here_or_lost_or_unheard_of() -> None:
    log = Origins([FIRST, NEXT, LAST])
    for size, origin, has, lost in (
        (7, OLD, True, True),
        (8, OLD, False, True),
        (9, OLD, False, True),
        (10, OLD, False, False),
        (12, NEW, True, False),
        (13, NEW, False, False),
        (99, NEWEST, True, False),
        (5, STRANGER, False, False),
    ):
        claim = Checkpoint(origin.origin, size, ROOT)
        assert (log.has(claim), log.lost(claim)) == (has, lost), (size, origin.origin)
    assert log.open(NEW.sign(12, ROOT)).size == 12
    with pytest.raises(VerificationError, match="had ended before 13 events"):
        log.open(NEW.sign(13, ROOT))
    with pytest.raises(VerificationError, match="none of the log"):
        log.open(STRANGER.sign(5, ROOT))


def test_an_origin_descends_from_those_that_signed_for_it() -> None:
    log, first, middle, last = Origins([FIRST]), *map(OriginOpening.of, (FIRST, NEXT, LAST))
    stranger = OriginOpening.of(open_first(STRANGER))
    assert log.strangers([last, middle, first]) == []
    assert log.strangers([last, stranger]) == [last, stranger]
    assert Origins([FIRST, NEXT]).strangers([stranger, last]) == [stranger]
    with pytest.raises(VerificationError, match="is not signed by"):
        log.strangers([OriginOpening.of(open_next(NEW, STRANGER, (7, ROOT), BEFORE, []))])


def unsigned(note: str, by: Signer) -> str:
    """A note without the line of one of its signers."""
    return "".join(
        line
        for line in note.splitlines(keepends=True)
        if not line.startswith(f"\u2014 {by.origin}")
    )


BEFORE = Checkpoint(OLD.origin, 5, ROOT)
FORGED: dict[str, Sequence[str]] = {
    "signed by the new key alone": [FIRST, unsigned(NEXT, OLD)],
    "signed by the old key alone": [FIRST, unsigned(NEXT, NEW)],
    "signed by a stranger for the old": [FIRST, open_next(NEW, STRANGER, (7, ROOT), BEFORE, [])],
    "changed in its root": [FIRST, NEXT.replace("cnJy", "c3Nz")],
    "changed in what was lost": [FIRST, NEXT.replace(" 9 ", " 8 ")],
    "with another key in it": [FIRST, NEXT.replace(NEW.key, STRANGER.key)],
    "after another origin": [
        FIRST, open_next(NEW, OLD, (7, ROOT), Checkpoint(STRANGER.origin, 5, ROOT), []),
    ],
    "after more than came back": [
        FIRST, open_next(NEW, OLD, (7, ROOT), Checkpoint(OLD.origin, 8, ROOT), []),
    ],
    "after nothing": [FIRST, open_first(NEW)],
    "the first, but on events": [NEW.sign(7, ROOT, f"key {NEW.key}")],
    "the first, but after another": [NEXT],
    "the first, but with losses": [OLD.sign(0, EMPTY, f"key {OLD.key}", NEXT.split("\n")[5])],
    "left out": [FIRST, LAST],
    "in another order": [FIRST, LAST, NEXT],
    "without a key": [OLD.sign(0, EMPTY)],
    "with more to say": [OLD.sign(0, EMPTY, f"key {OLD.key}", "and so on")],
    "no note": ["nothing"],
}  # fmt: skip


@pytest.mark.parametrize("what", FORGED)
def test_an_origin_that_was_not_opened_so_is_untrue(what: str) -> None:
    with pytest.raises(VerificationError):
        Origins(FORGED[what])


def bare(checkpoint: Checkpoint) -> Checkpoint:
    """A checkpoint as an opening names it: without the lines that follow."""
    return msgspec.structs.replace(checkpoint, more=())


async def restored(url: str, kept: Sequence[Checkpoint] = ()) -> OriginOpening:
    """Go on from what is in a store as a restore does, with an event of its own after it."""
    async with await AsyncConnection.connect(url) as connection:
        opening = await checkpoints.open_next_origin(connection, VAULT, WORLD, kept)
    await written(url, opens(User, BOLA, CreditScoreSet(score=1, reason="a test")))
    return opening


async def looked_at(url: str, *kept: Checkpoint) -> tuple[list[str], str | None]:
    """What a whole look finds, and a quick one."""
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        known = await origins(connection, VAULT)
        checked = Verification(connection, known, kept, VAULT.event_mac)
        found = [each async for each in checked.faults(lambda _, __: None)]
        try:
            await require_consistent(connection, known, kept)
        except Contradiction as contradiction:
            return found, str(contradiction)
        return found, None


@pytest.fixture
async def notes(database: str) -> list[str]:
    """Twenty events, sealed; three more are not."""

    async def story() -> list[str]:
        head = await written(database, *START)
        await written(database, *scores(20 - head))
        found = await sealed(database)
        await written(database, *scores(3))
        return found

    return await story()


async def test_a_log_that_goes_on_is_true_under_three_keys(database: str, notes: list[str]) -> None:
    first = parsed(notes[-1])
    gone = Checkpoint(first.origin, 31, ROOT)
    second = await restored(database, [first, gone])
    assert (second.checkpoint.size, second.after, second.lost) == (23, bare(first), [gone])
    (later,) = await sealed(database)
    assert (parsed(later).origin, parsed(later).size) == (second.verifier.origin, 24)
    third = await restored(database, [gone, parsed(later)])
    assert (third.checkpoint.size, third.after, third.lost) == (24, bare(parsed(later)), [])
    await sealed(database)
    assert await looked_at(database, first, gone, parsed(later)) == ([], None)


async def test_events_that_nobody_had_signed_are_under_the_new_key(
    database: str, notes: list[str]
) -> None:
    await restored(database)
    tampered(database, FLIP.replace("= 7", "= 22"))
    (found,), _ = await looked_at(database)
    assert found.startswith("position 22: the event")


async def test_what_no_restore_has_named_contradicts(database: str, notes: list[str]) -> None:
    origin = parsed(notes[-1]).origin
    await restored(database, [Checkpoint(origin, 31, ROOT)])
    for size, root, whole, quick in (
        (31, ROOT, None, None),
        (32, ROOT, f"{origin} signed 32 events, which", f"{origin} signed 32 events, which"),
        (20, ROOT, "checkpoint of 20 events: another root", "the first 20 events are not those"),
    ):
        found, at_once = await looked_at(database, Checkpoint(origin, size, root))
        assert [each.startswith(str(whole)) for each in found] == [True] * bool(whole), size
        assert (at_once or "None").startswith(str(quick)), size


async def test_a_log_that_shares_no_origin_is_another_one(database: str, notes: list[str]) -> None:
    kept = Checkpoint(STRANGER.origin, 5, ROOT)
    await restored(database, [kept])
    _, found = await looked_at(database, kept)
    assert found == "this is not the log that was signed there"


async def test_two_branches_of_one_log_are_told_apart(database: str, notes: list[str]) -> None:
    """A restore whose store was lost too: its checkpoints are known outside and nowhere else."""
    kept = [parsed(notes[-1]), Checkpoint(STRANGER.origin, 22, ROOT)]
    opening = await restored(database, kept)
    assert opening.lost == kept[1:]
    assert await looked_at(database, *kept) == ([], None)


async def forged_origin(url: str, root: bytes, after: bytes, size: int = 20) -> None:
    """What somebody writes who has both private keys, on other events than there are."""

    async def story() -> None:
        async with await AsyncConnection.connect(url, autocommit=True) as connection:
            old, secret = await signer(connection, VAULT, WORLD), WORLD.random(32)
            named = Checkpoint(old.origin, size, after)
            number = 1 + await checkpoints.last_number(connection)
            more = [f"number {number}"]
            note = open_next(Signer(secret), old, (size, root), named, [], more=more)
            wrapped = VAULT.wrap_secret(*checkpoints.KEY, secret.hex())
            await connection.execute(checkpoints.CHANGE.encode(), [wrapped, *checkpoints.KEY])
            await connection.execute(checkpoints.SIGNED.encode(), [number, size, True, note])

    await story()


@pytest.mark.parametrize("wrong", ["root", "after"])
async def test_an_origin_on_other_events_than_there_are_is_found(
    database: str, notes: list[str], wrong: str
) -> None:
    true = parsed(notes[-1]).root
    await forged_origin(database, **({"root": true, "after": true} | {wrong: ROOT}))
    found, _ = await looked_at(database)
    assert found == ["checkpoint of 20 events: another root was signed than they have"]


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM ledger.checkpoints WHERE opens AND size > 0",
        "DELETE FROM ledger.checkpoints WHERE opens",
        "UPDATE ledger.checkpoints SET note = replace(note, 'after', 'lost') WHERE opens",
    ],
)
async def test_a_store_whose_origins_were_changed_is_untrue(
    database: str, notes: list[str], change: str
) -> None:
    await restored(database)
    tampered(database, change)
    with pytest.raises(VerificationError):
        await looked_at(database)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("note = replace(note, E'\\n20\\n', E'\\n19\\n')", "signature of the checkpoint is wrong"),
        ("note = 'nothing'", "this is no checkpoint"),
        ("size = 21", "lack hashes"),
    ],
)
async def test_a_restore_signs_no_last_checkpoint_that_the_old_key_did_not(
    database: str, notes: list[str], change: str, words: str
) -> None:
    tampered(database, f"UPDATE ledger.checkpoints SET {change} WHERE size = 20")
    with pytest.raises((VerificationError, Contradiction), match=words):
        await restored(database)


async def test_a_restore_signs_no_checkpoint_whose_seals_were_changed(
    database: str, notes: list[str]
) -> None:
    await forged(database)
    with pytest.raises(Contradiction, match="the first 20 events are not those that were signed"):
        await restored(database)


async def test_the_old_key_signs_no_more(database: str, notes: list[str]) -> None:
    async def story() -> list[Any]:
        async with await AsyncConnection.connect(database, autocommit=True) as connection:
            old = await signer(connection, VAULT, WORLD)
            await restored(database)
            assert (await signer(connection, VAULT, WORLD)).key != old.key
            await Sealer(connection, old, VAULT, WORLD).advance()
        return (await looked_at(database))[0]

    (found,) = await story()
    assert found.endswith("had ended before 24 events")


async def test_what_opened_an_origin_is_not_changed_by_accident(
    database: str, notes: list[str]
) -> None:
    with psycopg.connect(database) as connection, pytest.raises(psycopg.Error, match="never"):
        connection.execute("UPDATE ledger.checkpoints SET opens = false")

"""Activities and refused requests are sealed as events are; what is done to them is named."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

import psycopg
import pytest
from psycopg import AsyncConnection

from projections.proofs.activity_spans import DroppedSpan, drop
from projections.proofs.checkpoints import signer
from projections.proofs.merkle import leaf_hash
from projections.proofs.sealer import Sealer
from projections.proofs.signed_note import parsed
from projections.proofs.trees import Contradiction
from rim_ledger.engine.activity import Activity, Asked
from rim_ledger.engine.unit_of_work import UnitOfWork, Work
from tests.projections.proofs.test_seals import contradicts, faults, sealed, tampered
from tests.projections.story import ADA, ADMIN, BOLA, START, VAULT, WORLD, rows, written


def look(person: UUID = ADA) -> Work:
    """A look at a person, as its reader leaves it."""

    def work(uow: UnitOfWork) -> UUID:
        details = {"count": 1, "filters": {"status": ["active"]}}
        asked = Activity(action="Read", resource="users", resource_id=str(person), details=details)
        uow.activities.append(asked)
        return ADMIN

    return work


def refused(uow: UnitOfWork) -> UUID:
    """A loan request that was refused, and an event of it is none."""
    asked = Asked(
        user_id=ADA,
        amount=Decimal("10"),
        network="MTN",
        repayment_period=None,
        interest_rate=Decimal("15.360000"),
        credit_score=500,
        credit_limit=Decimal("1000.50"),
        available=Decimal("0.00"),
        code="limit-exceeded",
        reason="It is too much.",
    )
    uow.refused_requests.append(asked)
    return ADMIN


@pytest.fixture
async def note(database: str) -> str:
    """The note on a log with five looks and a refused request."""

    async def story() -> str:
        await written(database, *START)
        await written(database, *[look()] * 5, refused)
        return (await sealed(database))[-1]

    return await story()


async def test_each_row_is_a_leaf_and_the_root_is_signed(database: str, note: str) -> None:
    found = parsed(note).activity
    assert found is not None
    assert (found.size, found.since) == (6, 0)
    assert await faults(database, note) == []
    assert await sealed(database) == []
    await written(database, look(BOLA))
    (later,) = await sealed(database)
    assert parsed(later).size == parsed(note).size
    assert (activity := parsed(later).activity)
    assert activity.size == 7
    assert await faults(database, note, later) == []


async def test_a_leaf_is_what_the_documents_say(database: str, note: str) -> None:
    query = """
        SELECT p.place, json_build_object('n', r.network, 'a', r.amount::text, 'i', r.id)
          FROM ledger.activity_places p JOIN ledger.refused_requests r USING (number)
         WHERE p.source = 'refused_requests'"""
    ((place, row),) = rows(database, query)
    (at, occurred) = rows(
        database,
        """SELECT to_char(timestamp AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
                  to_char(occurred_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')
             FROM ledger.refused_requests""",
    )[0]
    ((position,),) = rows(database, "SELECT position FROM ledger.refused_requests")
    text = (
        f'{place}\nrefused_requests\n{{"actor_id":"{ADMIN}","actor_name":"root",'
        f'"actor_type":"admin","amount":"10","available":"0","code":"limit-exceeded",'
        f'"credit_limit":"1000.5","credit_score":500,"id":"{row["i"]}","interest_rate":"15.36",'
        f'"network":"MTN","occurred_at":"{occurred}","position":{position},'
        f'"reason":"It is too much.","request_id":"r-1","timestamp":"{at}","user_id":"{ADA}"}}'
    )
    ((hashes,),) = rows(database, "SELECT hashes FROM ledger.activity_tiles WHERE level = 0")
    assert hashes[(place - 1) * 32 : place * 32] == leaf_hash(text.encode())


FALSE = f"""
INSERT INTO ledger.activity (id, admin_name, action, resource, details, timestamp, persons)
SELECT gen_random_uuid(), 'root', 'Read', 'users', '{{"outcome":"done"}}', now(), '{{{ADA}}}'"""
COPIED = """
INSERT INTO ledger.activity (id, admin_name, action, resource, details, timestamp, mac)
SELECT gen_random_uuid(), admin_name, action, resource, details, timestamp, mac
  FROM ledger.activity LIMIT 1"""
UNBOUND = "ALTER TABLE ledger.activity_places DROP CONSTRAINT activity_places_source_number_key"
OTHER = "is not the one that was sealed"
TAMPERED = {
    "a line removed": (
        "DELETE FROM ledger.activity WHERE number = 2",
        ["activity 2: the line is missing"],
    ),
    "a line and its place removed": (
        ("DELETE FROM ledger.activity WHERE number = 2;"
        " DELETE FROM ledger.activity_places WHERE place = 2"),
        ["activity 2: the line is missing"],
    ),
    "another person": (
        f"UPDATE ledger.activity SET persons = '{{{BOLA}}}' WHERE number = 3",
        [f"activity 3: the line (Read) {OTHER}"],
    ),
    "another outcome": (
        "UPDATE ledger.activity SET details = '{\"outcome\":\"not-found\"}' WHERE number = 4",
        [f"activity 4: the line (Read) {OTHER}"],
    ),
    "another amount": (
        "UPDATE ledger.refused_requests SET amount = 11",
        [f"activity 6: the line (RequestLoan, limit-exceeded) {OTHER}"],
    ),
    "two lines exchanged": (
        "UPDATE ledger.activity_places SET number = 6 - number WHERE place IN (2, 4)",
        [f"activity 2: the line (Read) {OTHER}", f"activity 4: the line (Read) {OTHER}"],
    ),
    "the sealed tail removed": (
        "DELETE FROM ledger.activity WHERE number > 4",
        ["activity 5: the line is missing"],
    ),
    "a false line": (FALSE, ["not sealed"]),
    "a false line under another's code": (COPIED, ["not sealed"]),
    "a seal": (
        "UPDATE ledger.activity_tiles SET hashes = substr(hashes, 1, 5 * 32)",
        ["activity 6: the seal is missing"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
async def test_what_was_done_to_them_is_named(database: str, note: str, what: str) -> None:
    statement, found = TAMPERED[what]
    tampered(database, UNBOUND, *statement.split(";"))
    told = await faults(database)
    assert [one in each for one, each in zip(found, told, strict=True)] == [True] * len(found)


async def test_a_false_line_is_never_sealed(database: str, note: str) -> None:
    tampered(database, FALSE)
    with pytest.raises(Contradiction, match="the line at activity 7 was not written by this"):
        await sealed(database)


async def test_what_was_not_sealed_yet_can_be_removed_unseen(database: str, note: str) -> None:
    await written(database, look(BOLA))
    tampered(database, "DELETE FROM ledger.activity WHERE number = 6")
    assert await faults(database) == []


async def test_lines_and_seals_changed_together_do_not_have_the_signed_root(
    database: str, note: str
) -> None:
    tampered(
        database,
        "DELETE FROM ledger.refused_requests",
        "DELETE FROM ledger.activity_places WHERE place = 6",
        "UPDATE ledger.activity_tiles SET hashes = substr(hashes, 1, 5 * 32)",
        "DELETE FROM ledger.checkpoints WHERE NOT opens",
    )
    told = await faults(database, note)
    assert "activity 6: the line is missing" in told
    with pytest.raises(Contradiction, match="the log ends at activity 5, and was signed up to 6"):
        await sealed_knowing(database, note)


async def sealed_knowing(url: str, note: str) -> None:
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        key = await signer(connection, VAULT, WORLD)
        await Sealer(connection, key, VAULT, WORLD, parsed(note)).advance()


async def test_lines_from_before_the_codes_are_sealed_at_the_first_sealing(database: str) -> None:
    async def story() -> list[str]:
        await written(database, *START)
        await written(database, look(), look())
        tampered(database, "UPDATE ledger.activity SET mac = NULL")
        await written(database, look(BOLA))
        return await sealed(database)

    found = parsed((await story())[-1]).activity
    assert found is not None
    assert (found.size, found.since) == (3, 2)
    assert await faults(database) == []
    tampered(database, "UPDATE ledger.activity SET mac = NULL WHERE number = 3")
    told = ["activity 3: the line (Read) was not written by this ledger"]
    assert await faults(database) == told


async def test_a_line_that_was_committed_late_is_sealed_after_its_neighbours(
    database: str, note: str
) -> None:
    await written(database, look(BOLA), look(BOLA))
    tampered(database, "INSERT INTO ledger.activity_places VALUES (7, 'activity', 7)")
    assert len(await sealed(database)) == 1
    query = "SELECT place, number FROM ledger.activity_places WHERE place > 6 ORDER BY place"
    assert rows(database, query) == [(7, 7), (8, 6)]
    assert await faults(database) == []


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("DELETE FROM ledger.checkpoints WHERE number = 3", ["checkpoint number 3 is missing"]),
        (
            (
                "DELETE FROM ledger.checkpoints WHERE number = 3;"
                " UPDATE ledger.checkpoints SET number = 3 WHERE number = 4"
            ),
            ["checkpoint number 3 was not signed under this number"],
        ),
        (
            (
                "UPDATE ledger.checkpoints SET note = (SELECT note FROM ledger.checkpoints"
                " WHERE number = 2) WHERE number = 3"
            ),
            ["checkpoint number 3 was not signed under this number"],
        ),
    ],
)
async def test_a_checkpoint_that_is_gone_or_exchanged_is_missed(
    database: str, note: str, change: str, found: list[str]
) -> None:
    for _ in range(2):
        await written(database, look())
        await sealed(database)
    assert await faults(database) == []
    tampered(database, *change.split(";"))
    told = await faults(database)
    assert [each for each in told if each.startswith("checkpoint number")] == found


async def dropped(
    url: str, before: str, reason: str = "kept for long enough"
) -> DroppedSpan | None:
    async with await AsyncConnection.connect(url) as connection:
        key = await signer(connection, VAULT, WORLD)
        said = ("root@ledger-1", reason, WORLD.now())
        return await drop(connection, key, datetime.fromisoformat(before), said)


async def test_a_span_is_dropped_as_a_whole_and_says_so(database: str, note: str) -> None:
    await written(database, look(BOLA))
    later = (await sealed(database))[-1]
    assert await dropped(database, "2020-01-01T00:00:00Z") is None
    span = await dropped(database, "2999-01-01T00:00:00Z", "five years\nand more")
    assert span is not None
    assert (span.first, span.last, span.by) == (1, 6, "root@ledger-1")
    assert (span.before, span.reason) == ("2999-01-01T00:00:00Z", "five years and more")
    assert rows(database, "SELECT count(*) FROM ledger.activity") == [(1,)]
    assert rows(database, "SELECT count(*) FROM ledger.refused_requests") == [(0,)]
    assert await faults(database, note, later) == []
    assert await contradicts(database, later) is None
    await written(database, look())
    (newest,) = await sealed(database)
    again = await dropped(database, "2999-01-01T00:00:00Z")
    assert again is not None
    assert (again.first, again.last) == (7, 7)
    assert await faults(database, note, newest) == []


SPAN = "UPDATE ledger.activity_spans SET"


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (f"{SPAN} last = 7", "activity 1 to 7: what was signed is on another span"),
        (
            f"{SPAN} note = replace(note, 'root@', 'ada@')",
            "activity 1 to 6: the signature of the checkpoint is wrong",
        ),
        (f"{SPAN} note = ''", "activity 1 to 6: it is signed by '', which is no origin"),
        ("DELETE FROM ledger.activity_spans", "activity 1: the line is missing"),
        ("DELETE FROM ledger.activity", "activity 7: the line is missing"),
    ],
)
async def test_what_was_not_dropped_under_a_signed_note_is_missing(
    database: str, note: str, change: str, found: str
) -> None:
    await written(database, look(BOLA))
    await sealed(database)
    await dropped(database, "2999-01-01T00:00:00Z")
    tampered(database, change)
    told = await faults(database)
    assert told[0].startswith(found)


async def test_rows_are_not_dropped_otherwise(database: str, note: str) -> None:
    for table in ("activity", "refused_requests", "activity_places"):
        for change in ("DELETE FROM", "TRUNCATE"):
            statement = f"{change} ledger.{table}"
            with (
                psycopg.connect(database) as connection,
                pytest.raises(psycopg.Error, match="never"),
            ):
                connection.execute(statement.encode())

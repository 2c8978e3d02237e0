"""Rows of the read tables that somebody changed, deleted or put in are found a few at a time."""

from datetime import UTC, datetime

import psycopg
import pytest

from projections.follow import streams
from projections.follow.streams import moments
from projections.proofs.derived_rows import DerivedRows, RowsProgress
from rim_ledger.engine.ledger import Work
from rim_ledger.lending.user import User, UserErased
from tests.projections.story import (
    ADA,
    BOLA,
    LOAN,
    START,
    VAULT,
    WORLD,
    erases,
    followed,
    opens,
    told,
    user,
    written,
)

NOW = datetime(2026, 3, 4, 12, tzinfo=UTC)


def change(url: str, *statements: str) -> None:
    """What somebody does who owns the database."""
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            assert connection.execute(statement.encode()).rowcount == 1, statement


async def looked(url: str, place: RowsProgress | None = None) -> list[str]:
    async with moments(url) as still:
        faults = DerivedRows(still, VAULT, NOW, place).faults()
        return [fault async for fault in faults if fault.startswith("read")]


async def found(url: str) -> list[str]:
    return await looked(url)


def opens_another() -> Work:
    return opens(User, WORLD.new_id(), user(3, "+2348031234569", "chi@example.com"))


CHANGES = {
    "a limit": (
        f"UPDATE read.users SET credit_limit = 99999 WHERE id = '{ADA}'",
        [f"read.users: {ADA} differs in credit_limit"],
    ),
    "whose a loan is": (
        f"UPDATE read.loans SET user_id = '{BOLA}', amount = 1 WHERE id = '{LOAN}'",
        [f"read.loans: {LOAN} differs in user_id, amount"],
    ),
    "who did it": (
        "UPDATE read.audit_logs SET user_name = 'eve' WHERE action = 'LoanRequested'",
        ["differs in user_name"],
    ),
    "no loan": (f"DELETE FROM read.loans WHERE id = '{LOAN}'", [f"read.loans: {LOAN} is missing"]),
    "no audit row": (
        "DELETE FROM read.audit_logs WHERE action = 'LoanRequested'",
        ["read.audit_logs: "],
    ),
    "a role besides": (
        (
            "INSERT INTO read.admin_roles SELECT (json_populate_record(r, json_build_object('id',"
            " gen_random_uuid(), 'name', 'eve'))).* FROM read.admin_roles r LIMIT 1"
        ),
        ["read.admin_roles: 2 rows up to position 6, and events of 1"],
    ),
    "a role from later on": (
        (
            "INSERT INTO read.admin_roles SELECT (json_populate_record(r, json_build_object('id',"
            " gen_random_uuid(), 'name', 'eve', 'begun', 1000))).* FROM read.admin_roles r LIMIT 1"
        ),
        ["read.admin_roles: 2 rows up to position 6, and events of 1"],
    ),
}


@pytest.mark.parametrize("what", CHANGES)
async def test_what_somebody_changed_in_a_read_table_is_found(database: str, what: str) -> None:
    await told(database, *START)
    assert await found(database) == []
    statement, words = CHANGES[what]
    change(database, statement)
    faults = await found(database)
    assert len(faults) == len(words)
    assert all(word in fault for word, fault in zip(words, faults, strict=True))


async def test_tables_that_lag_are_compared_where_they_stand(database: str) -> None:
    await told(database, *START)
    await written(database, erases(ADA, UserErased()), opens_another())
    assert await found(database) == [], "words of who was erased meanwhile may still be shown"
    await followed(database)
    assert await found(database) == []
    change(database, f"UPDATE read.users SET name = 'Ada' WHERE id = '{ADA}'")
    assert await found(database) == [f"read.users: {ADA} differs in name"]


async def test_a_look_goes_on_where_another_was_interrupted(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "SPAN", 2)
    await told(database, *START)
    place, spans = RowsProgress(), 0

    class Interrupted(Exception):
        pass

    async def interrupted() -> None:
        async def rest() -> None:
            nonlocal spans
            if (spans := spans + 1) == 2:
                raise Interrupted

        async with moments(database) as still:
            async for fault in DerivedRows(still, VAULT, NOW, place, rest).faults():
                assert not fault.startswith("read"), fault

    with pytest.raises(Interrupted):
        await interrupted()
    assert sum(place.shown.values()) > 0
    await told(database, opens_another())
    change(database, f"UPDATE read.users SET credit_limit = 99999 WHERE id = '{BOLA}'")
    assert await looked(database, place) == [f"read.users: {BOLA} differs in credit_limit"]

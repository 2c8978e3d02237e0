"""A reminder that is lost is found, and put back by the clock."""

import asyncio
import re
from importlib.resources import files
from pathlib import Path

import psycopg
import pytest

from api.cli.daily_check import Check
from api.config.settings import Settings
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.engine.ledger import Ledger
from rim_ledger.lending.dispatch import Dispatch
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import RegisterUser
from rim_ledger.system.config import SetConfig
from tests.lending.test_dispatch import VAULT, WORLD, disburse, lending, loan_in, stamp, tick

LOST = {
    "deleted": "DELETE FROM ledger.reminders",
    "for much later": "UPDATE ledger.reminders SET at = at + interval '99 years'",
}


def change(database: str, statement: str) -> None:
    with psycopg.connect(database) as connection:
        assert connection.execute(statement.encode()).rowcount == 1


def check(database: str, dispatch: Dispatch, home: Path) -> Check:
    """The clock's look, which takes all the time that it needs."""
    return Check(Settings(home=home), database, dispatch.ledger, VAULT, WORLD, share=1)


@pytest.mark.parametrize("how", LOST)
async def test_a_loan_whose_reminder_is_lost_falls_overdue_all_the_same(
    database: str, tmp_path: Path, how: str
) -> None:
    async with lending(database, "08031234567") as (dispatch, loan):
        await disburse(dispatch, loan)
        look = check(database, dispatch, tmp_path).run_once
        assert await look() == 0
        change(database, LOST[how])
        assert await tick(dispatch, days=31) == 0
        assert await look() == 1
        assert await look() == 0, "it was put back"
        assert await tick(dispatch, days=31) == 1
        assert loan_in(dispatch, loan).overdue
        change(database, LOST[how])
        assert await tick(dispatch, days=62) == 0
        assert await look() == 1
        assert await tick(dispatch, days=62) == 1
        assert loan_in(dispatch, loan).status == "defaulted"
        with psycopg.connect(database) as connection:
            query = "SELECT split_part(place, ' ', 3) FROM ledger.faults ORDER BY place"
            told = [what for (what,) in connection.execute(query)]
        assert told == ["default", "overdue"], "an alert watches these"


async def test_a_top_up_of_unknown_outcome_is_asked_about_though_its_reminder_is_lost(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lending(database, "08031234567") as (dispatch, loan):

        async def break_down(*_: object) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(dispatch.providers.telco, "send", break_down)
        assert (await disburse(dispatch, loan)).disbursement == "unknown"
        monkeypatch.undo()
        change(database, LOST["deleted"])
        assert await check(database, dispatch, tmp_path).run_once() == 1
        assert await tick(dispatch, hours=2) == 1
        assert loan_in(dispatch, loan).disbursement == "failed"


WRITE_OFFS = files("rim_ledger.postgres.sql").joinpath("0039_write_offs.sql").read_text()


async def test_a_setting_has_the_clock_look_again_at_all_that_depends_on_it(database: str) -> None:
    async with lending(database, "08031234567") as (dispatch, loan):
        await disburse(dispatch, loan)
        for days in (31, 62):
            assert await tick(dispatch, days=days) == 1
        assert await tick(dispatch, days=75) == 0
        days = SetConfig(category="lending", key="writeOffAfterDays", value=40)
        await dispatch.ledger.submit(days.work, stamp())
        assert await tick(dispatch, days=75) == 2, "the setting, and the loan"
        assert loan_in(dispatch, loan).written_off_at
        assert await tick(dispatch, days=90) == 0


async def test_loans_that_defaulted_before_there_were_write_offs_are_looked_at(
    database: str, tmp_path: Path
) -> None:
    async with lending(database, "08031234567") as (dispatch, loan):
        await disburse(dispatch, loan)
        for days in (31, 62):
            assert await tick(dispatch, days=days) == 1
        change(database, "DELETE FROM ledger.reminders")
        with psycopg.connect(database) as connection:
            connection.execute(WRITE_OFFS.encode())
        assert await tick(dispatch, days=62) == 1
        assert await check(database, dispatch, tmp_path).run_once() == 0
        assert loan_in(dispatch, loan).written_off_at is None


async def test_one_clock_looks_at_a_time(database: str, tmp_path: Path) -> None:
    async with lending(database, "08031234567") as (dispatch, loan):
        await disburse(dispatch, loan)
        change(database, LOST["deleted"])
        looks = [check(database, dispatch, tmp_path).run_once() for _ in range(2)]
        assert set(await asyncio.gather(*looks)) == {None, 1}


async def test_numbers_and_names_that_were_given_twice_are_found(
    database: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with lending(database, "08031234567") as (dispatch, _):
        look = check(database, dispatch, tmp_path).run_once
        assert await look() == 0
        change(database, "UPDATE ledger.numbers SET last = 0 WHERE prefix = 'LOAN'")
        assert await look() == 1
        change(database, "UPDATE ledger.numbers SET last = 1 WHERE prefix = 'LOAN'")
        change(database, "DELETE FROM ledger.claims WHERE kind = 'user-phone'")
        monkeypatch.setattr("rim_ledger.engine.cache.TAKEN", "?")  # As it was before.
        async with Ledger(database, ENTITY_OF, VAULT, WORLD) as ledger:
            twin = RegisterUser(phone="08031234567", email="eve@example.com", name="Eve")
            await ledger.execute(User, None, twin, stamp())
        assert await look() == 1
        with psycopg.connect(database) as connection:
            query = "SELECT split_part(place, ': ', 3) FROM ledger.faults ORDER BY place"
            (twin_of, number), *_ = zip(*connection.execute(query), strict=True)
        assert re.fullmatch("user-phone of .* is that of .* as well", twin_of)
        assert number == "LOAN-2026 is at 0, and 1 is taken"

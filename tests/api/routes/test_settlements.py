"""Settlements through HTTP: what a provider holds is paid out once, also in two processes."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest

from rim_ledger.values import lagos_day
from tests.api.conftest import Client, serving
from tests.api.routes.test_float import balances
from tests.api.routes.test_statements import file, line, pay, upload

SETTLEMENTS = "/v1/settlements"


async def settle(admin: Client, **more: Any) -> httpx.Response:
    said = {"provider": "paystack", "gross": 200, "fee": 3, "reference": "P-1"}
    said |= {"date": lagos_day(datetime.now(UTC)).isoformat()} | more
    kept = {name: value for name, value in said.items() if value is not None}
    return await admin.post(SETTLEMENTS, kept)


async def collected(admin: Client) -> str:
    """Three payments of 100 at paystack, by a statement; its id."""
    user = (await admin.user())["id"]
    await pay(admin, user, ["R-1", "R-2", "R-3"])
    answer = await upload(admin, file(line("R-1"), line("R-2"), line("R-3")))
    assert answer.json()["matched"] == 3, answer.text
    return str(answer.json()["id"])


async def test_a_payout_is_recorded_at_once_and_listed(admin: Client) -> None:
    await collected(admin)
    made = await settle(admin)
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"{SETTLEMENTS}/{made.json()['id']}"
    accounts = await balances(admin)
    assert (accounts["1300.paystack"], accounts["1310"], accounts["5210"]) == (100, 197, 3)
    one = (await admin.get(f"{SETTLEMENTS}/{made.json()['id']}")).json()
    assert (one["gross"], one["fee"], one["net"]) == (200, 3, 197)
    assert (one["provider"], one["reference"], one["statementId"]) == ("paystack", "P-1", None)
    items = (await admin.get(f"{SETTLEMENTS}?provider=paystack")).json()["items"]
    assert items == [one]
    for more, code in (
        ({}, "reference-taken"),
        ({"reference": "P-2"}, "settlement-too-large"),
        ({"reference": "P-2", "provider": "Paystack"}, "settlement-too-large"),
    ):
        answer = await settle(admin, **more)
        assert (answer.status_code, answer.json()["code"]) == (409, code)


async def test_a_statement_settles_its_matched_lines(admin: Client) -> None:
    statement = await collected(admin)
    made = await settle(admin, statementId=statement, gross=None)
    assert made.status_code == 201, made.text
    one = (
        await admin.get(f"{SETTLEMENTS}/{made.json()['id']}", headers=await admin.caught_up())
    ).json()
    assert (one["gross"], one["statementId"]) == (300, statement)
    again = await settle(admin, statementId=statement, gross=None, reference="P-2")
    assert (again.status_code, again.json()["code"]) == (409, "statement-settled")
    unknown = await settle(admin, statementId=one["id"], reference="P-2")
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"fee": 201}, "fee-above-gross"),
        ({"gross": None}, "missing"),
        ({"date": "2199-12-31"}, "date-in-future"),
        ({"date": "tomorrow"}, "invalid-fields"),
        ({"gross": 0}, "invalid-fields"),
    ],
)
async def test_a_settlement_that_cannot_be_meant_is_refused(
    admin: Client, more: dict[str, Any], code: str
) -> None:
    said = {"provider": "paystack", "gross": 200, "fee": 3, "reference": "P-1"}
    said |= {"date": "2026-01-05"} | more
    kept = {name: value for name, value in said.items() if value is not None}
    answer = await admin.post(SETTLEMENTS, kept)
    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_settlements_at_once_never_pay_out_more_than_is_there(
    admin: Client, database: str
) -> None:
    await collected(admin)
    async with serving(database) as process:
        places = (admin, admin.at(process))
        answers = await asyncio.gather(
            *(settle(places[n % 2], gross=60, reference=f"P-{n}") for n in range(10))
        )
    assert sorted(each.status_code for each in answers) == [201] * 5 + [409] * 5
    assert (await balances(admin))["1300.paystack"] == 0


async def test_only_those_with_the_right_settle(admin: Client) -> None:
    reader = await admin.take_on("reader", {"resource": "settlements", "actions": ["read"]})
    other = await admin.take_on("other", {"resource": "statements", "actions": ["read"]})
    assert (await settle(reader)).status_code == 403
    assert (await reader.get(SETTLEMENTS)).json()["items"] == []
    assert (await other.get(SETTLEMENTS)).status_code == 403

"""Airtime floats through HTTP: top-ups, what is in transit, and fifty disbursements at once."""

import asyncio
from collections import Counter
from typing import Any

import httpx
import pytest

from projections.float_opening import find_opening
from rim_ledger.schedule import tick
from tests.api.conftest import Client, serving

FLOAT = "/v1/float"
BOUGHT = {"amount": 1000, "cost": 970.5, "reference": "B-1"}


async def top_up(admin: Client, network: str = "MTN", **more: Any) -> httpx.Response:
    return await admin.post(f"{FLOAT}/{network}/top-up", BOUGHT | more)


async def floats(client: Client, query: str = "") -> dict[str, dict[str, Any]]:
    answer = await client.get(FLOAT + query, headers=await client.caught_up())
    assert answer.status_code == 200, answer.text
    return {each["network"]: each for each in answer.json()["items"]}


async def balances(client: Client, query: str = "") -> dict[str, Any]:
    answer = await client.get("/v1/trial-balance" + query, headers=await client.caught_up())
    assert answer.status_code == 200, answer.text
    return {each["account"]: each["balance"] for each in answer.json()["accounts"]}


async def approved(admin: Client, officer: Client, user: str, **more: Any) -> str:
    body = {"userId": user, "amount": 100, "network": "MTN"} | more
    loan = await admin.post("/v1/loans", body)
    assert loan.status_code == 201, loan.text
    path = f"/v1/loans/{loan.json()['id']}"
    assert (await officer.post(f"{path}/approve")).status_code == 200
    return path


async def run_clock(admin: Client) -> None:
    """What is due, once the tables show all."""
    await floats(admin)
    await tick(admin.app.state.context.dispatch, find_opening=find_opening)


async def test_a_float_is_bought_lent_and_adjusted(admin: Client) -> None:
    officer, user = await admin.colleague(), await admin.user()
    made = await top_up(admin)
    assert made.status_code == 200, made.text
    assert made.json()["version"] == 1
    path = await approved(admin, officer, user["id"])
    assert (await officer.post(f"{path}/disburse")).status_code == 200
    adjusted = await admin.post(
        f"{FLOAT}/MTN/adjust", {"amount": -50.5, "reason": "as the telco says"}
    )
    assert adjusted.status_code == 200, adjusted.text
    found = await floats(admin)
    assert [*found] == ["MTN", "Airtel", "Glo", "9mobile"]
    assert found["MTN"] == {
        "network": "MTN",
        "tracked": True,
        "balance": 849.5,
        "inTransit": 0,
        "lowMark": 0,
        "low": False,
    }
    assert (found["Glo"]["tracked"], found["Glo"]["balance"]) == (False, 0)
    accounts = await balances(admin)
    assert (accounts["1310"], accounts["4300"], accounts["5300"]) == (-970.5, -29.5, 50.5)
    one = (await admin.get(f"{FLOAT}/MTN")).json()
    assert (one["balance"], one["network"]) == (849.5, "MTN")
    assert (await admin.get(f"{FLOAT}/Glo")).status_code == 404
    entries = (await admin.get("/v1/journal?event=FloatToppedUp")).json()["items"]
    assert [each["userId"] for each in entries] == [None]
    metrics = (await admin.get("/metrics")).text
    assert 'rim_float_balance_naira{network="MTN"} 849.5' in metrics


@pytest.mark.parametrize(
    ("network", "more", "status", "code"),
    [
        ("MTN", {"reference": "b-1"}, 409, "reference-taken"),
        ("MTN", {"cost": 1000.01}, 422, "cost-above-amount"),
        ("MTN", {"amount": 0}, 422, "invalid-fields"),
        ("MTN", {"note": "x"}, 422, "invalid-fields"),
        ("mtn", {}, 404, "not-found"),
        ("MTN", {"occurredAt": "2199-01-01T00:00:00Z"}, 422, "occurred-in-future"),
    ],
)
async def test_a_top_up_is_refused(
    admin: Client, network: str, more: dict[str, Any], status: int, code: str
) -> None:
    assert (await top_up(admin)).status_code == 200
    answer = await top_up(admin, network, **more)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_only_buyers_top_up_and_others_may_read(admin: Client) -> None:
    reader = await admin.take_on("reader", {"resource": "float", "actions": ["read"]})
    other = await admin.take_on("other", {"resource": "loans", "actions": ["read"]})
    assert (await top_up(reader)).status_code == 403
    assert (await floats(reader))["MTN"]["balance"] == 0
    assert (await other.get(FLOAT)).status_code == 403
    assert (await admin.post(f"{FLOAT}/MTN/adjust", {"amount": 5, "reason": "x"})).json()[
        "code"
    ] == "float-not-tracked"


async def test_the_float_is_the_journals_at_every_position(admin: Client) -> None:
    officer, user = await admin.colleague(), await admin.user()
    before = await approved(admin, officer, user["id"])
    assert (await officer.post(f"{before}/disburse")).status_code == 200
    assert (await floats(admin))["MTN"]["balance"] == -100
    assert (await top_up(admin)).status_code == 200
    await run_clock(admin)
    after = await approved(admin, officer, user["id"])
    assert (await officer.post(f"{after}/disburse")).status_code == 200
    back = {"reason": "wrong number", "telcoReference": "R-1"}
    third = await admin.take_on_superadmin("third")
    for path in (before, after):
        answer = await third.post(f"{path}/reverse-disbursement", back)
        assert answer.status_code == 200, answer.text
        back["telcoReference"] = "R-2"
    found = (await floats(admin))["MTN"]
    assert (found["balance"], found["inTransit"]) == (1100, 0)
    assert (await admin.get(f"{FLOAT}/MTN")).json()["balance"] == 1100
    for position in range(admin.app.state.context.ledger.head + 1):
        then = (await floats(admin, f"?asOf={position}"))["MTN"]
        accounts = await balances(admin, f"?asOf={position}")
        assert then["balance"] == accounts.get("1100.MTN", 0)
        assert then["inTransit"] == accounts.get("1150.MTN", 0)
    assert (await balances(admin))["5300"] == -100


async def test_a_low_float_is_told_to_those_who_buy_airtime(admin: Client) -> None:
    buyer = await admin.take_on("buyer", {"resource": "float", "actions": ["read", "write"]})
    mark = await admin.ask("PUT", "/v1/system-config/lending/floatLow.MTN", {"value": 2000})
    assert mark.status_code == 200, mark.text
    assert (await top_up(buyer)).status_code == 200
    found = (await floats(admin))["MTN"]
    assert (found["low"], found["lowMark"]) == (True, 2000)
    path = "/v1/notifications?channel=dashboard"
    items = (await admin.get(path, headers=await admin.caught_up())).json()["items"]
    told = [each for each in items if each["title"] == "Airtime float of MTN is low"]
    assert len(told) == 2  # the buyer, and the super-admin
    assert (await top_up(buyer, reference="B-2", amount=1500)).status_code == 200
    assert (await floats(admin))["MTN"]["low"] is False


async def test_fifty_disbursements_at_once_never_overdraw_a_float(
    admin: Client, database: str
) -> None:
    officer = await admin.colleague()
    many = {"value": 100}
    await admin.ask("PUT", "/v1/system-config/lending/maxOpenLoans", many)
    users = [(await admin.user(number))["id"] for number in range(10)]
    loans = [await approved(admin, officer, user) for user in users for _ in range(5)]
    assert (await top_up(admin, amount=3000)).status_code == 200
    async with serving(database) as process:
        places = (officer, officer.at(process))
        answers = await asyncio.gather(
            *(places[n % 2].post(f"{path}/disburse") for n, path in enumerate(loans))
        )
    codes = Counter(
        each.status_code if each.status_code == 200 else each.json()["code"] for each in answers
    )
    assert codes == {200: 30, "float-exhausted": 20}
    found, accounts = (await floats(admin))["MTN"], await balances(admin)
    assert found["balance"] == 0
    # Some outcomes may be open yet: what is in transit is lent by nobody.
    assert accounts["1150.MTN"] + accounts.get("1200.MTN", 0) == 3000

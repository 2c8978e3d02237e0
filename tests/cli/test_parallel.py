"""Many requests at once through two API processes: limits hold, keys act once, reads follow."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from rim_ledger.delivery.signature import sign
from tests.cli.service import PATIENCE, a_service, stop
from tests.cli.trial import PASSWORD
from tests.delivery.http_server import a_provider
from tests.delivery.telco import SECRET, Mood, MoodyTelco
from tests.real_loans import log_in, take_on

LIMIT = 10_000


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with a_service(forked=True) as service:
        process, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD, RIM_WORKERS="2")
        yield url
        stop(process)


@pytest.fixture(scope="module")
def token(address: str) -> dict[str, str]:
    with httpx.Client(base_url=address, timeout=PATIENCE) as http:
        return log_in(http, "admin", PASSWORD)


@pytest.fixture
async def http(address: str, token: dict[str, str]) -> AsyncIterator[httpx.AsyncClient]:
    """A client that opens a connection a request, so that both processes answer."""
    limits = httpx.Limits(max_keepalive_connections=0)
    async with httpx.AsyncClient(
        base_url=address, headers=token, limits=limits, timeout=PATIENCE
    ) as client:
        yield client


async def register(http: httpx.AsyncClient, number: int) -> str:
    body = {
        "phone": f"0803{number:07}",
        "email": f"{number}@rim.example",
        "name": "Ada",
        "creditLimit": LIMIT,
    }
    answer = await http.post("/v1/users", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def at_once(
    http: httpx.AsyncClient, count: int, path: str, body: dict[str, Any], **more: Any
) -> list[httpx.Response]:
    return await asyncio.gather(*(http.post(path, json=body, **more) for _ in range(count)))


async def test_fifty_loan_requests_at_once_never_exceed_the_limit(http: httpx.AsyncClient) -> None:
    config = await http.put("/v1/system-config/lending/maxOpenLoans", json={"value": 50})
    assert config.status_code == 200, config.text
    user = await register(http, 1)
    wish = {"userId": user, "amount": 1_500, "network": "MTN"}
    answers = await at_once(http, 50, "/v1/loans", wish)
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {201: 6, 409: 44}
    refusals = {answer.json()["code"] for answer in answers if answer.status_code == 409}
    assert refusals == {"credit-limit-exceeded"}
    newest = max((a.headers.get("Ledger-Position", "0") for a in answers), key=int)
    row = await http.get(f"/v1/users/{user}", headers={"Ledger-Position": newest})
    assert row.json()["exposure"] == 9_000


async def test_one_key_twenty_times_at_once_acts_once(http: httpx.AsyncClient) -> None:
    user = await register(http, 2)
    payment = {"type": "repayment", "userId": user, "amount": 100.01, "paymentMethod": "cash"}
    key = {"Idempotency-Key": "twenty at once"}
    answers = await at_once(http, 20, "/v1/transactions", payment, headers=key)
    done = [answer for answer in answers if answer.status_code == 201]
    others = [answer.json()["code"] for answer in answers if answer.status_code != 201]
    replayed = [each for each in done if "Idempotency-Replayed" in each.headers]
    assert set(others) <= {"request-in-progress"}
    assert (len(done) - len(replayed), len(replayed) + len(others)) == (1, 19)
    assert len({answer.text for answer in done}) == 1
    position = {"Ledger-Position": done[0].headers["Ledger-Position"]}
    paid = await http.get(f"/v1/users/{user}/transactions", headers=position)
    assert [each["amount"] for each in paid.json()["items"]] == [100.01]


async def test_a_key_stands_for_one_request_even_when_two_come_at_once(
    http: httpx.AsyncClient,
) -> None:
    user = await register(http, 3)
    key = {"Idempotency-Key": "two requests"}
    wishes = [{"userId": user, "amount": amount, "network": "MTN"} for amount in (100, 200)]
    answers = await asyncio.gather(
        *(http.post("/v1/loans", json=wishes[n % 2], headers=key) for n in range(10))
    )
    first = next(n for n, answer in enumerate(answers) if answer.status_code == 201) % 2
    for n, answer in enumerate(answers):
        if n % 2 == first:
            assert answer.status_code == 201, answer.text
        else:
            assert (answer.status_code, answer.json()["code"]) == (
                422,
                "idempotency-key-reused",
            )


async def test_whoever_writes_reads_it_at_once_at_the_position_of_the_receipt(
    http: httpx.AsyncClient,
) -> None:
    user = await register(http, 4)
    for score in range(20):
        command = {"score": score, "reason": "a look at the payments"}
        done = await http.post(f"/v1/users/{user}/credit-score", json=command)
        position = done.headers["Ledger-Position"]
        row = await http.get(f"/v1/users/{user}", headers={"Ledger-Position": position})
        assert row.status_code == 200, row.text
        assert row.json()["creditScore"] == score
        assert int(row.headers["Ledger-Position"]) >= int(position)
        assert row.headers["ETag"] == done.headers["ETag"]


async def test_a_reference_recorded_twenty_times_at_once_is_one_payment(
    http: httpx.AsyncClient,
) -> None:
    user = await register(http, 77)
    body = {
        "type": "repayment",
        "userId": user,
        "amount": 50,
        "paymentMethod": "card",
        "provider": "paystack",
        "reference": "R-1",
    }
    answers = await at_once(http, 20, "/v1/transactions", body)
    statuses = Counter(answer.status_code for answer in answers)
    assert statuses == {201: 1, 409: 19}
    codes = {answer.json()["code"] for answer in answers if answer.status_code == 409}
    assert codes == {"reference-taken"}


async def test_of_ten_who_claim_a_ticket_at_once_one_has_it(
    http: httpx.AsyncClient, address: str, token: dict[str, str]
) -> None:
    with httpx.Client(base_url=address, timeout=PATIENCE) as client:
        callers = [token, take_on(client, token, "second", PASSWORD)]
    user = await register(http, 88)
    mine = [(await http.get("/v1/auth/me", headers=each)).json()["id"] for each in callers]
    question = {"subject": "Where is it?", "description": "Gone.", "category": "loan"}
    for _ in range(5):
        opened = await http.post("/v1/tickets", json=question | {"customerId": user})
        path = f"/v1/tickets/{opened.json()['id']}/assign"
        answers = await asyncio.gather(
            *(
                http.post(path, json={"assignedTo": mine[n % 2]}, headers=callers[n % 2])
                for n in range(10)
            )
        )
        assert Counter(each.status_code for each in answers) == {200: 1, 409: 9}
        lost = {each.json()["code"] for each in answers if each.status_code == 409}
        assert lost == {"already-assigned"}


async def test_a_telco_that_calls_back_at_once_and_is_asked_lends_each_top_up_once(
    http: httpx.AsyncClient, address: str, token: dict[str, str]
) -> None:
    telco = MoodyTelco(lambda _: Mood.PENDING)
    with httpx.Client(base_url=address, timeout=PATIENCE) as client:
        officer = take_on(client, token, "lends", PASSWORD)

    async def called(http: httpx.AsyncClient, path: str, said: Any, key: str) -> str:
        body, moment = json.dumps(said).encode(), str(int(time.time()))
        headers = {
            "content-type": "application/json",
            "webhook-id": key,
            "webhook-timestamp": moment,
            "webhook-signature": sign(SECRET, key, moment, body),
        }
        answer = await http.post(path, content=body, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.headers["ledger-position"]

    async with a_provider(telco.answer) as url:
        wish = {"name": "VTU", "type": "telecom", "provider": "vtu", "baseUrl": url}
        made = await http.post("/v1/api-integrations", json=wish | {"apiSecret": SECRET})
        one = f"/v1/api-integrations/{made.json()['id']}"
        while (await http.post(one + "/activate")).status_code != 200:
            tested = await http.post(one + "/test")
            assert tested.status_code == 200, tested.text
        loans = []
        for number in range(8):
            user = await register(http, 900 + number)
            wish = {"userId": user, "amount": 100, "network": "MTN"}
            asked = (await http.post("/v1/loans", json=wish)).json()
            path = f"/v1/loans/{asked['id']}"
            approved = await http.post(path + "/approve", headers=officer)
            assert approved.status_code == 200, approved.text
            loans.append((path, f"DSB-{asked['loanId']}-1"))
        door = f"/v1/callbacks/{made.json()['id']}"
        sending = [http.post(path + "/disburse", headers=officer) for path, _ in loans]
        requested = await asyncio.gather(*sending)
        assert {each.status_code for each in requested} == {200}
        words = [
            called(
                http,
                door,
                {"type": "top-up.delivered", "data": {"reference": reference, "amount": 100}},
                f"{reference}.{turn % 4}",
            )
            for turn in range(8)
            for _, reference in loans
        ]
        seen = {"Ledger-Position": max(await asyncio.gather(*words), key=int)}
        for path, reference in loans:
            row = (await http.get(path, headers=seen)).json()
            events = (await http.get(path + "/events")).json()["items"]
            names = Counter(each["type"] for each in events)
            assert row["disbursement"] == "delivered", row
            assert names["LoanDisbursed"] == 1
            assert telco.delivered[reference] <= 1

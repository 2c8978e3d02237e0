"""Bulk: a command a line, an answer a line, alone or all together."""

import asyncio
import json
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.pipeline.routes import CommandRequest
from api.routes import atomic, bulk
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.values import lagos_day
from tests.api.conftest import ADA, WORLD, Client, running
from tests.api.routes.providers import approved

NDJSON = {"content-type": "application/x-ndjson"}


def register(number: int, **more: Any) -> dict[str, Any]:
    body = {"phone": f"0803{number:07}", "email": f"u{number}@example.com", "name": "Ada"}
    return {"op": "POST /v1/users", "body": body, **more}


async def send(admin: Client, lines: list[Any], query: str = "") -> list[dict[str, Any]]:
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines)
    answer = await admin.post("/v1/bulk" + query, content=text.encode(), headers=NDJSON)
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_each_line_is_answered_in_order_and_fails_alone(admin: Client) -> None:
    own = f"USR-{lagos_day(WORLD.now()).year}-000001"
    lines = [
        register(1),
        "{",
        register(1),
        {"op": "POST /v1/users"},
        {"op": "GET /v1/users", "body": {}},
        {"op": "POST /v1/nothing"},
        {"op": f"POST /v1/users/{own}/suspend", "body": {"reason": "x"}, "version": 9},
        {"op": f"POST /v1/users/{own}/suspend", "body": {"reason": "x"}},
        {"op": "POST /v1/users", "body": "x" * (1024 * 1024)},
        register(2),
    ]
    answers = await send(admin, lines)
    assert [answer["line"] for answer in answers] == list(range(1, 11))
    wanted = [201, 400, 409, 422, 422, 404, 412, 200, 413, 201]
    assert [answer["status"] for answer in answers] == wanted
    assert answers[0]["receipt"]["userId"] == own
    assert answers[2]["problem"]["code"] == "phone-taken"


async def test_a_thousand_lines_keep_their_order(admin: Client) -> None:
    answers = await send(admin, [register(n) for n in range(1200)])
    positions = [answer["receipt"]["position"] for answer in answers]
    assert positions == list(range(positions[0], positions[0] + 1200))


async def test_a_resent_file_repeats_nothing_also_not_what_was_sent_singly(admin: Client) -> None:
    single = await admin.post("/v1/users", register(0)["body"], headers={"Idempotency-Key": "k0"})
    lines = [register(n, key=f"k{n}") for n in range(3)]
    first, again = await send(admin, lines), await send(admin, lines)
    assert first[0]["receipt"] == single.json()
    assert [each["receipt"] for each in again] == [each["receipt"] for each in first]
    assert all(each["replayed"] for each in again)


async def test_an_atomic_file_is_done_whole_or_not_at_all(admin: Client) -> None:
    bad = await send(admin, [register(1), register(2), register(1)], "?atomic=true")
    assert [each["status"] for each in bad] == [409, 409, 409]
    assert [each["problem"]["code"] for each in bad] == ["aborted", "aborted", "phone-taken"]
    malformed = await send(admin, [register(1), "{"], "?atomic=true")
    assert [each["status"] for each in malformed] == [409, 400]
    lines = [register(1, key="a"), register(2, key="b")]
    done = await send(admin, lines, "?atomic=true")
    assert [each["status"] for each in done] == [201, 201]
    assert done[0]["receipt"]["position"] == done[1]["receipt"]["position"]
    again = await send(admin, lines, "?atomic=true")
    assert all(each["replayed"] for each in again)
    fresh = await admin.caught_up()
    assert len((await admin.get("/v1/users", headers=fresh)).json()["items"]) == 2


async def test_an_atomic_line_needs_its_own_permission(admin: Client) -> None:
    clerk = await admin.take_on("clerk", {"resource": "users", "actions": ["write"]})
    setting = {"op": "PUT /v1/system-config/lending/autoApprove", "body": {"value": True}}
    answers = await send(clerk, [register(1), setting], "?atomic=true")
    assert [each["status"] for each in answers] == [409, 403]
    assert [each["status"] for each in await send(clerk, [register(1), setting])] == [201, 403]


async def test_what_an_atomic_file_needs_is_loaded_together(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds: list[int] = []
    work = atomic.Batch.work

    def counted(batch: Any, uow: UnitOfWork) -> tuple[UUID, list[Receipt]]:
        rounds.append(len(batch.requests))
        return work(batch, uow)

    monkeypatch.setattr(atomic.Batch, "work", counted)
    async with running(database) as admin:
        few = await send(admin, [register(n) for n in range(2)], "?atomic=true")
        loads_of_two = len(rounds)
        many = await send(admin, [register(n) for n in range(2, 202)], "?atomic=true")
        assert {each["status"] for each in few + many} == {201}
        assert len(rounds) - loads_of_two <= loads_of_two < 10


async def test_an_atomic_file_holds_up_nobody_for_long(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "SECONDS_MAX", 0.0)
    async with running(database) as admin:
        text = "\n".join(json.dumps(register(n)) for n in range(20)).encode()
        answer = await admin.post("/v1/bulk?atomic=true", content=text, headers=NDJSON)
        assert (answer.status_code, answer.json()["code"]) == (413, "atomic-too-slow")
        assert "Send fewer lines at once" in answer.json()["detail"]
        fresh = await admin.caught_up()
        assert (await admin.get("/v1/users", headers=fresh)).json()["items"] == []


async def test_an_atomic_file_has_a_thousand_lines_at_most(admin: Client) -> None:
    text = "\n".join(json.dumps(register(n)) for n in range(1001)).encode()
    answer = await admin.post("/v1/bulk?atomic=true", content=text, headers=NDJSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "too-many-lines")


async def test_bulk_asks_who_is_there_before_it_reads(admin: Client) -> None:
    nobody = Client(admin.http, admin.app)
    answer: httpx.Response = await nobody.post("/v1/bulk", content=b"{", headers=NDJSON)
    assert answer.status_code == 401
    assert (await admin.post("/v1/bulk", ADA)).status_code == 415


async def test_heavy_lines_wait_for_each_other(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.routes.bulk.WEIGHT_MAX", 0)
    under_way, most, carry_out = 0, 0, bulk._one

    async def counted(*more: Any) -> bytes:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        answer = await carry_out(*more)
        under_way -= 1
        return answer

    monkeypatch.setattr("api.routes.bulk._one", counted)
    async with running(database) as admin:
        answers = await send(admin, [{"op": "POST /v1/users/x/activate"}] * 5)
        assert ([answer["status"] for answer in answers], most) == ([404] * 5, 1)


def at(position: int) -> dict[str, str]:
    return {"Ledger-Position": str(position)}


async def test_disbursements_go_on_at_once_and_other_lines_wait_for_them(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.routes.bulk.GOING_ON_MAX", 3)
    under_way, seen, carry_out = 0, list[tuple[str, int]](), bulk._one

    async def counted(sender: Any, number: int, request: CommandRequest) -> bytes:
        nonlocal under_way
        seen.append((request.route.path, under_way := under_way + 1))
        answer = await carry_out(sender, number, request)
        under_way -= 1
        return answer

    monkeypatch.setattr("api.routes.bulk._one", counted)
    async with running(database) as admin:
        officer = await admin.take_on_superadmin("second")
        loans = [(await approved(admin, number))[0] for number in range(6)]
        done = [await officer.post(f"{loan}/approve") for loan in loans]
        shown = (await admin.get(loans[-1], headers=at(done[-1].json()["position"]))).json()
        cash = {"type": "repayment", "paymentMethod": "cash", "amount": 10}
        paid = cash | {"userId": shown["userId"], "loanId": shown["id"]}
        lines = [{"op": f"POST {loan}/disburse"} for loan in loans]
        answers = await send(officer, [*lines, {"op": "POST /v1/transactions", "body": paid}])
        assert [answer["status"] for answer in answers] == [200] * 6 + [201], answers
        for loan in loans:
            row = await admin.get(loan, headers=at(answers[-1]["receipt"]["position"]))
            assert row.json()["disbursement"] == "delivered"
    assert max(count for _, count in seen) == 3
    assert seen[-1] == ("/v1/transactions", 1)


async def test_lines_that_are_refused_as_they_are_read_leave_others_their_turn(
    admin: Client,
) -> None:
    turns, ended = 0, asyncio.Event()

    async def others() -> None:
        nonlocal turns
        while not ended.is_set():
            await asyncio.sleep(0)
            turns += 1

    waiting = asyncio.create_task(others())
    answers = await send(admin, ["{"] * 3000)
    ended.set()
    await waiting
    assert len(answers) == 3000
    assert turns > 3000 / bulk.TURN

"""Finding a route, routes that go on after their decision, and what nobody foresaw."""

import asyncio
import json
import logging
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from api.catalogue import ROUTES, TABLE
from api.cli.logs import Line
from api.http.problem import MethodNotAllowed, NoRoute
from api.pipeline.endpoint import Endpoint
from api.pipeline.route_index import Table
from api.pipeline.routes import Route, rights_to_read
from rim_ledger.engine.idempotency import Receipt
from tests.api.conftest import ADA, Client


def with_after(after: Any) -> Table:
    """The routes, with something that follows when a user is suspended."""
    endpoints = (
        Endpoint(
            replace(each, after=after, alone=True)
            if isinstance(each, Route) and "suspend" in each.path
            else each
        )
        for each in ROUTES
    )
    return Table(endpoints, *rights_to_read(ROUTES))


def test_every_route_is_found_by_a_path_of_its_own() -> None:
    for route in ROUTES:
        words = ["x" if word.startswith("{") else word for word in route.path.split("/")]
        found, parameters = TABLE.find(route.method, "/".join(words))
        assert found.route is route
        assert set(parameters.values()) <= {"x"}


def test_what_is_no_path_is_no_route() -> None:
    long = "/v1" + "/x" * 5000
    for path in ("", "/", "/v1", "/v1/users/", "/v1//x", "/v1/./x", "/v1/users/x/y/z", long):
        with pytest.raises(NoRoute):
            TABLE.find("GET", path)
    with pytest.raises(MethodNotAllowed) as refusal:
        TABLE.find("DELETE", "/v1/users/x/suspend")
    assert refusal.value.allow == "POST"
    with pytest.raises(MethodNotAllowed) as refusal:
        TABLE.find("DELETE", "/v1/loans")
    assert refusal.value.allow == "GET, HEAD, POST"
    assert "HEAD" in str(refusal.value)


async def test_a_path_has_one_spelling(admin: Client) -> None:
    user = (await admin.user())["id"]
    escaped = f"/v1/users/{user.replace('-', '%2D')}"
    for path in (
        "/v1%2Fadmin-users",
        "/v1/%61dmin-users",
        "/%6detrics",
        "/healthz%2F",
        "/%64ocs",
        "/openapi%2Ejson",
        "//v1/loans",
        "/v1/loans/",
        "/V1/loans",
        escaped,
        f"{escaped}/suspend",
        "/v1/loans%3Flimit=1",
        "/v1/loans%00",
    ):
        url = httpx.URL("http://rim.test", raw_path=path.encode())
        answer = await admin.http.get(url, headers=admin.headers)
        assert answer.status_code in (404, 405), path
    line = {"op": f"POST {escaped}/suspend", "body": {"reason": "late"}}
    kind = {"content-type": "application/x-ndjson"}
    bulk = await admin.post("/v1/bulk", content=json.dumps(line), headers=kind)
    assert json.loads(bulk.text)["status"] == 404
    assert (
        await admin.get(f"/v1/users/{user}", headers=await admin.caught_up())
    ).status_code == 200


async def test_what_follows_a_decision_is_waited_for_and_bulk_keeps_its_order(
    admin: Client,
) -> None:
    order: list[str] = []

    async def call_somebody(context: Any, request: Any, receipt: Receipt) -> Receipt:
        order.append("called")
        await asyncio.sleep(0.05)
        order.append("answered")
        return replace(receipt, position=receipt.position + 1000)

    admin.app.state.context.table = with_after(call_somebody)
    user = await admin.user()
    path = f"/v1/users/{user['id']}"
    answer = await admin.post(path + "/suspend", {"reason": "late"})
    assert answer.json()["position"] > 1000
    lines = [f"POST {path}/reinstate", f"POST {path}/suspend", f"POST {path}/reinstate"]
    bodies: list[Any] = [{}, {"reason": "late"}, {}]
    text = "\n".join(
        json.dumps({"op": op, "body": body}) for op, body in zip(lines, bodies, strict=True)
    )
    kind = {"content-type": "application/x-ndjson"}
    several = await admin.post("/v1/bulk", content=text.encode(), headers=kind)
    assert [json.loads(line)["status"] for line in several.text.splitlines()] == [200] * 3
    assert order == ["called", "answered"] * 2
    whole = await admin.post("/v1/bulk?atomic=true", content=text.encode(), headers=kind)
    codes = [json.loads(line)["problem"]["code"] for line in whole.text.splitlines()]
    assert codes == ["aborted", "not-atomic", "aborted"]


async def test_an_unforeseen_error_is_a_500_that_tells_nothing_and_is_logged_without_words(
    admin: Client, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail(context: Any, request: Any, receipt: Receipt) -> Receipt:
        raise ValueError(f"the phone is {ADA['phone']}")

    admin.app.state.context.table = with_after(fail)
    user = (await admin.post("/v1/users", ADA)).json()
    caplog.handler.setFormatter(Line("serve"))
    with caplog.at_level(logging.ERROR):
        answer = await admin.post(f"/v1/users/{user['id']}/suspend", {"reason": "late"})
    assert answer.status_code == 500
    assert answer.json()["code"] == "internal-error"
    assert "phone" not in answer.text
    assert answer.json()["requestId"] in caplog.text
    assert "ValueError" in caplog.text
    assert "08031234567" not in caplog.text
    counted = (await admin.get("/metrics")).text
    assert "rim_unexpected_errors_total 1.0" in counted

"""The query string: a route takes the parameters that it declares, each as often as it says."""

import json
import re
from uuid import uuid4

import httpx
import pytest

from api.catalogue import ROUTES
from api.pipeline.filters import of_list
from api.pipeline.routes import AnyRoute, List, One, Other, Route
from rim_ledger.approvals.proposal import Proposal
from rim_ledger.customers.access import OWN_SESSION
from rim_ledger.support.ticket import Ticket
from tests.api.conftest import Client
from tests.api.routes.borrowers import logged_in

NDJSON = {"Content-Type": "application/x-ndjson"}


def _declared(route: AnyRoute) -> dict[str, object]:
    match route:
        case List(row=row):
            return dict(of_list(row))
        case Other(query=query):
            return dict(query)
        case _:
            return {}


async def _ask(
    client: Client, route: AnyRoute, query: str, id: str | None = None
) -> httpx.Response:
    path = re.sub(r"\{\w+\}", id or str(uuid4()), route.path)
    return await client.ask(route.method, f"{path}?{query}", None if route.method == "GET" else {})


def _refused(answer: httpx.Response) -> tuple[int, str, list[str]]:
    said = answer.json()
    return answer.status_code, said["code"], [each["pointer"] for each in said.get("errors", [])]


async def test_no_route_takes_a_parameter_that_it_does_not_declare(admin: Client) -> None:
    nobody, borrower = admin.with_token(""), await logged_in(admin)
    user = (await admin.user(1))["id"]
    ticket = {"customerId": user, "subject": "A", "description": "B", "category": "loan"}
    known = (await admin.post("/v1/tickets", ticket)).json()["id"]
    for route in ROUTES:
        client = borrower if route.needs == OWN_SESSION else admin
        # Of what only some may know, nothing is told before it is there.
        hidden = isinstance(route, Route) and route.kind is Ticket
        answer = await _ask(client, route, "attempt=true", known if hidden else None)
        refused = (422, "unknown-parameter", ["attempt"])
        if isinstance(route, Route) and route.kind is Proposal:
            refused = (404, "not-found", [])  # There is none yet.
        assert _refused(answer) == refused, f"{route.method} {route.path}"
        if not (isinstance(route, Other) and route.public):
            assert (await _ask(nobody, route, "attempt=true")).status_code == 401, route.path


async def test_a_parameter_with_one_value_is_not_repeated(admin: Client) -> None:
    tried = 0
    for route in ROUTES:
        for name, schema in _declared(route).items():
            if isinstance(schema, dict) and schema.get("type") != "array":
                tried += 1
                answer = await _ask(admin, route, f"{name}=1&{name}=1")
                assert answer.status_code == 422, f"{route.path} {name}"
                assert [name] == [each["pointer"] for each in answer.json()["errors"]][:1]
    assert tried > 100


async def test_what_is_asked_with_an_unknown_parameter_is_not_done(admin: Client) -> None:
    user = (await admin.user())["id"]
    body = {"reason": "a trial"}
    for path in (f"/v1/users/{user}/suspend?dry_run=1", f"/v1/users/{user}/suspend?x"):
        assert _refused(await admin.post(path, body))[:2] == (422, "unknown-parameter")
        line = json.dumps({"op": f"POST {path}", "body": body})
        for bulk in ("/v1/bulk", "/v1/bulk?atomic=true"):
            answer = await admin.post(bulk, content=line, headers=NDJSON)
            said = json.loads(answer.text)["problem"]
            assert (said["status"], said["code"]) == (422, "unknown-parameter")
    assert (await admin.get(f"/v1/users/{user}", headers=await admin.caught_up())).json()[
        "status"
    ] == "active"
    for query in ("atomic=1", "atomic=true&atomic=false", "atomic=", "Atomic=true"):
        answer = await admin.post(f"/v1/bulk?{query}", content=line, headers=NDJSON)
        assert answer.status_code == 422, query


async def test_whoever_may_not_ask_hears_only_that(admin: Client) -> None:
    clerk = await admin.take_on("clerk", {"resource": "config", "actions": ["read"]})
    borrower = await logged_in(admin)
    for route in ROUTES:
        if isinstance(route, One) or route.needs is None:
            continue
        for client in (clerk, borrower):
            known = client is clerk and route.needs == ("config", "read")
            if not known and not route.own:
                status = (await _ask(client, route, "x=1")).status_code
                assert status == 403, f"{route.method} {route.path}"
    assert (await borrower.get("/v1/auth/me?x=1")).status_code == 403


@pytest.mark.parametrize("query", ["limit=5", "cursor=x", "sort=at", "asOf=1"])
async def test_a_journal_as_csv_has_filters_and_no_pages(admin: Client, query: str) -> None:
    answer = await admin.get(f"/v1/journal.csv?{query}")
    assert _refused(answer)[:2] == (422, "unknown-parameter")
    assert (await admin.get("/v1/journal.csv?event=LoanDisbursed")).status_code == 200

"""Every route is tried with every built-in role, and does what the page of permissions says."""

import re
from uuid import uuid4

from api.catalogue import ROUTES
from api.pipeline.routes import AnyRoute
from tests.api.conftest import PASSWORD, Client
from tests.api.routes.borrowers import logged_in
from tests.reference import BORROWER, DOCS, WHO, verdict

PAGE = DOCS / "permissions.md"


def _named(route: AnyRoute) -> str:
    return f"{route.method} {route.path}"


def _rows() -> dict[str, list[str]]:
    """The cells of the page, by the route they are about."""
    lines = (line.strip("| ").split(" | ") for line in PAGE.read_text().splitlines())
    return {first.strip("`"): rest for first, *rest in lines if first.startswith("`")}


def _ends_the_session(verdict: tuple[AnyRoute, str]) -> bool:
    route, said = verdict
    return said == "own" and route.path.endswith("/logout")


async def _try(client: Client, route: AnyRoute) -> tuple[int, str]:
    """Status and code of the answer to somebody who asks for nothing in particular."""
    path = re.sub(r"\{\w+\}", str(uuid4()), route.path)
    body = None if route.method == "GET" else {}
    answer = await client.ask(route.method, path, body)
    problem = answer.headers.get("content-type") == "application/problem+json"
    return answer.status_code, answer.json()["code"] if problem else ""


def test_no_route_and_no_role_is_missing_from_the_page() -> None:
    rows, heads = _rows(), re.search(r"\| route \| (.+) \|\n", PAGE.read_text())
    assert heads
    assert heads[1].split(" | ") == [*WHO]
    assert [*rows] == [_named(route) for route in ROUTES]
    cells = {cell for row in rows.values() for cell in row}
    assert cells == {"allowed", "denied", "own", "public"}


def test_a_role_that_reads_everything_is_denied_every_command() -> None:
    for route in ROUTES:
        if route.needs and route.needs[1] != "read":
            assert verdict(route, "auditor") == "denied", _named(route)


async def test_every_route_asks_who_is_there_unless_it_is_public(admin: Client) -> None:
    nobody, made_up = (Client(admin.http, admin.app, token) for token in ("", "made up"))
    for route in ROUTES:
        for client in (nobody, made_up):
            status, code = await _try(client, route)
            if verdict(route, "superadmin") == "public":
                assert code not in ("forbidden", "internal-error"), _named(route)
                vouched = "callbacks" in route.path or route.path.endswith("/download")
                assert status != 401 or vouched, _named(route)
            else:
                assert (status, code) == (401, "unauthenticated"), _named(route)


async def test_every_route_lets_in_whom_the_page_says_and_nobody_else(admin: Client) -> None:
    roles = (await admin.get("/v1/admin-roles", headers=await admin.caught_up())).json()
    ids = {role["name"]: role["id"] for role in roles["items"]}
    rows = _rows()
    for column, role in enumerate(WHO):
        if role == BORROWER:
            client = await logged_in(admin)
        else:
            person = {"username": role, "email": f"{role}@example.com", "password": PASSWORD}
            made = await admin.post("/v1/admin-users", person | {"roleId": ids[role]})
            assert made.status_code == 201, made.text
            client = await admin.as_(role)
        verdicts = [(route, rows[_named(route)][column]) for route in ROUTES]
        # Whoever logs out is not asked any further.
        for route, said in sorted(verdicts, key=_ends_the_session):
            status, code = await _try(client, route)
            about = f"{role} at {_named(route)}: {said}, but {status} {code}"
            assert status < 500, about
            if said == "denied":
                assert (status, code) == (403, "forbidden"), about
            elif said in ("allowed", "own"):
                assert status not in (401, 403), about

"""Whatever shows a borrower in the clear, the log of activities says so, and says it once."""

from typing import Any

import pytest

from api.catalogue import ROUTES
from api.pipeline.routes import List, One
from tests.api.conftest import Client
from tests.api.pipeline.streaming import Stream
from tests.api.routes.test_activity import LOG, lines
from tests.api.routes.test_attachments import one
from tests.api.routes.test_support import Context

CLEAR = ('"Ada"', "+234803", "It never came.", "Please see this.")
NDJSON = {"Accept": "application/x-ndjson"}


async def about(client: Client, person: str) -> list[dict[str, Any]]:
    """The lines on who saw this person, the newest first."""
    return await lines(client, persons=person, limit="200")


async def shown_once(client: Client, person: str, path: str, **headers: str) -> bool:
    """Read a path; whether it showed the person, of which the log then has exactly one line."""
    count = len(await about(client, person))
    answer = await client.get(path, headers=headers)
    shown = answer.status_code == 200 and any(word in answer.text for word in CLEAR)
    found = await about(client, person)
    assert len(found) - count == 1 or not shown, (path, len(found) - count)
    if shown:
        assert found[0]["details"]["outcome"] == "done", path
    return shown


class Story:
    """A borrower with all that there can be of one: loan, payment, ticket, file, message."""

    def __init__(self, admin: Client) -> None:
        self.admin = admin
        self.user = self.ticket = self.loan = self.file = ""

    async def begin(self) -> "Story":
        context = await Context(self.admin).begin()
        self.user, self.ticket = context.customer, await context.open()
        limit = {"creditLimit": 100_000}
        await self.admin.ask("PATCH", f"/v1/users/{self.user}", limit)
        loan = {"userId": self.user, "amount": 100, "network": "MTN"}
        self.loan = (await self.admin.post("/v1/loans", loan)).json().get("id", "")
        path = f"/v1/tickets/{self.ticket}"
        sent = await self.admin.post(f"{path}/attachments", files=one("a.txt", b"It came."))
        body = {"message": "Please see this.", "attachmentIds": [sent.json()["id"]]}
        await self.admin.post(f"{path}/messages", body)
        self.file = sent.json()["url"]
        paid = {"userId": self.user, "amount": 50, "provider": "bank", "reference": "R-1"}
        await self.admin.post("/v1/transactions", paid | {"type": "payment"})
        await self.admin.get("/v1/users", headers=await self.admin.caught_up())
        return self


async def test_each_list_and_each_row_that_shows_a_borrower_leaves_one_line(admin: Client) -> None:
    known = await Story(admin).begin()
    seen, rows = set[str](), dict[type, list[str]]()
    for route in ROUTES:
        if isinstance(route, List) and "{" not in route.path and route.path != LOG:
            if await shown_once(admin, known.user, route.path):
                seen.add(route.path)
            items = (await admin.get(route.path)).json()["items"]
            rows[route.row] = [each["id"] for each in items if "id" in each][:5]
    for route in ROUTES:
        owner = route.of[1] if isinstance(route, List) and route.of else None
        kind = route.row if isinstance(route, One) else owner
        if kind is None or "{id}" not in route.path or route.path.startswith(LOG):
            continue
        for each in rows.get(kind, []):
            if await shown_once(admin, known.user, route.path.replace("{id}", each)):
                seen.add(route.path)
    assert seen >= {
        "/v1/users",
        "/v1/users/{id}",
        "/v1/users/{id}/timeline",
        "/v1/loans",
        "/v1/loans/{id}",
        "/v1/tickets",
        "/v1/tickets/{id}",
        "/v1/tickets/{id}/messages",
    }, sorted(seen)


@pytest.mark.parametrize("way", ["{id}", "{id}?asOf={at}", "{id}/events"])
async def test_each_way_to_read_a_thing_leaves_one_line(admin: Client, way: str) -> None:
    known, at = await Story(admin).begin(), admin.app.state.context.ledger.head
    things = {"users": known.user, "loans": known.loan, "tickets": known.ticket}
    for name, id_ in things.items():
        path = f"/v1/{name}/{way.format(id=id_, at=at)}"
        shown = await shown_once(admin, known.user, path)
        # What happened to a loan names its borrower by id alone.
        assert shown == (name != "loans" or "events" not in path), path
        if "events" in path:
            assert await shown_once(admin, known.user, path, **NDJSON) == shown, path


async def test_files_streams_and_machines_leave_one_line(admin: Client) -> None:
    known = await Story(admin).begin()
    count = len(await about(admin, known.user))
    assert (await admin.get(known.file)).status_code == 200
    found = await about(admin, known.user)
    assert (len(found), found[0]["action"]) == (count + 1, "Export")
    path = f"/v1/users/{known.user}/events"
    async with Stream.open(admin, path, Accept="text/event-stream") as stream:
        await stream.event()
    found = await about(admin, known.user)
    assert (len(found), found[0]["action"]) == (count + 2, "Follow")
    rights = [
        {"resource": "users", "actions": ["read"]},
        {"resource": "users.pii", "actions": ["read"]},
    ]
    body = {"name": "a robot", "permissions": rights}
    made = await admin.post("/v1/api-keys", body)
    assert made.status_code == 201, made.text
    robot = admin.with_token(made.json()["key"])
    assert (await robot.get(f"/v1/users/{known.user}")).status_code == 200
    found = await about(admin, known.user)
    assert (len(found), found[0]["apiKeyName"]) == (count + 3, "a robot")


@pytest.mark.parametrize("spelling", ["{}", "{{{}}}", "urn:uuid:{}", "upper"])
async def test_a_person_is_found_by_one_spelling(admin: Client, spelling: str) -> None:
    user = (await admin.user())["id"]
    name = user.upper() if spelling == "upper" else spelling.format(user)
    answer = await admin.get(f"/v1/users/{name}", headers=await admin.caught_up())
    (line,) = await lines(admin, action="Read", resource="users")
    if answer.status_code == 200:
        assert (line["resourceId"], line["persons"]) == (user, [user])
        assert [each["id"] for each in await about(admin, name)] == [line["id"]]
    else:
        assert answer.status_code == 404
        assert (line["details"]["outcome"], line["persons"]) == ("not-found", [])
        asked = await admin.get(LOG, params={"persons": name})
        assert asked.status_code == 422


async def test_who_may_not_see_a_borrower_leaves_no_look_at_them(admin: Client) -> None:
    known = await Story(admin).begin()
    clerk = await admin.take_on("clerk", {"resource": "users", "actions": ["read"]})
    count = len(await about(admin, known.user))
    for path in (f"/v1/users/{known.user}", "/v1/users", f"/v1/users/{known.user}/events"):
        answer = await clerk.get(path)
        assert not any(word in answer.text for word in CLEAR), path
    denied = (f"/v1/loans/{known.loan}", f"/v1/tickets/{known.ticket}", known.file)
    for path in (*denied, "/v1/users?phone=08031234567"):
        assert (await clerk.get(path)).status_code == 403, path
        line = (await lines(admin))[0]
        assert (line["details"]["outcome"], line["persons"]) == ("forbidden", []), path
    assert len(await about(admin, known.user)) == count

"""The log through HTTP: whole, in order, filtered, live, and with persons only for who may see."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import jsonschema_rs
import pytest

from api.catalogue import ROUTES
from api.description.event_schemas import async_api, schema_of
from api.pipeline.routes import One
from api.routes import live
from projections import cloud_events
from projections.follow.log import Line
from rim_ledger.catalogue import ENTITIES, EVENTS
from tests.api.conftest import ADA, Client, running
from tests.api.pipeline.streaming import Stream
from tests.api.pipeline.test_ended_rights import end_rights
from tests.api.routes.test_gate import let_pass
from tests.projections.story import rows

READ_EVENTS = {"resource": "events", "actions": ["read"]}
READ_USERS = {"resource": "users", "actions": ["read"]}
NDJSON = {"Accept": "application/x-ndjson"}


async def everything(client: Client, query: str = "") -> list[dict[str, Any]]:
    """The log as NDJSON."""
    answer = await client.get(f"/v1/events{query}", headers=NDJSON)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


async def paged(client: Client, path: str, limit: int) -> list[dict[str, Any]]:
    """All pages of a path."""
    found, after = list[dict[str, Any]](), 0
    join = "&" if "?" in path else "?"
    while after is not None:
        page = await client.get(f"{path}{join}limit={limit}&after={after}")
        assert page.status_code == 200, page.text
        found += page.json()["items"]
        after = page.json()["nextAfter"]
    return found


async def test_pages_and_lines_give_every_event_once_in_order(admin: Client, database: str) -> None:
    for number in range(5):
        await admin.user(number)
    head = admin.app.state.context.ledger.head
    lines = await everything(admin)
    assert [each["position"] for each in lines] == [*range(1, head + 1)]
    for limit in (1, 7, 200):
        assert await paged(admin, "/v1/events", limit) == lines
    assert await everything(admin, "?after=3&limit=2") == lines[3:5]
    assert await everything(admin, f"?after={head}") == []
    stored = rows(
        database,
        "SELECT position, stream_id, version, name FROM ledger.events ORDER BY position",
    )
    assert stored == [
        (each["position"], UUID(each["subject"]), each["streamversion"], each["type"])
        for each in lines
    ]


async def test_an_event_is_a_cloud_event_that_its_schema_describes(admin: Client) -> None:
    user = await admin.post("/v1/users", ADA, headers={"X-Request-Id": "r-17"})
    last = (await everything(admin, f"?after={user.json()['position'] - 1}"))[0]
    assert last | {"data": 0, "time": 0, "recordedat": 0, "id": 0, "actorid": 0} == {
        "specversion": "1.0",
        "id": 0,
        "source": "/rim-ledger",
        "type": "UserRegistered",
        "subject": user.json()["id"],
        "time": 0,
        "datacontenttype": "application/json",
        "dataschema": "/v1/events/schemas/UserRegistered?version=1",
        "data": 0,
        "position": user.json()["position"],
        "streamversion": 1,
        "recordedat": 0,
        "entity": "User",
        "actortype": "admin",
        "actorid": 0,
        "actorname": "admin",
        "requestid": "r-17",
    }
    envelope = async_api()["components"]["schemas"]["CloudEvent"]
    for event in await everything(admin):
        jsonschema_rs.validator_for(envelope).validate(event)
        schema = await admin.get(event["dataschema"])
        assert schema.headers["content-type"] == "application/schema+json"
        jsonschema_rs.validator_for(schema.json()).validate(event["data"])


async def test_schemas_are_named_under_the_address_that_is_set_and_not_as_a_caller_says(
    admin: Client,
) -> None:
    for address in ("", "https://ledger.example.com"):
        context = admin.app.state.context
        context.settings = context.settings.model_copy(update={"public_url": address})
        answer = await admin.get("/v1/events?limit=1", headers={"Host": "evil.example"})
        (event,) = answer.json()["items"]
        path = f"/v1/events/schemas/{event['type']}?version=1"
        assert (event["source"], event["dataschema"]) == ("/rim-ledger", address + path)


async def test_filters_are_joined_and_what_cannot_be_meant_is_refused(admin: Client) -> None:
    one, two = await admin.user(1), await admin.user(2)
    await admin.post(f"/v1/users/{two['id']}/suspend", {"reason": "late"})
    lines = await everything(admin)
    me = (await admin.get("/v1/auth/me")).json()["id"]

    async def same(query: str, wanted: list[dict[str, Any]]) -> None:
        assert wanted, query
        assert await everything(admin, query) == wanted, query
        assert await paged(admin, f"/v1/events{query}", 1) == wanted, query

    def those(**said: Any) -> list[dict[str, Any]]:
        return [each for each in lines if said.items() <= each.items()]

    await same("?type=UserSuspended", those(type="UserSuspended"))
    both = [each for each in lines if each["type"] in ("UserSuspended", "AdminLoggedIn")]
    await same("?type=UserSuspended&type=AdminLoggedIn", both)
    for entity in {each["entity"] for each in lines}:
        await same(f"?entity={entity}", those(entity=entity))
    await same("?entity=User&type=UserRegistered", those(type="UserRegistered"))
    await same(f"?entityId={two['id']}", those(subject=two["id"]))
    await same(f"?entityId={two['userId']}&type=UserSuspended", those(type="UserSuspended"))
    await same(f"?actorId={me}", those(actorid=me))
    since = lines[one["position"] - 1]["recordedat"]
    await same(f"?from={since}", [each for each in lines if each["recordedat"] >= since])
    upto = [each for each in lines if each["recordedat"] <= since]
    await same(f"?to={since}", upto)
    assert await everything(admin, "?entityId=USR-2020-999999") == []
    assert await everything(admin, "?entity=Loan&type=UserSuspended") == []
    for query in ("type=Nothing", "entity=X", "limit=0", "after=x", "from=x", "a=1", "after="):
        answer = await admin.get(f"/v1/events?{query}")
        assert answer.status_code == 422, query
    assert (await admin.get("/v1/events?limit=201")).status_code == 422
    assert (await admin.post("/v1/events", {})).status_code == 405


async def test_rare_events_are_found_however_far_a_page_looks(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.routes.events.SCAN", 3)
    monkeypatch.setattr("api.routes.event_log.SCAN", 3)
    monkeypatch.setattr("api.routes.event_log.PAGE", 2)
    async with running(database) as admin:
        made = await admin.user()
        await admin.post(f"/v1/users/{made['id']}/suspend", {"reason": "late"})
        query = "/v1/events?type=UserRegistered&type=UserSuspended"
        found = await paged(admin, query, 50)
        assert [each["type"] for each in found] == ["UserRegistered", "UserSuspended"]
        lines = await admin.get(query, headers=NDJSON)
        assert [json.loads(line) for line in lines.text.splitlines()] == found


async def test_persons_are_hidden_shown_and_after_erasure_gone(admin: Client) -> None:
    user = (await admin.post("/v1/users", ADA)).json()
    watcher = await admin.take_on("watcher", READ_EVENTS, READ_USERS)
    query = f"?entityId={user['userId']}&type=UserRegistered"
    (shown,), (hidden,) = await everything(admin, query), await everything(watcher, query)
    assert (shown["data"]["phone"], shown["data"]["name"]) == ("+2348031234567", "Ada")
    assert (hidden["data"]["phone"], hidden["data"]["name"]) == ("***", "***")
    assert hidden | {"data": 0} == shown | {"data": 0}
    log = "SELECT admin_name FROM ledger.activity WHERE action = 'Export'"
    assert await admin.app.state.context.pool.rows(log) == [("admin",)]
    assert (await admin.post(f"/v1/users/{user['id']}/erase", {})).status_code == 200
    for reader in (admin, watcher):
        (gone,) = await everything(reader, query)
        assert (gone["erased"], gone["data"]["phone"], gone["data"]["email"]) == (
            True,
            None,
            None,
        )
        assert gone["data"]["userId"] == user["userId"]


def test_words_that_only_look_sealed_are_no_secret_and_no_error() -> None:
    person = UUID(int=7)
    look = f"~1.AAAA.{person.hex}.x"
    body = (
        '{"id":"01900000-0000-7000-8000-000000000001","stamp":{"at":"2026-01-01T00:00:00Z",'
        '"actor":{"type":"system","name":"system"}},"data":{"reason":"' + look + '"}}'
    )
    at = datetime(2026, 1, 1, tzinfo=UTC)
    line = Line(1, person, 2, "UserSuspended", body.encode(), at)
    assert cloud_events.persons_in([line]) == {person}
    reader = cloud_events.Reader(sees=True, keys={}, origin="")
    assert json.loads(cloud_events.shown(line, reader))["data"] == {"reason": None}


async def test_every_object_has_its_own_events(admin: Client) -> None:
    user = await admin.user()
    await admin.post(f"/v1/users/{user['id']}/suspend", {"reason": "late"})
    for either in (user["id"], user["userId"]):
        page = (await admin.get(f"/v1/users/{either}/events")).json()
        assert [each["type"] for each in page["items"]] == ["UserRegistered", "UserSuspended"]
        assert page["nextAfter"] is None
    assert len(await paged(admin, f"/v1/users/{user['id']}/events", 1)) == 2
    config = "/v1/system-config/lending/autoApprove/events"
    told = await admin.get(config, headers=await admin.caught_up())
    assert [each["type"] for each in told.json()["items"]] == ["SystemConfigSet"]
    for path in (f"/v1/loans/{user['id']}", "/v1/users/x", "/v1/users/USR-2020-999999"):
        answer = await admin.get(f"{path}/events")
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")


def test_every_resource_that_is_a_stream_has_a_route_to_its_events() -> None:
    paths = {route.path for route in ROUTES}
    streams = [each for each in ROUTES if isinstance(each, One) and each.row.OF in ENTITIES]
    assert len(streams) >= 5
    assert {f"{each.path}/events" for each in streams} <= paths


async def test_reading_the_log_needs_its_permission(admin: Client) -> None:
    user = await admin.user()
    clerk = await admin.take_on("clerk", {"resource": "users", "actions": ["read"]})
    for path in ("/v1/events", "/v1/events/schemas", "/v1/events/schemas/LoanApproved"):
        assert (await clerk.get(path)).status_code == 403
    assert (await clerk.get(f"/v1/users/{user['id']}/events")).status_code == 200
    nobody = Client(admin.http, admin.app)
    assert (await nobody.get("/v1/events")).status_code == 401
    async with Stream.open(clerk, "/v1/events") as stream:
        assert await stream.block() is None
        assert stream.status == 403


async def test_schemas_are_listed_and_an_unknown_one_is_not_found(admin: Client) -> None:
    listed = (await admin.get("/v1/events/schemas")).json()["items"]
    assert [each["type"] for each in listed] == sorted(EVENTS)
    assert all(each["schema"]["$id"] == each["dataschema"] for each in listed)
    for path, status in (("Nothing", 404), ("LoanApproved?version=9", 422)):
        assert (await admin.get(f"/v1/events/schemas/{path}")).status_code == status
    phone = schema_of(EVENTS["UserRegistered"])["properties"]["phone"]
    assert phone["description"] == "Personal."


async def test_the_async_api_document_names_every_event_and_its_references_lead_somewhere(
    admin: Client,
) -> None:
    said = (await Client(admin.http, admin.app).get("/asyncapi.json")).json()
    assert said["asyncapi"] == "3.0.0"
    assert said["channels"]["events"]["messages"].keys() == EVENTS.keys()

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if isinstance(place := value.get("$ref"), str):
                at = said
                for word in place.removeprefix("#/").split("/"):
                    at = at[word]
            value = list(value.values())
        if isinstance(value, list):
            for each in value:
                look(each)

    look(said)


async def test_a_live_stream_gives_what_was_and_then_what_happens(admin: Client) -> None:
    before = await everything(admin)
    async with Stream.open(admin, "/v1/events") as stream:
        for event in before:
            assert await stream.event() == (event["position"], event)
        assert stream.headers["content-type"] == "text/event-stream"
        user = await admin.user()
        position, event = await stream.event() or (0, {})
        assert (position, event["subject"]) == (user["position"], user["id"])
    async with Stream.open(admin, "/v1/events", **{"Last-Event-ID": str(position)}) as stream:
        again = await admin.user(1)
        assert (await stream.event() or (0, {}))[0] == again["position"]
    path = f"/v1/users/{user['id']}/events?after=0"
    async with Stream.open(admin, path) as stream:
        await admin.user(2)
        await admin.post(f"/v1/users/{user['id']}/suspend", {"reason": "late"})
        seen = [(await stream.event() or (0, {}))[1]["type"] for _ in range(2)]
        assert seen == ["UserRegistered", "UserSuspended"]
    last = ("?limit=1", "0"), ("?to=2026-01-01T00:00:00Z", "0"), ("", "x"), ("", "99999999")
    for query, header in last:
        answer = await admin.get(
            f"/v1/events{query}",
            headers={"Accept": "text/event-stream", "Last-Event-ID": header},
        )
        assert answer.status_code == 422


async def test_silence_is_broken_by_a_heartbeat(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "HEARTBEAT", 0.0)
    monkeypatch.setattr(live, "CHECK", 0.05)
    async with running(database) as admin:
        head = admin.app.state.context.ledger.head
        async with Stream.open(admin, f"/v1/events?after={head}") as stream:
            assert await stream.block() == "retry: 1000"
            assert await stream.block() == ": heartbeat"


@pytest.mark.parametrize("ending", ["logout", "suspended", "demoted", "stopping"])
async def test_a_live_stream_ends_with_the_right_to_read_it(
    ending: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "CHECK", 0.05)
    async with running(database) as admin:
        watcher = await admin.take_on("watcher", READ_EVENTS, READ_USERS)
        async with Stream.open(watcher, "/v1/events?type=LoanRequested") as stream:
            assert await stream.block() == "retry: 1000"
            if ending == "stopping":
                admin.app.state.context.stopping.set()
            else:
                await end_rights(ending, admin, watcher)
            assert await stream.event() is None


async def test_reading_a_live_stream_keeps_its_session_alive_until_the_session_ends(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "CHECK", 0.05)
    async with running(database) as admin:
        watcher = await admin.take_on("watcher", READ_EVENTS, READ_USERS)
        idler = await admin.as_("watcher")
        seen = "SELECT count(*) FROM ledger.events WHERE name = 'AdminSeen' AND stream_id = %s"
        me = (await watcher.get("/v1/auth/me")).json()["id"]
        context = admin.app.state.context
        async with Stream.open(watcher, "/v1/events?type=UserRegistered") as stream:
            for number, minutes in enumerate(range(0, 12 * 60, 12)):
                let_pass(admin, minutes=minutes)
                if number % 2:  # In silence as well.
                    while await context.pool.rows(seen, [me]) != [(number,)]:  # noqa: ASYNC110 - silence
                        await asyncio.sleep(0.01)
                else:
                    await admin.user(number)
                    assert await stream.event() is not None
            let_pass(admin, minutes=12 * 60 + 1)
            assert await stream.event() is None
        for each in (watcher, idler):
            again = await each.get("/v1/events")
            assert (again.status_code, again.json()["code"]) == (401, "unauthenticated")


async def test_whoever_comes_to_see_persons_in_a_live_stream_leaves_a_line(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "CHECK", 0.05)
    async with running(database) as admin:
        watcher = await admin.take_on("watcher", READ_EVENTS, READ_USERS)
        roles = (await admin.get("/v1/admin-roles", headers=await admin.caught_up())).json()
        (role,) = [each["id"] for each in roles["items"] if each["name"] == "watcher"]
        log = "SELECT admin_name FROM ledger.activity WHERE action = 'Follow'"
        async with Stream.open(watcher, "/v1/events?type=UserRegistered") as stream:
            assert await stream.block() == "retry: 1000"
            pii = {"resource": "users.pii", "actions": ["read"]}
            seeing = [READ_EVENTS, READ_USERS, pii]
            path = f"/v1/admin-roles/{role}"
            assert (await admin.ask("PATCH", path, {"permissions": seeing})).status_code == 200
            shown, number = "***", 0
            while shown == "***":
                await admin.user(number := number + 1)
                _, event = await stream.event() or (0, {})
                shown = event["data"]["name"]
            assert shown == "Ada"
        assert await admin.app.state.context.pool.rows(log) == [("watcher",)]


async def followed(client: Client, upto: int, leaving_after: int) -> list[int]:
    """The positions up to one, read live by somebody who leaves and comes back ever again."""
    seen = [0]
    while seen[-1] < upto:
        async with Stream.open(client, "/v1/events", **{"Last-Event-ID": str(seen[-1])}) as stream:
            for _ in range(min(leaving_after, upto - seen[-1])):
                event = await stream.event()
                assert event is not None
                seen.append(event[0])
    return seen[1:]


async def polled(client: Client, upto: int) -> list[int]:
    """The same, by asking for lines again and again."""
    seen = [0]
    while seen[-1] < upto:
        seen += [each["position"] for each in await everything(client, f"?after={seen[-1]}")]
    return seen[1:]


async def test_readers_see_each_event_once_and_in_order_while_writers_write(admin: Client) -> None:
    last = admin.app.state.context.ledger.head + 4 * 25

    async def write(writer: int) -> None:
        for number in range(25):
            await admin.user(1000 * writer + number)

    readers = [followed(admin, last, 7), followed(admin, last, last), polled(admin, last)]
    seen = await asyncio.gather(*readers, *(write(n) for n in range(4)))
    assert seen[:3] == [[*range(1, last + 1)]] * 3

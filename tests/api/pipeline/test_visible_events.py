"""Events follow the right to read what they are about; nobody is shown what links the erased."""

import json
from typing import Any

import psycopg
import pytest

from api.catalogue import TABLE
from api.pipeline.rights import Rights
from rim_ledger.catalogue import ENTITIES, EVENTS
from rim_ledger.engine.aggregate import SYSTEM
from rim_ledger.vault.personal_keys import kept_back
from tests.api.conftest import ADA, Client, running
from tests.api.pipeline.streaming import Stream
from tests.api.routes.test_events import everything, paged
from tests.api.routes.test_proofs import sealed
from tests.api.routes.test_support import Context


def reads(*resources: str) -> list[dict[str, Any]]:
    return [{"resource": each, "actions": ["read"]} for each in resources]


def test_every_entity_has_a_right_that_it_is_read_by() -> None:
    assert {kind.__name__ for kind in ENTITIES} <= TABLE.entities.keys()
    assert TABLE.entities["Statement"] == ("statements", "read")
    everybody = Rights(SYSTEM, frozenset(TABLE.entities.values()), TABLE.entities)
    assert everybody.reads == TABLE.entities.keys()


async def test_events_about_what_one_may_not_read_are_left_out_of_pages_and_lines(
    admin: Client,
) -> None:
    clerk = await admin.take_on("clerk", *reads("events", "users"))
    await admin.user()
    whole = await everything(admin)
    kinds = {"User", "CustomerAccess"}
    due = [each["position"] for each in whole if each["entity"] in kinds]
    assert [each["position"] for each in await everything(clerk)] == due
    for limit in (1, 3, 200):
        found = await paged(clerk, "/v1/events", limit)
        assert [each["position"] for each in found] == due
    for query in ("?entity=AdminRole", "?type=AdminCreated", "?entity=SystemConfig&type="):
        answer = await clerk.get(f"/v1/events{query.removesuffix('&type=')}")
        assert (answer.json()["items"], answer.json()["nextAfter"]) == ([], None)
    subject = next(each["subject"] for each in whole if each["entity"] == "AdminUser")
    assert (await clerk.get(f"/v1/events?entityId={subject}")).json()["items"] == []
    assert (await clerk.get(f"/v1/admin-users/{subject}/events")).status_code == 403
    nobody = await admin.take_on("nobody", *reads("events"))
    assert await everything(nobody) == []


async def test_a_live_stream_passes_over_what_is_hidden_and_says_how_far_it_is(
    admin: Client,
) -> None:
    clerk = await admin.take_on("clerk", *reads("events", "users"))
    head = admin.app.state.context.ledger.head
    path = f"/v1/events?after={head}"
    async with Stream.open(clerk, path) as stream:
        assert await stream.block() == "retry: 1000"
        role = {"name": "hidden", "permissions": reads("loans")}
        assert (await admin.post("/v1/admin-roles", role)).status_code == 201
        block = await stream.block()
        assert block == f"id: {admin.app.state.context.ledger.head}"
        await admin.user()
        event = await stream.event()
        assert event
        assert event[1]["type"] == "UserRegistered"


async def test_rights_that_are_lost_are_lost_in_a_live_stream(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.routes.live.CHECK", 0.0)
    async with running(database) as admin:
        clerk = await admin.take_on("clerk", *reads("events", "users"))
        roles = (await admin.get("/v1/admin-roles", headers=await admin.caught_up())).json()
        (role,) = [each["id"] for each in roles["items"] if each["name"] == "clerk"]
        async with Stream.open(clerk, "/v1/events?type=UserRegistered") as stream:
            await admin.user(1)
            assert await stream.event()
            less = {"permissions": reads("events")}
            assert (await admin.ask("PATCH", f"/v1/admin-roles/{role}", less)).is_success
            await admin.user(2)
            assert await stream.block() == f"id: {admin.app.state.context.ledger.head}"


async def test_an_agent_reads_no_events_and_no_audit_rows_of_tickets_of_others(
    admin: Client,
) -> None:
    context = await Context(admin).begin()
    ann = await context.agent("ann")
    own, others = await context.open(), await context.open()
    mine = {"assignedTo": context.ids[ann]}
    theirs = {"assignedTo": context.ids[await context.agent("bob")]}
    for ticket, whose in ((own, mine), (others, theirs)):
        made = await admin.post(f"/v1/tickets/{ticket}/assign", whose)
        assert made.status_code == 200, made.text
    roles = (await admin.get("/v1/admin-roles", headers=await admin.caught_up())).json()["items"]
    (role,) = [each for each in roles if each["id"] == context.role]
    more = {"permissions": role["permissions"] + reads("events", "audit_logs")}
    changed = await admin.ask("PATCH", f"/v1/admin-roles/{role['id']}", more)
    assert changed.status_code == 200, changed.text
    ann = await admin.as_("ann")
    subjects = {each["subject"] for each in await everything(ann, "?entity=Ticket")}
    assert subjects == {own}
    seen = await paged(ann, "/v1/events?entity=Ticket", 1)
    assert {each["subject"] for each in seen} == {own}
    rows = (await ann.get("/v1/audit-logs?entity=Ticket&limit=200")).json()["items"]
    assert {each["entityId"] for each in rows} == {own}


async def test_audit_rows_follow_the_right_to_read_what_they_are_about(admin: Client) -> None:
    clerk = await admin.take_on("clerk", *reads("audit_logs", "users"))
    await admin.user()
    fresh = await admin.caught_up()
    whole = (await admin.get("/v1/audit-logs?limit=200", headers=fresh)).json()["items"]
    hidden = next(each for each in whole if each["entity"] == "AdminUser")
    shown = (await clerk.get("/v1/audit-logs?limit=200")).json()["items"]
    assert {each["entity"] for each in shown} == {"User"}
    assert (await admin.get(f"/v1/audit-logs/{hidden['id']}")).status_code == 200
    assert (await clerk.get(f"/v1/audit-logs/{hidden['id']}")).status_code == 404


async def test_the_stored_bytes_are_for_who_may_see_persons_and_the_event(
    admin: Client, database: str
) -> None:
    await admin.user()
    await sealed(database)
    (event,) = await everything(admin, "?type=UserRegistered")
    path = f"/v1/events/{event['position']}/proof"
    whole = (await admin.get(path)).json()
    assert "phoneHash" in whole["entry"]
    for resources in (("events",), ("events", "users"), ("events", "users.pii")):
        reader = await admin.take_on("-".join(resources).replace(".", "_"), *reads(*resources))
        proof = (await reader.get(path)).json()
        assert proof["entry"] is None
        assert (proof["leaf"], len(proof["hashes"])) == (whole["leaf"], len(whole["hashes"]))
    reader = await admin.take_on("reader", *reads("events", "users", "users.pii"))
    assert (await reader.get(path)).json()["entry"] == whole["entry"]


async def test_what_phones_and_e_mails_are_claimed_by_is_shown_nowhere(
    admin: Client, database: str
) -> None:
    user = (await admin.post("/v1/users", ADA)).json()
    body = {"phone": "08055550000", "email": "new@example.com"}
    assert (await admin.ask("PATCH", f"/v1/users/{user['id']}", body)).is_success
    query = "SELECT string_agg(body, '') FROM ledger.events WHERE name = ANY (%s)"
    names = [name for name, event in EVENTS.items() if kept_back(event)]
    assert sorted(names) == [
        "AdminContactChanged",
        "AdminCreated",
        "UserContactChanged",
        "UserRegistered",
    ]
    with psycopg.connect(database) as connection:
        (stored,) = connection.execute(query, [names]).fetchone() or ("",)
    assert "phoneHash" in stored
    log = json.dumps(await everything(admin))
    rows = (await admin.get("/v1/audit-logs?limit=200", headers=await admin.caught_up())).text
    schemas = (await admin.get("/v1/events/schemas")).text
    for text in (log, rows, schemas, (await admin.get("/asyncapi.json")).text):
        assert "phoneHash" not in text
        assert "emailHash" not in text

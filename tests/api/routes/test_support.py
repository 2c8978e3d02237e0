"""The support desk over HTTP: agents, tickets, what is said in them, and who sees what."""

import asyncio
import json
from collections import Counter
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from projections.follow.rebuild import rebuild
from rim_ledger.schedule import tick
from tests.api.conftest import ADA, PASSWORD, WORLD, Client, vault_of

DESK = (
    {"resource": "tickets", "actions": ["read", "write"]},
    {"resource": "agents", "actions": ["read"]},
    {"resource": "departments", "actions": ["read"]},
    {"resource": "users", "actions": ["read"]},
    {"resource": "users.pii", "actions": ["read"]},
)
QUESTION = {"subject": "No airtime", "description": "It never came.", "category": "transaction"}


class Context:
    """A running support desk: a lead, who may do everything, and a customer."""

    def __init__(self, lead: Client) -> None:
        self.lead = lead
        self.ids: dict[Client, str] = {}
        self.hired = 0
        self.role = self.customer = self.billing = ""

    async def begin(self) -> "Context":
        role = {"name": "desk", "permissions": list(DESK)}
        self.role = (await self.lead.post("/v1/admin-roles", role)).json()["id"]
        self.customer = (await self.lead.post("/v1/users", ADA)).json()["id"]
        self.billing = await self.department("Billing")
        return self

    async def department(self, name: str) -> str:
        made = await self.lead.post("/v1/departments", {"name": name})
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    async def admin(self, name: str) -> str:
        form = {"username": name, "email": f"{name}@rim.example", "password": PASSWORD}
        self.hired += 1
        more = {"roleId": self.role, "phone": f"080312345{self.hired:02}"}
        made = await self.lead.post("/v1/admin-users", form | more)
        assert made.status_code == 201, made.text
        return str(made.json()["id"])

    async def agent(self, name: str, tier: int = 1, department: str = "") -> Client:
        """Somebody new at the desk, logged in."""
        admin = await self.admin(name)
        form = {"id": admin, "department": department or self.billing, "tier": tier}
        made = await self.lead.post("/v1/support-agents", form)
        assert made.status_code == 201, made.text
        assert made.headers["Location"] == f"/v1/support-agents/{admin}"
        client = await self.lead.as_(name)
        self.ids[client] = admin
        return client

    async def open(self, **more: Any) -> str:
        made = await self.lead.post("/v1/tickets", QUESTION | {"customerId": self.customer} | more)
        assert made.status_code == 201, made.text
        assert made.json()["ticketNumber"].startswith("TKT-")
        return str(made.json()["id"])

    async def row(self, path: str, by: Client | None = None) -> dict[str, Any]:
        answer = await (by or self.lead).get(path, headers=await self.lead.caught_up())
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def items(self, path: str, by: Client | None = None) -> list[dict[str, Any]]:
        return list((await self.row(path, by))["items"])


def ids(rows: list[dict[str, Any]]) -> set[str]:
    return {row["id"] for row in rows}


async def test_a_ticket_goes_its_way_and_every_step_is_seen(admin: Client, database: str) -> None:
    context = await Context(admin).begin()
    ann, cyn = await context.agent("ann"), await context.agent("cyn", tier=2)
    ticket = await context.open(priority="high", tags=["vip"], department=context.billing)
    path = f"/v1/tickets/{ticket}"
    before = await context.row(path)
    assert {**before, **QUESTION, "customerName": "Ada", "status": "open"} == before
    assert before["customerEmail"] == "ada@example.com"
    steps = [
        (ann, "assign", {"assignedTo": context.ids[ann]}, "open"),
        (ann, "messages", {"message": "<script>alert(1)</script>"}, "in-progress"),
        (ann, "escalate", {"to": context.ids[cyn], "reason": "too hard"}, "escalated"),
        (cyn, "accept", {}, "in-progress"),
        (cyn, "resolve", {"resolution": "sent again"}, "resolved"),
        (admin, "reopen", {"reason": "it came back"}, "in-progress"),
        (cyn, "resolve", {"resolution": "sent once more"}, "resolved"),
        (admin, "close", {}, "closed"),
    ]
    for who, step, body, status in steps:
        done = await who.post(f"{path}/{step}", body, headers={"Prefer": "return=representation"})
        assert done.status_code == 200, done.text
        assert done.json()["status"] == status, step
    row = await context.row(path)
    assert (row["assignedTo"], row["assignedToName"]) == (context.ids[cyn], "cyn")
    assert (row["messageCount"], row["breached"], row["tags"]) == (1, False, ["vip"])
    assert row["resolution"] == "sent once more"
    (message,) = await context.items(f"{path}/messages")
    assert message["message"] == "<script>alert(1)</script>"
    assert (message["senderName"], message["senderType"]) == ("ann", "agent")
    history = await context.items(f"{path}/history?sort=timestamp")
    assert [each["action"] for each in history] == [
        "TicketOpened",
        "TicketAssigned",
        "MessagePosted",
        "TicketStarted",
        "TicketEscalated",
        "TicketEscalationAccepted",
        "TicketResolved",
        "TicketReopened",
        "TicketResolved",
        "TicketClosed",
    ]
    assert history[4]["details"] == "too hard"
    assert (history[4]["performedBy"], history[4]["performedByName"]) == (
        context.ids[ann],
        "ann",
    )
    late = await ann.post(f"{path}/messages", {"message": "one more"})
    assert (late.status_code, late.json()["code"]) == (409, "invalid-transition")
    assert (await admin.ask("DELETE", path)).status_code == 405
    assert (await admin.post(f"{path}/history", {})).status_code == 405
    audit = await context.items(f"/v1/audit-logs?entityId={context.ids[ann]}&entity=SupportAgent")
    assert audit[-1]["action"] == "AgentCreated"
    found = await rebuild(database, vault_of(database), check=True)
    assert found.differences == ()


async def test_counts_follow_and_are_the_same_after_a_rebuild(admin: Client, database: str) -> None:
    context = await Context(admin).begin()
    ann = await context.agent("ann")
    mine = context.ids[ann]
    one, two = await context.open(), await context.open()
    for ticket in (one, two):
        await ann.post(f"/v1/tickets/{ticket}/assign", {"assignedTo": mine})
    await admin.ask("PATCH", f"/v1/admin-users/{mine}", {"name": "Ann", "phone": "08031110000"})
    await ann.post(f"/v1/tickets/{one}/messages", {"message": "Hello"})
    await ann.post(f"/v1/tickets/{one}/resolve", {"resolution": "done"})
    row = await context.row(f"/v1/support-agents/{mine}")
    shown = {"id": mine, "name": "Ann", "activeTickets": 1, "tier": 1, "status": "available"}
    assert shown | row == row
    assert (row["phone"], row["department"]) == ("+2348031110000", context.billing)
    assert (await context.row(f"/v1/departments/{context.billing}"))["agentCount"] == 1
    assert (await context.row(f"/v1/tickets/{two}"))["assignedToName"] == "Ann"
    (message,) = await context.items(f"/v1/tickets/{one}/messages")
    assert not message["isRead"]
    found = await rebuild(database, vault_of(database), check=True)
    assert found.differences == ()
    busy = await admin.ask("DELETE", f"/v1/support-agents/{mine}")
    assert (busy.status_code, busy.json()["code"]) == (409, "agent-has-tickets")
    await ann.post(f"/v1/tickets/{two}/resolve", {"resolution": "done"})
    assert (await admin.ask("DELETE", f"/v1/support-agents/{mine}")).status_code == 200
    assert (await admin.ask("DELETE", f"/v1/departments/{context.billing}")).status_code == 200
    assert (await context.row(f"/v1/departments/{context.billing}"))["agentCount"] == 0


async def test_a_message_is_read_once_the_other_side_has_read_it(admin: Client) -> None:
    context = await Context(admin).begin()
    ticket = await context.open()
    path = f"/v1/tickets/{ticket}/messages"
    for number in range(3):
        await admin.post(path, {"message": f"message {number}"})
    said = await context.items(f"{path}?sort=createdAt")
    assert [each["message"] for each in said] == [f"message {n}" for n in range(3)]
    await admin.post(f"{path}/read")
    assert [each["isRead"] for each in await context.items(path)] == [False] * 3
    history = await context.items(f"/v1/tickets/{ticket}/history")
    assert Counter(each["action"] for each in history) == {
        "TicketOpened": 1,
        "MessagePosted": 3,
    }


async def test_two_claims_at_once_one_has_it(admin: Client) -> None:
    context = await Context(admin).begin()
    ann, bob = await context.agent("ann"), await context.agent("bob")
    for _ in range(5):
        path = f"/v1/tickets/{await context.open()}/assign"
        answers = await asyncio.gather(
            *(who.post(path, {"assignedTo": context.ids[who]}) for who in (ann, bob))
        )
        assert sorted(each.status_code for each in answers) == [200, 409]
        (lost,) = (each for each in answers if each.status_code == 409)
        assert lost.json()["code"] == "already-assigned"


async def test_an_agent_sees_the_own_tickets_and_no_trace_of_others(admin: Client) -> None:
    context = await Context(admin).begin()
    other = await context.department("Other")
    ann, eve = await context.agent("ann"), await context.agent("eve", department=other)
    ours = await context.open(department=context.billing)
    theirs = await context.open(department=other)
    nobodys, anns = await context.open(), await context.open()
    await ann.post(f"/v1/tickets/{anns}/assign", {"assignedTo": context.ids[ann]})
    assert ids(await context.items("/v1/tickets")) == {ours, theirs, nobodys, anns}
    assert ids(await context.items("/v1/tickets", ann)) == {ours, nobodys, anns}
    assert ids(await context.items("/v1/tickets", eve)) == {theirs, nobodys}
    own = await context.items(f"/v1/users/{context.customer}/tickets?sort=createdAt&limit=2", eve)
    assert [row["id"] for row in own] == [theirs, nobodys]
    fresh = await admin.caught_up()
    hidden, nothing = f"/v1/tickets/{ours}", f"/v1/tickets/{context.customer}"
    for path in (hidden, nothing):
        for asked in (
            await eve.get(path, headers=fresh),
            await eve.get(f"{path}/messages", headers=fresh),
            await eve.get(f"{path}/history", headers=fresh),
            await eve.get(f"{path}/attachments/{context.customer}"),
            await eve.post(f"{path}/messages", {"message": "Hello"}),
            await eve.post(f"{path}/messages", {"unknown": "field"}),
            await eve.post(f"{path}/close", {}),
            await eve.post(f"{path}/attachments", files={"file": ("a.txt", b"text")}),
        ):
            told = asked.json()
            assert (asked.status_code, told["detail"]) == (
                404,
                "There is no ticket of that id.",
            )
    number = (await context.row(hidden))["ticketNumber"]
    assert (await eve.get(f"/v1/tickets/{number}")).status_code == 404
    assert (await ann.get(f"/v1/tickets/{number}")).json()["id"] == ours
    nobody = await admin.take_on("nobody", {"resource": "users", "actions": ["read"]})
    assert (await nobody.get("/v1/tickets")).status_code == 403
    assert (await nobody.post("/v1/tickets/auto-assign")).status_code == 403


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status=open", ["one", "two"]),
        ("status=resolved&status=closed", ["three"]),
        ("priority=urgent", ["one"]),
        ("category=loan&category=billing", ["two", "three"]),
        ("tag=vip", ["one", "three"]),
        ("tag=vip&tag=late", ["one", "two", "three"]),
        ("tags=late", ["two"]),
        ("assignedTo={ann}", ["two"]),
        ("department={billing}", ["one"]),
        ("customerId={customer}", ["one", "two", "three"]),
        ("breached=false", ["one", "two", "three"]),
        ("breached=true", []),
        ("createdAtTo=2020-01-01T00:00:00Z", []),
    ],
)
async def test_tickets_are_found_by_what_is_known_of_them(
    admin: Client, query: str, found: list[str]
) -> None:
    context = await Context(admin).begin()
    ann = await context.agent("ann")
    given: dict[str, dict[str, Any]] = {
        "one": {"priority": "urgent", "tags": ["vip"], "department": context.billing},
        "two": {"category": "loan", "tags": ["late"]},
        "three": {"category": "billing", "tags": ["vip", "new"]},
    }
    tickets = {name: await context.open(**more) for name, more in given.items()}
    await ann.post(f"/v1/tickets/{tickets['two']}/assign", {"assignedTo": context.ids[ann]})
    await ann.post(f"/v1/tickets/{tickets['three']}/resolve", {"resolution": "done"})
    words = query.format(ann=context.ids[ann], billing=context.billing, customer=context.customer)
    rows = await context.items(f"/v1/tickets?{words}&sort=createdAt")
    assert [row["id"] for row in rows] == [tickets[name] for name in found]


async def test_waiting_tickets_are_given_away_on_request_and_told_again_under_the_same_key(
    admin: Client,
) -> None:
    context = await Context(admin).begin()
    ann, bob = await context.agent("ann"), await context.agent("bob")
    for _ in range(4):
        await context.open()
    key = {"Idempotency-Key": "once"}
    first = await ann.post("/v1/tickets/auto-assign", {}, headers=key)
    again = await ann.post("/v1/tickets/auto-assign", {}, headers=key)
    assert first.json() == again.json()
    assert (first.json()["assigned"], again.headers["Idempotency-Replayed"]) == (4, "true")
    (line,) = await context.items("/v1/admin-activity-logs?action=AutoAssign")
    assert (line["adminName"], line["details"]["outcome"]) == ("ann", "done")
    rows = await context.items("/v1/support-agents")
    assert [row["activeTickets"] for row in rows] == [2, 2]
    assert (await ann.post("/v1/tickets/auto-assign")).json()["assigned"] == 0
    wrong = await ann.post("/v1/tickets/auto-assign", {"who": "me"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid-fields")
    place = await ann.post("/v1/tickets/auto-assign", {"department": context.customer})
    assert (place.status_code, place.json()["code"]) == (422, "unknown-department")
    away = f"/v1/support-agents/{context.ids[bob]}/availability"
    assert (await ann.post(away, {"status": "away"})).status_code == 403
    assert (await bob.post(away, {"status": "away"})).status_code == 200
    assert (await bob.post(away, {"status": "asleep"})).status_code == 422
    missing = "/v1/support-agents/nobody/availability"
    assert (await admin.post(missing, {"status": "away"})).status_code == 404


async def test_a_users_timeline_tells_in_order_what_the_reader_may_see(admin: Client) -> None:
    context = await Context(admin).begin()
    other = await context.department("Other")
    eve = await context.agent("eve", department=other)
    loan = {"userId": context.customer, "amount": 100, "network": "MTN"}
    made = (await admin.post("/v1/loans", loan)).json()["id"]
    ticket = await context.open(department=context.billing)
    payment = {"type": "repayment", "userId": context.customer, "amount": 5}
    paid = await admin.post("/v1/transactions", payment | {"paymentMethod": "cash"})
    assert paid.status_code == 201, paid.text
    await admin.post(f"/v1/tickets/{ticket}/priority", {"priority": "urgent"})
    theirs = await context.open(department=other)
    path = f"/v1/users/{context.customer}/timeline"
    rows = await context.items(path)
    told = [(row["entity"], row["action"], row["entityId"]) for row in rows]
    money = paid.json()["id"]
    assert told == [
        ("Loan", "LoanRequested", made),
        ("Ticket", "TicketOpened", ticket),
        ("Transaction", "TransactionRecorded", money),
        ("Transaction", "TransactionCompleted", money),
        ("Ticket", "TicketPriorityChanged", ticket),
        ("Ticket", "TicketOpened", theirs),
    ]
    assert [row["position"] for row in rows] == sorted(row["position"] for row in rows)
    assert rows[4]["changes"] == {"priority": {"old": "medium", "new": "urgent"}}
    assert rows[1]["changes"]["subject"]["new"] == QUESTION["subject"]
    assert [row["entityId"] for row in await context.items(path, eve)] == [theirs]
    pages = []
    cursor: str | None = ""
    while cursor is not None:
        more = f"&cursor={cursor}" if cursor else ""
        page = await context.row(f"{path}?limit=4{more}")
        pages.append(len(page["items"]))
        cursor = page["nextCursor"]
    assert pages == [4, 2]
    assert len(await context.items(f"{path}?entity=Ticket")) == 3
    assert (await admin.get(f"/v1/users/{ticket}/timeline")).status_code == 404


async def test_the_clock_tells_of_broken_promises_and_closes_what_stayed_resolved(
    admin: Client,
) -> None:
    context = await Context(admin).begin()
    late, answered, resolved = await context.open(), await context.open(), await context.open()
    await admin.post(f"/v1/tickets/{answered}/messages", {"message": "Hello"})
    await admin.post(f"/v1/tickets/{resolved}/resolve", {"resolution": "done"})
    dispatch = admin.app.state.context.dispatch
    now = WORLD.now()
    assert await tick(dispatch, now) == 0
    await tick(dispatch, now + timedelta(hours=5))
    assert ids(await context.items("/v1/tickets?breached=true")) == {late}
    await tick(dispatch, now + timedelta(hours=73))
    assert ids(await context.items("/v1/tickets?breached=true")) == {late, answered}
    assert ids(await context.items("/v1/tickets?status=closed")) == {resolved}
    row = await context.row(f"/v1/tickets/{late}")
    assert (row["responseOverdue"], row["resolutionOverdue"]) == (True, True)
    history = await context.items(f"/v1/tickets/{resolved}/history")
    told = (history[0]["action"], history[0]["performedBy"], history[0]["performedByName"])
    assert told == ("TicketClosed", None, "system")


async def test_thirty_two_agents_give_away_five_hundred_tickets_at_once(
    admin: Client, database: str
) -> None:
    """None twice, none lost, and nobody has two more than another."""

    context = await Context(admin).begin()
    agents = [await context.agent(f"agent{n}") for n in range(32)]
    body = QUESTION | {"customerId": context.customer}
    line = json.dumps({"op": "POST /v1/tickets", "body": body}) + "\n"
    opening = admin.post(
        "/v1/bulk", content=line * 500, headers={"Content-Type": "application/x-ndjson"}
    )

    async def ask(agent: Client) -> int:
        answer = await agent.post("/v1/tickets/auto-assign")
        assert answer.status_code == 200, answer.text
        return int(answer.json()["assigned"])

    opened, *counts = await asyncio.gather(opening, *(ask(each) for each in agents))
    assert opened.text.count('"status": 201') == 500
    counts += await asyncio.gather(*(ask(each) for each in agents))
    assert sum(counts) == 500
    rows = await context.items("/v1/tickets?limit=200")
    loads = Counter(
        {row["id"]: row["activeTickets"] for row in await context.items("/v1/support-agents")}
    )
    assert (len(loads), loads.total()) == (32, 500)
    assert max(loads.values()) - min(loads.values()) <= 1
    assert all(row["assignedTo"] in loads and row["status"] == "open" for row in rows)
    async with await psycopg.AsyncConnection.connect(database) as connection:
        cursor = await connection.execute(
            "SELECT count(*), count(DISTINCT stream_id) FROM ledger.events"
            " WHERE name = 'TicketAssigned'"
        )
        assert await cursor.fetchone() == (500, 500)
    assert (await rebuild(database, vault_of(database), check=True)).differences == ()

"""What `?asOf=` answers is what was answered then, byte for byte."""

from typing import Any, Final, NamedTuple

import pytest

from tests.api.conftest import ADA, Client, running
from tests.api.pipeline.streaming import Stream
from tests.api.routes.test_journal import lend_and_repay
from tests.api.routes.test_support import Context

READS = [{"resource": each, "actions": ["read"]} for each in ("users", "loans", "transactions")]


COMMANDS: Final = 9
"""What happens in each of the lives, beside the registration."""


async def answers(client: Client, paths: list[str], position: int) -> dict[str, Any]:
    """What these paths say now, from this position on; None for what is not there."""
    found: dict[str, Any] = {}
    for path in paths:
        answer = await client.get(path, headers={"Ledger-Position": str(position)})
        there = answer.status_code == 200
        found[path] = (answer.text, answer.headers["etag"]) if there else None
    return found


async def answers_then(client: Client, paths: list[str], as_of: object) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for path in paths:
        answer = await client.get(path, params={"asOf": str(as_of)})
        assert answer.status_code in (200, 404), answer.text
        there = answer.status_code == 200
        found[path] = (answer.text, answer.headers["etag"]) if there else None
        if there and isinstance(as_of, int):
            assert answer.headers["ledger-position"] == str(as_of)
    return found


class Seen(NamedTuple):
    """What two readers were answered after a command, at its position."""

    position: int
    paths: list[str]
    shown: dict[str, Any]
    masked: dict[str, Any]


async def lives(admin: Client, clerk: Client, count: int) -> list[Seen]:
    """So many borrowers who borrow, repay and default one after the other, and what was answered
    about each after every command."""
    officer = await admin.take_on_superadmin("officer")
    seen = list[Seen]()
    for number in range(count):
        user = await admin.user(number)
        own = f"/v1/users/{user['userId']}"
        paths = [own]

        async def note(answer: Any, paths: list[str] = paths) -> dict[str, Any]:
            receipt: dict[str, Any] = answer.json()
            assert answer.status_code in (200, 201), answer.text
            position = receipt["position"]
            now = await answers(admin, paths, position)
            seen.append(Seen(position, [*paths], now, await answers(clerk, paths, position)))
            return receipt

        wish = {"amount": 150, "network": "MTN", "metadata": {"sister": "Ngozi"}}
        loan = await note(await admin.post("/v1/loans", wish | {"userId": user["id"]}))
        path = f"/v1/loans/{loan['loanId']}"
        paths.append(path)
        await note(await officer.post(f"{path}/approve"))
        await note(await admin.ask("PATCH", path, {"metadata": {"aunt": "Bola", "age": 40.5}}))
        await note(await officer.post(f"{path}/disburse"))
        pay = {"type": "repayment", "userId": user["id"], "paymentMethod": "cash"}
        for amount in (50, 130):
            said = pay | {"amount": amount, "description": "from Ngozi"}
            paid = await note(await admin.post("/v1/transactions", said))
            paths.append(f"/v1/transactions/{paid['transactionId']}")
        await note(await officer.post(f"{paths[-1]}/reverse", {"reason": "a mistake"}))
        change = {"phone": f"0805{number:07}", "name": "Ada Obi"}
        await note(await admin.ask("PATCH", own, change))
        await note(await admin.post(f"{path}/default", {"reason": "gone"}))
    return seen


async def require_same(admin: Client, clerk: Client, seen: list[Seen]) -> None:
    """Byte for byte, and version for version."""
    for each in seen:
        assert await answers_then(admin, each.paths, each.position) == each.shown
        assert await answers_then(clerk, each.paths, each.position) == each.masked


async def test_objects_are_shown_as_they_were_after_every_command(admin: Client) -> None:
    clerk = await admin.take_on("clerk", *READS)
    seen = await lives(admin, clerk, 2)
    assert len(seen) == 2 * COMMANDS
    await require_same(admin, clerk, seen)
    last = seen[-1]
    at = (await admin.get(f"/v1/trial-balance?asOf={last.position}")).json()["at"]
    assert await answers_then(admin, last.paths, at) == last.shown
    assert set((await answers_then(admin, last.paths, 1)).values()) == {None}


async def test_lists_are_shown_as_they_were(admin: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = ["/v1/users?limit=3", "/v1/users?status=suspended&sort=createdAt", "/v1/loans"]
    seen: list[tuple[int, list[Any]]] = []

    async def listed(more: str = "", position: int = 0) -> list[Any]:
        found = []
        for path in paths:
            items, cursor = list[Any](), ""
            while cursor is not None:
                join = "&" if "?" in path else "?"
                query = f"{path}{join}{more}" + (f"&cursor={cursor}" if cursor else "")
                answer = await admin.get(query, headers={"Ledger-Position": str(position)})
                assert answer.status_code == 200, answer.text
                items += answer.json()["items"]
                cursor = answer.json()["nextCursor"]
            found.append(items)
        return found

    async def note(answer: Any) -> dict[str, Any]:
        receipt: dict[str, Any] = answer.json()
        assert answer.status_code in (200, 201), answer.text
        seen.append((receipt["position"], await listed("", receipt["position"])))
        return receipt

    users = [await admin.user(number) for number in range(7)]
    paths.append(f"/v1/users/{users[3]['userId']}/loans?status=pending")
    for each in users[2:5]:
        wish = {"amount": 150, "network": "MTN", "userId": each["id"]}
        loan = await note(await admin.post("/v1/loans", wish))
        await note(await admin.post(f"/v1/users/{each['id']}/suspend", {"reason": "late"}))
    await note(await admin.post(f"/v1/users/{users[2]['id']}/reinstate", {}))
    await note(await admin.post(f"/v1/loans/{loan['id']}/reject", {"reason": "no"}))
    await note(await admin.ask("DELETE", f"/v1/users/{users[6]['id']}"))
    for position, then in seen:
        assert await listed(f"asOf={position}", 0) == then
    monkeypatch.setattr("api.pipeline.past.READ_MAX", 1)
    monkeypatch.setattr("api.pipeline.past.READ_AT_ONCE", 2)
    for position, then in seen:
        assert await listed(f"asOf={position}", 0) == then


async def test_a_past_that_was_just_written_is_waited_for(admin: Client) -> None:
    for number in range(10):
        user = await admin.user(number)
        for then in (user["position"], "2099-12-31T23:59:59Z"):
            answer = await admin.get(f"/v1/users/{user['id']}?asOf={then}")
            assert answer.status_code == 200, answer.text
    late = await admin.post(f"/v1/users/{user['id']}/suspend", {"reason": "late"})
    balance = await admin.get(f"/v1/trial-balance?asOf={late.json()['position']}")
    assert balance.json()["position"] == late.json()["position"]


async def test_a_past_is_not_answered_from_tables_that_lag(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.pipeline.position.READ_TIMEOUT_SECONDS", 0.01)
    async with running(database, following=False) as admin:
        user = await admin.user()
        answer = await admin.get(f"/v1/users?asOf={user['position']}")
        assert (answer.status_code, answer.json()["code"]) == (503, "projection-lagging")


async def test_whoever_was_erased_since_is_without_words_in_the_past_too(admin: Client) -> None:
    user = (await admin.post("/v1/users", ADA)).json()
    path, then = f"/v1/users/{user['id']}", user["position"]
    wish = {"amount": 50, "network": "MTN", "userId": user["id"]}
    loan = (await admin.post("/v1/loans", wish)).json()
    await admin.post(f"/v1/loans/{loan['id']}/reject", {"reason": "no"})
    await admin.post(f"{path}/erase", {})
    fresh = await admin.caught_up()
    row = (await admin.get(f"{path}?asOf={then}", headers=fresh)).json()
    assert (row["phone"], row["name"], row["erased"]) == (None, None, True)
    assert row["status"] == "active"
    lent = (await admin.get(f"/v1/loans/{loan['id']}?asOf={loan['position']}")).json()
    assert (lent["userPhone"], lent["status"]) == (None, "pending")


async def test_a_past_that_cannot_be_meant_is_refused(admin: Client) -> None:
    made = await lend_and_repay(admin)
    user = f"/v1/users/{made['user']['id']}"
    fresh = await admin.caught_up()
    for query in (
        f"{user}?asOf=yesterday",
        f"{user}?asOf=99999999",
        f"{user}?asOf=1&asOf=2",
        f"{user}?at=1",
        "/v1/loans?sort=dueDate&asOf=5",
        "/v1/loans?asOf=",
        "/v1/audit-logs?asOf=5",
        "/v1/journal?asOf=5",
    ):
        assert (await admin.get(query, headers=fresh)).status_code == 422, query
    clerk = await admin.take_on("clerk", READS[0])
    assert (await clerk.get("/v1/loans?asOf=5")).status_code == 403
    assert (await admin.get("/v1/users/USR-2020-999999/loans?asOf=5")).status_code == 404


async def test_tickets_agents_and_departments_have_a_past_too(admin: Client) -> None:
    context = await Context(admin).begin()
    ann = await context.agent("ann")
    ticket = await context.open(department=context.billing, tags=["slow"])
    paths = [f"/v1/tickets/{ticket}", f"/v1/support-agents/{context.ids[ann]}"]
    paths.append(f"/v1/departments/{context.billing}")
    seen = []
    for step, body in (
        ("assign", {"assignedTo": context.ids[ann]}),
        ("messages", {"message": "Hello"}),
        ("priority", {"priority": "urgent"}),
        ("resolve", {"resolution": "done"}),
    ):
        answer = await ann.post(f"{paths[0]}/{step}", body)
        assert answer.status_code in (200, 201), answer.text
        head = admin.app.state.context.ledger.head
        listed = (await context.row("/v1/tickets?tag=slow"))["items"]
        seen.append((head, await answers(admin, paths, head), listed))
    for head, now, listed in seen:
        assert await answers_then(admin, paths, head) == now
        then = await admin.get(f"/v1/tickets?tag=slow&asOf={head}")
        assert then.json()["items"] == listed
    told = (await admin.get(f"{paths[1]}/events")).json()["items"]
    assert [each["entity"] for each in told[:1]] == ["SupportAgent"]
    listed = await admin.get(f"/v1/support-agents?asOf={seen[0][0]}")
    assert [row["activeTickets"] for row in listed.json()["items"]] == [1]


async def test_nobody_sees_more_of_the_past_than_of_the_present(admin: Client) -> None:
    context = await Context(admin).begin()
    other = await context.department("Other")
    ann, eve = await context.agent("ann"), await context.agent("eve", department=other)
    ticket = await context.open(department=context.billing)
    fresh, head = await admin.caught_up(), admin.app.state.context.ledger.head
    for who, status in ((ann, 200), (eve, 404)):
        for path in (f"?asOf={head}", "/events"):
            answer = await who.get(f"/v1/tickets/{ticket}{path}", headers=fresh)
            assert answer.status_code == status, (path, answer.text)
    listed = await ann.get(f"/v1/tickets?asOf={head}")
    assert [row["id"] for row in listed.json()["items"]] == [ticket]
    for path in ("/v1/tickets", f"/v1/users/{context.customer}/tickets"):
        assert (await eve.get(f"{path}?asOf={head}")).json()["items"] == []


async def test_a_live_stream_ends_when_its_object_is_hidden(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.routes.live.CHECK", 0.05)
    async with running(database) as lead:
        context = await Context(lead).begin()
        other, ann = await context.department("Other"), await context.agent("ann")
        ticket = await context.open(department=context.billing)
        await lead.get("/v1/tickets", headers=await lead.caught_up())
        async with Stream.open(ann, f"/v1/tickets/{ticket}/events") as stream:
            assert (await stream.event() or (0, {}))[1]["type"] == "TicketOpened"
            moved = await lead.post(f"/v1/tickets/{ticket}/department", {"department": other})
            assert moved.status_code == 200, moved.text
            while await stream.event() is not None:
                pass

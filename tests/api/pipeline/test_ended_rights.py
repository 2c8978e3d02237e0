"""An answer that goes on tells nothing that its reader was not let in to when it was read."""

from functools import partial

import pytest

from api.routes import live
from tests.api.conftest import Client, running
from tests.api.pipeline.streaming import Stream
from tests.api.pipeline.test_broken_answers import messages
from tests.api.routes.test_journal import lend_and_repay

EVENTS = {"resource": "events", "actions": ["read"]}
USERS = {"resource": "users", "actions": ["read"]}
JOURNAL = {"resource": "journal", "actions": ["read"]}
TICKETS = {"resource": "tickets", "actions": ["read"]}
ALL = {"resource": "tickets.all", "actions": ["read"]}
PERSONS = {"resource": "users.pii", "actions": ["read"]}


async def end_rights(ending: str, admin: Client, watcher: Client) -> int:
    """End a right; the position at which it was ended."""
    me = (await watcher.get("/v1/auth/me")).json()["id"]
    person = f"/v1/admin-users/{me}"
    match ending:
        case "logout":
            done = await watcher.post("/v1/auth/logout")
        case "revoked":
            done = await admin.post(f"{person}/revoke-sessions")
        case "suspended":
            done = await admin.post(f"{person}/suspend", {"reason": "gone"})
        case _:
            role = {"name": f"none {me}", "permissions": []}
            none = (await admin.post("/v1/admin-roles", role)).json()["id"]
            done = await admin.post(f"{person}/role", {"roleId": none})
    assert done.status_code < 300, done.text
    return int(done.headers["ledger-position"])


@pytest.mark.parametrize("ending", ["logout", "revoked", "suspended", "demoted"])
@pytest.mark.parametrize("path", ["/v1/events", "/v1/events?type=UserRegistered"])
async def test_a_live_stream_tells_nothing_from_the_end_of_its_session_on(
    path: str, ending: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "CHECK", 60.0)
    async with running(database) as admin:
        watcher = await admin.take_on("watcher", EVENTS, USERS)
        async with Stream.open(watcher, path) as stream:
            first = await admin.user()
            while (await stream.event() or (0, {}))[0] < first["position"]:
                pass
            ended = await end_rights(ending, admin, watcher)
            await admin.user(1)
            told = [position async for position, _ in stream]
            assert all(position < ended for position in told)


async def test_a_stream_of_an_api_key_ends_with_the_key(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "CHECK", 60.0)
    async with running(database) as admin:
        made = await admin.post("/v1/api-keys", {"name": "key", "permissions": [EVENTS, USERS]})
        machine = admin.with_token(made.json()["key"])
        async with Stream.open(machine, "/v1/events?type=UserRegistered") as stream:
            assert await stream.block() == "retry: 1000"
            await admin.ask("DELETE", f"/v1/api-keys/{made.json()['id']}")
            await admin.user()
            assert await stream.event() is None


@pytest.mark.parametrize("ending", ["revoked", "demoted"])
async def test_a_long_answer_breaks_off_when_its_right_ends(
    ending: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.routes.event_log.PAGE", 2)
    monkeypatch.setattr("api.routes.journal.PAGE", 1)
    monkeypatch.setattr("api.http.download.ADMITTED_BYTES", 1)
    async with running(database) as admin:
        made = await lend_and_repay(admin)
        user = made["user"]["id"]
        ticket = {"customerId": user, "subject": "A", "description": "B", "category": "loan"}
        one = f"/v1/tickets/{(await admin.post('/v1/tickets', ticket)).json()['id']}"
        content = b"%PDF-1.7\n" + b"x" * 200_000
        file = await admin.post(f"{one}/attachments", files={"file": ("a.pdf", content)})
        rights = [EVENTS, USERS, JOURNAL, TICKETS, ALL, PERSONS]
        await admin.app.state.context.tables.require(admin.app.state.context.ledger.head)
        for number, (path, accept) in enumerate(
            [
                ("/v1/events", "application/x-ndjson"),
                (f"/v1/users/{user}/events", "application/x-ndjson"),
                ("/v1/journal.csv", "text/csv"),
                (file.json()["url"], "*/*"),
            ]
        ):
            name = f"watcher{number}"
            watcher = await admin.take_on(name, *rights)

            whole = await messages(watcher, path, accept)
            assert not whole[-1].get("more_body"), path
            end = partial(end_rights, ending, admin, watcher)
            told = await messages(watcher, path, accept, end)
            assert [each.get("more_body") for each in told] == [None, True], path

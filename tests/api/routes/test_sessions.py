"""One's own sessions over HTTP: listed, and ended one by one."""

from uuid import uuid4

import pytest

from tests.api.conftest import Client, serving
from tests.api.pipeline.test_commands import code
from tests.api.routes.borrowers import logged_in
from tests.api.routes.test_gate import let_pass

SESSIONS = "/v1/auth/sessions"

pytestmark = pytest.mark.database


@pytest.mark.unfollowed
async def test_one_of_several_sessions_is_ended_everywhere(admin: Client, database: str) -> None:
    second = await admin.as_("admin")
    items = (await admin.get(SESSIONS)).json()["items"]
    assert [each["current"] for each in items] == [False, True]
    assert all(each["seenAt"] < each["expiresAt"] for each in items)
    assert second.token not in str(items)
    path = f"{SESSIONS}/{items[0]['id']}"
    async with serving(database) as other:
        assert (await second.at(other).get("/v1/auth/me")).status_code == 200
        ended = await admin.ask("DELETE", path)
        assert (ended.status_code, ended.content) == (204, b"")
        for process in (admin, other):
            assert (await second.at(process).get("/v1/auth/me")).status_code == 401
    assert code(await admin.ask("DELETE", path)) == (404, "not-found")
    (left,) = (await admin.get(SESSIONS)).json()["items"]
    assert left["current"]
    log = (await admin.get("/v1/admin-activity-logs?limit=2")).json()["items"]
    assert [(each["action"], each["details"]["outcome"]) for each in log] == [
        ("EndSession", "not-found"),
        ("EndSession", "done"),
    ]


@pytest.mark.unfollowed
async def test_a_session_that_ended_is_not_listed(admin: Client) -> None:
    await admin.as_("admin")
    let_pass(admin, minutes=20)
    assert len((await admin.get(SESSIONS)).json()["items"]) == 2
    let_pass(admin, minutes=40)
    (left,) = (await admin.get(SESSIONS)).json()["items"]
    assert left["current"], "the other was not used for longer than the idle timeout"


async def test_they_are_ones_own_and_no_keys_or_borrowers(admin: Client) -> None:
    other = await admin.take_on("clerk")
    (own,) = (await other.get(SESSIONS)).json()["items"]
    assert own["current"], "a session needs no permission"
    for id_ in (own["id"], str(uuid4()), "x"):
        assert code(await admin.ask("DELETE", f"{SESSIONS}/{id_}")) == (404, "not-found")
    key = {"name": "key", "permissions": [{"resource": "users", "actions": ["read"]}]}
    made = (await admin.post("/v1/api-keys", key)).json()["key"]
    assert code(await admin.with_token(made).get(SESSIONS)) == (403, "session-required")
    borrower = await logged_in(admin)
    assert code(await borrower.get(SESSIONS)) == (403, "forbidden")
    assert (await other.ask("DELETE", f"{SESSIONS}/{own['id']}")).status_code == 204
    assert (await other.get("/v1/auth/me")).status_code == 401

"""Invitations and resets over HTTP: a token by e-mail, once, in time, for a good password."""

import asyncio
import re
from typing import Any

import pytest

from tests.api.conftest import PASSWORD, Client
from tests.api.routes.factors import Clock, challenge, enrolled

pytestmark = pytest.mark.unfollowed

ADMINS, INVITATION, RESET = "/v1/admin-users", "/v1/auth/invitation", "/v1/auth/reset"
OTHER = "a horse that writes letters"


async def role(admin: Client) -> str:
    permissions = [{"resource": "users", "actions": ["read"]}]
    wish = {"name": "reader", "permissions": permissions}
    return str((await admin.post("/v1/admin-roles", wish)).json()["id"])


async def invite(admin: Client, username: str = "ada", **more: Any) -> str:
    """Take somebody on without a password; their id."""
    wish = {"username": username, "email": f"{username}@example.com", "roleId": await role(admin)}
    made = await admin.post(ADMINS, wish, **more)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


def sent_token(client: Client) -> str:
    """The token in the last message that was sent."""
    found = re.search(r"^[\w-]{43}$", client.outbox()[-1]["body"], re.MULTILINE)
    assert found
    return found[0]


async def choose(client: Client, path: str, token: str, password: str = OTHER) -> tuple[int, str]:
    answer = await client.http.post(path, json={"token": token, "password": password})
    return answer.status_code, answer.json()["code"] if answer.content else ""


async def logs_in(client: Client, password: str) -> bool:
    body = {"username": "ada", "password": password}
    return (await client.http.post("/v1/auth/login", json=body)).status_code == 200


async def test_somebody_invited_chooses_a_password_once(admin: Client) -> None:
    await invite(admin)
    (message,) = admin.outbox()
    assert (message["channel"], message["to"]) == ("email", "ada@example.com")
    token = sent_token(admin)
    assert not await logs_in(admin, OTHER)
    assert (await admin.with_token(token).get("/v1/auth/me")).status_code == 401
    assert await choose(admin, RESET, token) == (401, "invalid-token")
    assert await choose(admin, INVITATION, token, "ada-ada-ada-ada") == (422, "weak-password")
    answers = await asyncio.gather(*(choose(admin, INVITATION, token) for _ in range(2)))
    assert sorted(answers) == [(204, ""), (401, "invalid-token")]
    assert await logs_in(admin, OTHER)


async def test_a_reset_ends_the_password_and_the_sessions_and_sends_a_token(admin: Client) -> None:
    ada = await admin.take_on("ada")
    one = (await ada.get("/v1/auth/me")).json()["id"]
    path = f"{ADMINS}/{one}/reset-password"
    assert (await admin.post(path)).status_code == 200
    assert (await ada.get("/v1/auth/me")).status_code == 401
    assert not await logs_in(admin, PASSWORD)
    first = sent_token(admin)
    assert (await admin.post(path)).status_code == 200
    assert await choose(admin, RESET, first) == (401, "invalid-token"), "another was sent"
    assert await choose(admin, INVITATION, sent_token(admin)) == (401, "invalid-token")
    assert await choose(admin, RESET, sent_token(admin)) == (204, "")
    assert await logs_in(admin, OTHER)
    assert (await admin.post(path)).status_code == 200
    assert (await admin.post(path, {"password": PASSWORD})).status_code == 200
    assert await choose(admin, RESET, sent_token(admin)) == (401, "invalid-token")
    assert await logs_in(admin, PASSWORD)


@pytest.mark.parametrize(("path", "hours"), [(INVITATION, 7 * 24), (RESET, 1)])
async def test_a_token_lives_for_a_while_only(admin: Client, path: str, hours: int) -> None:
    clock = Clock(admin)
    one = await invite(admin)
    if path == RESET:
        assert (await admin.post(f"{ADMINS}/{one}/reset-password")).status_code == 200
    token = sent_token(admin)
    clock.passes(hours=hours)
    assert await choose(admin, path, token) == (401, "invalid-token")
    assert await choose(admin, path, "made up") == (401, "invalid-token")
    clock.passes(seconds=-1)
    assert await choose(admin, path, token) == (204, "")
    query = "SELECT admin_id, details FROM ledger.activity WHERE action = 'ChoosePassword'"
    lines = [
        (str(who), said["outcome"]) for who, said in await admin.app.state.context.pool.rows(query)
    ]
    assert sorted(lines) == [(one, "done"), (one, "invalid-token")]


async def test_who_is_suspended_chooses_no_password(admin: Client) -> None:
    one = await invite(admin)
    await admin.post(f"{ADMINS}/{one}/suspend", {"reason": "a mistake"})
    assert await choose(admin, INVITATION, sent_token(admin)) == (401, "invalid-token")
    await admin.post(f"{ADMINS}/{one}/reinstate")
    assert await choose(admin, INVITATION, sent_token(admin)) == (204, "")


async def test_a_reset_leaves_the_second_factor(admin: Client) -> None:
    ada = await admin.take_on("ada")
    one = (await ada.get("/v1/auth/me")).json()["id"]
    await enrolled(ada, Clock(ada))
    await admin.post(f"{ADMINS}/{one}/reset-password")
    assert await choose(ada, RESET, sent_token(ada), PASSWORD) == (204, "")
    assert await challenge(ada, "ada")


async def test_the_same_creation_again_sends_nothing_again(admin: Client) -> None:
    wish = {"username": "ada", "email": "ada@example.com", "roleId": await role(admin)}
    again = {"headers": {"Idempotency-Key": "k1"}}
    one, two = [await admin.post(ADMINS, wish, **again) for _ in range(2)]
    assert one.json() == two.json()
    assert len(admin.outbox()) == 1


async def test_without_a_sender_nobody_is_invited_and_nothing_has_happened(admin: Client) -> None:
    reader = await role(admin)
    admin.app.state.context.sender.providers.outbox = None
    wish = {"username": "ada", "email": "ada@example.com", "roleId": reader}
    refused = await admin.post(ADMINS, wish)
    assert (refused.status_code, refused.json()["code"]) == (409, "no-sender")
    assert (await admin.post(ADMINS, wish | {"password": OTHER})).status_code == 201


@pytest.mark.parametrize("atomic", ["false", "true"])
async def test_invitations_in_bulk_are_sent_once_they_are_committed(
    admin: Client, atomic: str
) -> None:
    reader = await role(admin)
    lines = [
        {
            "op": f"POST {ADMINS}",
            "body": {"username": name, "email": f"{name}@example.com", "roleId": reader},
        }
        for name in ("ada", "bola")
    ]
    text = "\n".join(str(line).replace("'", '"') for line in lines)
    headers = {"Content-Type": "application/x-ndjson"}
    path = f"/v1/bulk?atomic={atomic}"
    answer = await admin.ask("POST", path, content=text, headers=headers)
    assert answer.status_code == 200, answer.text
    assert [each["to"] for each in admin.outbox()] == ["ada@example.com", "bola@example.com"]
    assert await choose(admin, INVITATION, sent_token(admin)) == (204, "")

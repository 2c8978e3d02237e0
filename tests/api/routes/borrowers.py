"""Borrowers with a phone, who log in by themselves."""

import re
from typing import Any

import httpx

from tests.api.conftest import Client

AUTH = "/v1/auth/customer"
CODE, LOGIN, LOGOUT, ME = f"{AUTH}/code", f"{AUTH}/login", f"{AUTH}/logout", f"{AUTH}/me"


def phone(number: int = 0) -> str:
    """The phone of the borrower that `Client.user` registers under a number."""
    return f"0803{number:07}"


async def sent(client: Client) -> list[dict[str, Any]]:
    """Every message, once those under way have left."""
    await client.app.state.context.phone_codes.drain()
    return client.outbox()


async def ask_for_code(client: Client, to: str, **more: Any) -> httpx.Response:
    return await client.http.post(CODE, json={"phone": to}, **more)


async def code_for(client: Client, to: str) -> str:
    """The code that a phone is sent."""
    before = len(await sent(client))
    answer = await ask_for_code(client, to)
    assert answer.status_code == 202, answer.text
    (message,) = (await sent(client))[before:]
    return code_in(message)


def code_in(message: dict[str, Any]) -> str:
    """The code that a message tells."""
    found = re.search(r"\b\d{6}\b", message["body"])
    assert found
    return found[0]


async def answer_with(client: Client, to: str, code: str, **more: Any) -> httpx.Response:
    return await client.http.post(LOGIN, json={"phone": to, "code": code}, **more)


async def log_in(client: Client, number: int = 0) -> Client:
    """A registered borrower, logged in."""
    answer = await answer_with(client, phone(number), await code_for(client, phone(number)))
    assert answer.status_code == 200, answer.text
    return client.with_token(answer.json()["token"])


async def logged_in(admin: Client, number: int = 0) -> Client:
    """A new borrower, logged in."""
    await admin.user(number)
    return await log_in(admin, number)

"""Admins with a second factor, and a clock that stands until it is moved."""

import re
from datetime import datetime, timedelta
from typing import Any

from pyotp import TOTP

from tests.api.conftest import PASSWORD, Client

LOGIN, VERIFY = "/v1/auth/login", "/v1/auth/login/verify"
ENROL, CONFIRM, DISABLE = "/v1/auth/2fa/enrol", "/v1/auth/2fa/confirm", "/v1/auth/2fa/disable"


class Clock:
    """The time of one API process. It stands, so that no test runs into the next half minute."""

    def __init__(self, *clients: Client) -> None:
        self.moment: datetime = clients[0].app.state.context.environment.now()
        for client in clients:
            client.app.state.context.environment.now = lambda: self.moment

    def passes(self, **much: float) -> None:
        self.moment += timedelta(**much)

    def code(self, secret: str) -> str:
        """What an app shows now."""
        return TOTP(secret).at(self.moment)


async def enrolled(client: Client, clock: Clock) -> tuple[str, list[str]]:
    """Enrol an app; its secret, and the recovery codes. The code that was shown is used up."""
    told = (await client.post(ENROL, {"method": "app"})).json()
    done = await client.post(CONFIRM, {"code": clock.code(told["secret"])})
    assert done.status_code == 200, done.text
    clock.passes(seconds=30)
    return told["secret"], done.json()["recoveryCodes"]


async def enrolled_by_message(client: Client, method: str) -> list[str]:
    """Enrol SMS or e-mail; the recovery codes."""
    told = await client.post(ENROL, {"method": method})
    assert told.status_code == 200, told.text
    done = await client.post(CONFIRM, {"code": sent_code(client)})
    assert done.status_code == 200, done.text
    return list(done.json()["recoveryCodes"])


def sent_code(client: Client) -> str:
    """The code in the last message that was sent."""
    found = re.search(r"\b\d{6}\b", client.outbox()[-1]["body"])
    assert found
    return found[0]


async def challenge(client: Client, username: str = "admin") -> str:
    """A log-in with the right password, as far as it goes."""
    answer = await client.http.post(LOGIN, json={"username": username, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    return str(answer.json()["challenge"])


async def answered(client: Client, asked: str, code: str) -> Any:
    return await client.http.post(VERIFY, json={"challenge": asked, "code": code})

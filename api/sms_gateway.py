"""SMS over HTTP: a message is sent once, and asked about under its reference."""

import json
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import httpx

from rim_ledger.core import Unavailable
from rim_ledger.sending import Heard, Message, Unclear

PATIENCE: Final = httpx.Timeout(10.0, connect=5.0)
ANSWER_MAX: Final = 64 * 1024
TAKEN: Final = range(200, 300)
REFUSED: Final = range(400, 500)
UNSURE: Final = (408, 409)
"""A request that timed out at the provider, or that it has under this reference already."""
HEARD: Final = {
    "accepted": Heard.SENT,
    "sent": Heard.SENT,
    "delivered": Heard.DELIVERED,
    "failed": Heard.FAILED,
}


class SmsGateway:
    """One provider: POST to its `/messages`, GET of `/messages/{reference}`."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        host = f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or ""
        self._messages = f"{parts.scheme}://{host}{parts.path.rstrip('/')}/messages"
        self._key = unquote(parts.username or "")
        self._from = parse_qs(parts.query).get("from", [""])[0]

    async def send(self, message: Message) -> None:
        """Raises Unavailable (`not-sent`) when the provider says no or was never reached, Unclear
        when it may have it."""
        reference = message.reference
        said = {"to": message.to, "from": self._from, "body": message.body, "reference": reference}
        try:
            status, _ = await self._ask("POST", self._messages, reference, said)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            raise _not_sent() from None
        except httpx.HTTPError:
            raise Unclear from None
        if status in REFUSED and status not in UNSURE:
            raise _not_sent()
        if status not in TAKEN:
            raise Unclear

    async def ask(self, reference: str) -> Heard:
        """What the provider knows. Raises Unavailable when it cannot be reached."""
        try:
            status, said = await self._ask("GET", f"{self._messages}/{reference}", reference)
        except httpx.HTTPError:
            raise Unavailable("not-sent", "The SMS provider cannot be reached.") from None
        if status == 404:
            return Heard.NEVER
        if status not in TAKEN:
            raise Unavailable("not-sent", "The SMS provider gave no answer.")
        return HEARD.get(str(said.get("status")), Heard.UNKNOWN)

    async def _ask(
        self, method: str, url: str, reference: str, message: dict[str, str] | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and object of an answer. No redirect is followed, and no proxy is asked."""
        headers = {"authorization": f"Bearer {self._key}", "idempotency-key": reference}
        async with (
            httpx.AsyncClient(timeout=PATIENCE, trust_env=False) as client,
            client.stream(method, url, headers=headers, json=message) as answer,
        ):
            body = b""
            async for chunk in answer.aiter_bytes():
                if len(body := body + chunk) > ANSWER_MAX:
                    break
        return answer.status_code, _object(body)


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _not_sent() -> Unavailable:
    return Unavailable("not-sent", "The SMS provider did not take the message.")

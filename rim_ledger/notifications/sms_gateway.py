"""SMS over HTTP: a message is sent once, and asked about under its reference."""

import asyncio
import json
from contextlib import suppress
from typing import Final

from rim_ledger.delivery.messages import Heard, Message, Unclear
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.refusals import Unavailable
from rim_ledger.system.breaker import Breaker
from rim_ledger.system.egress import Answer, Blocked, NoAnswer, Outside, Unreachable, object_in
from rim_ledger.system.endpoint import Line
from rim_ledger.system.retry import pauses

PATH: Final = "/messages"
TAKEN: Final = range(200, 300)
REFUSED: Final = range(400, 500)
UNSURE: Final = (408, 409)
"""A request that timed out at the provider, or that it has under this reference already."""
UNKNOWN: Final = 404
BUSY: Final = 429
ABOUT_US: Final = (401, 402, 403, 404, 405, 408, BUSY)
"""Not about this message: no other would fare better."""
HEARD: Final = {
    "accepted": Heard.SENT,
    "sent": Heard.SENT,
    "delivered": Heard.DELIVERED,
    "failed": Heard.FAILED,
}


class SmsGateway:
    """Speaks for one integration: POST to its `/messages`, GET of `/messages/{reference}`."""

    def __init__(
        self, line: Line, outside: Outside, breaker: Breaker, environment: Environment
    ) -> None:
        self._line, self._outside, self._breaker, self._world = line, outside, breaker, environment

    async def send(self, message: Message) -> None:
        """Raises Unavailable (`not-sent`) when the provider says no, or was not reached or too busy
        three times; Unclear when it may have it."""
        said = {
            "to": message.to,
            "from": self._line.sender,
            "body": message.body,
            "reference": message.reference,
        }
        for pause in pauses(self._world):
            await asyncio.sleep(pause)
            with suppress(Unreachable):
                return await self._hand_over(message.reference, json.dumps(said).encode())
        raise _not_sent()

    async def ask(self, reference: str) -> Heard:
        """What the provider knows. Raises Unavailable when it gives no answer."""
        try:
            answer = await self._call("GET", f"{PATH}/{reference}", reference)
        except (Blocked, Unreachable, NoAnswer):
            raise Unavailable("not-sent", "The SMS provider cannot be reached.") from None
        if answer.status == UNKNOWN:
            return Heard.NEVER
        if answer.status not in TAKEN:
            raise Unavailable("not-sent", "The SMS provider gave no answer.")
        return HEARD.get(str(object_in(answer.body).get("status")), Heard.UNKNOWN)

    async def _hand_over(self, reference: str, body: bytes) -> None:
        """Raises Unreachable when the provider certainly has nothing and may be tried again."""
        try:
            answer = await self._call("POST", PATH, reference, body)
        except Blocked:
            raise _not_sent() from None
        except NoAnswer:
            raise Unclear from None
        if answer.status == BUSY:
            raise Unreachable
        if answer.status in REFUSED and answer.status not in UNSURE:
            raise _not_sent()
        if answer.status not in TAKEN:
            raise Unclear

    async def _call(
        self, method: str, path: str, reference: str, body: bytes | None = None
    ) -> Answer:
        """One call, which the circuit breaker hears of."""
        url = self._line.base_url.rstrip("/") + path
        headers = self._line.headers(reference, body, self._world.now())
        try:
            answer = await self._outside.call(method, url, headers, body)
        except (Blocked, Unreachable, NoAnswer):
            await self._breaker.note(self._line.id, failed=True)
            raise
        told = method == "GET" and answer.status == UNKNOWN
        failed = answer.status not in (*TAKEN, *REFUSED) or answer.status in ABOUT_US
        await self._breaker.note(self._line.id, failed=failed and not told)
        return answer


def _not_sent() -> Unavailable:
    return Unavailable("not-sent", "The SMS provider did not take the message.")

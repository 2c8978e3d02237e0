"""A telco behind HTTP: a top-up is sent once, and asked about as often as it takes."""

import asyncio
import json
import re
from collections.abc import Mapping
from typing import Final

from rim_ledger.engine.environment import Environment
from rim_ledger.lending.telco import Answer, Reply, TopUp
from rim_ledger.system.breaker import Breaker
from rim_ledger.system.egress import Blocked, NoAnswer, Outside, Unreachable, object_in
from rim_ledger.system.endpoint import Line
from rim_ledger.system.retry import pauses

PATH: Final = "/top-ups"
SERVER_ERROR: Final = 500
TELCO_REFERENCE: Final = re.compile(r"[!-~]{1,120}")
REASON: Final = re.compile(r"[a-z0-9-]{1,40}")
"""A word for programs. Whatever else a telco writes may be about a person."""


class HttpTelco:
    """Speaks for one integration. Only the telco's own words on the very reference count; all
    else, such as the error page of a proxy, leaves the outcome unknown."""

    def __init__(
        self, line: Line, outside: Outside, breaker: Breaker, environment: Environment
    ) -> None:
        self.name = line.name
        self._line, self._outside, self._breaker, self._world = line, outside, breaker, environment

    async def top_up(self, order: TopUp) -> Reply:
        """A connection that did not come about has carried nothing, and is tried again. A request
        that may have been sent is never sent again."""
        body = json.dumps(
            {
                "reference": order.reference,
                "phone": order.phone,
                "network": order.network,
                "amount": f"{order.amount:.2f}",
            }
        ).encode()
        for pause in pauses(self._world):
            await asyncio.sleep(pause)
            try:
                reply = await self._ask("POST", PATH, order.reference, body)
            except Blocked:
                return Reply(Answer.FAILED, reason="The telco's address is blocked.")
            except Unreachable:
                continue
            else:
                told = reply and reply.answer is not Answer.ABSENT
                return reply if reply and told else Reply(Answer.UNKNOWN)
        return Reply(Answer.FAILED, reason="The telco cannot be reached.")

    async def query(self, reference: str) -> Reply:
        """A question does no harm: without a usable answer it is asked again."""
        for pause in pauses(self._world):
            await asyncio.sleep(pause)
            try:
                if reply := await self._ask("GET", f"{PATH}/{reference}", reference):
                    return reply
            except Blocked:
                break
            except Unreachable:
                continue
        return Reply(Answer.UNKNOWN)

    async def _ask(
        self, method: str, path: str, reference: str, body: bytes | None = None
    ) -> Reply | None:
        """One call, which the circuit breaker hears of; None without a usable answer."""
        url = self._line.base_url.rstrip("/") + path
        headers = self._line.headers(reference, body, self._world.now())
        reply, reached = None, False
        try:
            answer = await self._outside.call(method, url, headers, body)
            reached = True
            if answer.status < SERVER_ERROR:
                reply = read_reply(reference, answer.body)
        except NoAnswer:
            reached = True
        except Unreachable:
            pass
        await self._breaker.note(self._line.id, failed=reply is None)
        if not reached:
            raise Unreachable
        return reply


def read_reply(reference: str, body: bytes) -> Reply | None:
    """What a telco says of a reference; None when it says nothing that can be understood."""
    said = object_in(body)
    return understood(said) if said.get("reference") == reference else None


def understood(said: Mapping[str, object]) -> Reply | None:
    """What a telco's words mean; None where they mean nothing."""
    match said.get("status"):
        case "delivered":
            return Reply(Answer.DELIVERED, _matching(TELCO_REFERENCE, said.get("telcoReference")))
        case "failed":
            word = _matching(REASON, said.get("reason"))
            return Reply(Answer.FAILED, reason=f"The telco declined: {word or 'no reason given'}.")
        case "absent":
            return Reply(Answer.ABSENT)
        case "pending":
            return Reply(Answer.UNKNOWN)
        case _:
            return None


def _matching(pattern: "re.Pattern[str]", text: object) -> str | None:
    return text if isinstance(text, str) and pattern.fullmatch(text) else None

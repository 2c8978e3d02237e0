"""Airtime and SMS over HTTP: a request is sent once, and its outcome can be queried."""

import json
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar, Final

from msgspec import Struct

from rim_ledger.delivery.breaker import Breaker
from rim_ledger.delivery.egress import (
    Answer,
    Blocked,
    Egress,
    NoAnswer,
    Unreachable,
    object_in,
    retried,
)
from rim_ledger.delivery.endpoint import Endpoint
from rim_ledger.delivery.port import UNKNOWN, Message, Outcome, Verdict
from rim_ledger.engine.environment import Environment
from rim_ledger.values import Network


class HttpProvider(ABC):
    """Client of one integration: POST to its path, and GET of `path/{reference}`. A connection that
    failed has sent nothing, and is retried; a request that may have been sent is never repeated."""

    PATH: ClassVar[str]
    BLOCKED: ClassVar[str]
    """The reason of a failure due to a blocked address."""
    UNREACHED: ClassVar[str]

    def __init__(
        self, endpoint: Endpoint, egress: Egress, breaker: Breaker, environment: Environment
    ) -> None:
        self.name = endpoint.name
        self._endpoint, self._egress, self._breaker = endpoint, egress, breaker
        self._environment = environment

    @abstractmethod
    def content(self, order: Any) -> dict[str, str]:
        """Return the JSON body for an order."""

    @abstractmethod
    def read(self, method: str, reference: str, answer: Answer) -> tuple[Outcome | None, bool]:
        """Return the outcome of an answer, if it has one, and whether the provider is healthy.
        Raises Unreachable if it certainly accepted nothing and may be called again."""

    async def send(self, order: Any) -> Outcome:
        body = json.dumps(self.content(order)).encode()
        attempt = partial(self._call, "POST", self.PATH, order.reference, body)
        try:
            outcome = await retried(attempt, self._environment)
        except Blocked:
            return Outcome(Verdict.FAILED, self.BLOCKED)
        except Unreachable:
            return Outcome(Verdict.FAILED, self.UNREACHED)
        return outcome if outcome and outcome.verdict is not Verdict.ABSENT else UNKNOWN

    async def query(self, reference: str) -> Outcome | None:
        attempt = partial(self._call, "GET", f"{self.PATH}/{reference}", reference)
        try:
            return await retried(attempt, self._environment)
        except (Blocked, Unreachable):
            return None

    async def _call(
        self, method: str, path: str, reference: str, body: bytes | None = None
    ) -> Outcome | None:
        """Make one call, and report it to the circuit breaker. None without a usable answer."""
        url = self._endpoint.base_url.rstrip("/") + path
        headers = self._endpoint.headers(reference, body, self._environment.now())
        try:
            answer = await self._egress.call(method, url, headers, body)
            outcome, healthy = self.read(method, reference, answer)
        except NoAnswer:
            outcome, healthy = None, False
        except (Blocked, Unreachable):
            await self._breaker.note(self._endpoint.id, failed=True)
            raise
        await self._breaker.note(self._endpoint.id, failed=not healthy)
        return outcome


SERVER_ERROR: Final = 500
TELCO_REFERENCE: Final = re.compile(r"[!-~]{1,120}")
REASON: Final = re.compile(r"[a-z0-9-]{1,40}")
"""A machine-readable reason. Other text of a telco may be personal."""


class TopUp(Struct, frozen=True):
    """Airtime for a phone (E.164), in naira, under a reference that is used once."""

    reference: str
    phone: str
    network: Network
    amount: Decimal


class HttpTelco(HttpProvider):
    """A telco. Only its own answer about the very reference counts; anything else, such as a
    proxy's error page, leaves the outcome unknown."""

    PATH = "/top-ups"
    BLOCKED = "The telco's address is blocked."
    UNREACHED = "The telco cannot be reached."

    def content(self, order: TopUp) -> dict[str, str]:
        return {
            "reference": order.reference,
            "phone": order.phone,
            "network": order.network,
            "amount": f"{order.amount:.2f}",
        }

    def read(self, method: str, reference: str, answer: Answer) -> tuple[Outcome | None, bool]:
        said = object_in(answer.body) if answer.status < SERVER_ERROR else {}
        outcome = understood(said) if said.get("reference") == reference else None
        return outcome, outcome is not None


def understood(said: Mapping[str, object]) -> Outcome | None:
    """Return the outcome of a telco's answer; None if it has no known meaning."""
    match said.get("status"):
        case "delivered":
            telco_reference = _matching(TELCO_REFERENCE, said.get("telcoReference"))
            return Outcome(Verdict.DELIVERED, reference=telco_reference)
        case "failed":
            word = _matching(REASON, said.get("reason"))
            return Outcome(Verdict.FAILED, f"The telco declined: {word or 'no reason given'}.")
        case "absent":
            return Outcome(Verdict.ABSENT)
        case "pending":
            return Outcome(Verdict.ACCEPTED)
        case _:
            return None


def _matching(pattern: "re.Pattern[str]", text: object) -> str | None:
    return text if isinstance(text, str) and pattern.fullmatch(text) else None


TAKEN: Final = range(200, 300)
REFUSED: Final = range(400, 500)
UNSURE: Final = (408, 409)
"""A timeout at the provider, or a reference that it knows already."""
NOT_FOUND: Final = 404
BUSY: Final = 429
NOT_ABOUT_MESSAGE: Final = (401, 402, 403, NOT_FOUND, 405, 408, BUSY)
"""Not about this message: any other would fail as well."""
NOT_TAKEN: Final = "The SMS provider did not take the message."
DECLINED: Final = "The provider says that it failed."
WORDS: Final = {
    "accepted": Outcome(Verdict.ACCEPTED),
    "sent": Outcome(Verdict.ACCEPTED),
    "delivered": Outcome(Verdict.DELIVERED),
    "failed": Outcome(Verdict.FAILED, DECLINED),
}


class SmsGateway(HttpProvider):
    """A gateway that accepts a message once per reference."""

    PATH = "/messages"
    BLOCKED = UNREACHED = NOT_TAKEN

    def content(self, order: Message) -> dict[str, str]:
        return {
            "to": order.to,
            "from": self._endpoint.sender,
            "body": order.body,
            "reference": order.reference,
        }

    def read(self, method: str, reference: str, answer: Answer) -> tuple[Outcome | None, bool]:
        status = answer.status
        healthy = status in (*TAKEN, *REFUSED) and status not in NOT_ABOUT_MESSAGE
        if method == "GET":
            if status == NOT_FOUND:
                return Outcome(Verdict.ABSENT), True
            word = str(object_in(answer.body).get("status"))
            return (WORDS.get(word, UNKNOWN) if status in TAKEN else None), healthy
        if status == BUSY:
            raise Unreachable
        if status in REFUSED and status not in UNSURE:
            return Outcome(Verdict.FAILED, NOT_TAKEN), healthy
        return (Outcome(Verdict.ACCEPTED) if status in TAKEN else None), healthy

"""Providers behind HTTP: what is sent is sent once, and asked about as often as it takes."""

import json
from abc import ABC, abstractmethod
from functools import partial
from typing import Any, ClassVar

from rim_ledger.delivery.breaker import Breaker
from rim_ledger.delivery.egress import Answer, Blocked, Egress, NoAnswer, Unreachable
from rim_ledger.delivery.endpoint import Endpoint
from rim_ledger.delivery.port import UNKNOWN, Outcome, Verdict
from rim_ledger.delivery.retry import retried
from rim_ledger.engine.environment import Environment


class HttpProvider(ABC):
    """Speaks for one integration: POST to its path, and GET of `path/{reference}`. A connection
    that did not come about has carried nothing, and is tried again; a request that may have been
    sent is never sent again."""

    PATH: ClassVar[str]
    BLOCKED: ClassVar[str]
    """Why something failed whose provider has an address where none may be."""
    UNREACHED: ClassVar[str]

    def __init__(
        self, endpoint: Endpoint, egress: Egress, breaker: Breaker, environment: Environment
    ) -> None:
        self.name = endpoint.name
        self._endpoint, self._egress, self._breaker = endpoint, egress, breaker
        self._environment = environment

    @abstractmethod
    def content(self, order: Any) -> dict[str, str]:
        """What the provider is told of an order, as JSON."""

    @abstractmethod
    def read(self, method: str, reference: str, answer: Answer) -> tuple[Outcome | None, bool]:
        """What an answer means, if anything, and whether the provider is well. Raises Unreachable
        where it certainly took nothing and may be tried again."""

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
        """One call, which the circuit breaker hears of; None without a usable answer."""
        url = self._endpoint.base_url.rstrip("/") + path
        headers = self._endpoint.headers(reference, body, self._environment.now())
        try:
            answer = await self._egress.call(method, url, headers, body)
            outcome, well = self.read(method, reference, answer)
        except NoAnswer:
            outcome, well = None, False
        except (Blocked, Unreachable):
            await self._breaker.note(self._endpoint.id, failed=True)
            raise
        await self._breaker.note(self._endpoint.id, failed=not well)
        return outcome

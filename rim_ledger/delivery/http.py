"""HTTP providers: a request is sent once, and its outcome can be queried any number of times."""

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

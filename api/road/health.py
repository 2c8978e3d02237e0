"""What operators ask: is it alive, is it ready, what does it count."""

import os
from time import perf_counter
from typing import TYPE_CHECKING, Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from api.road.routes import AnyRoute, Other, Parameters
from api.wire.call import Call, Reply
from api.wire.problem import encoded
from rim_ledger.core import Unavailable
from rim_ledger.outage import probe

if TYPE_CHECKING:
    from api.road.desk import Desk

PROBES: Final = ("/healthz", "/readyz", "/metrics")
"""What those who watch over the service ask for as often as they like."""
LAG_MAX: Final = 10_000
"""Events that the read tables may be behind and still count as ready."""

HEAD: Final = """
SELECT (SELECT coalesce(max(position), 0) FROM ledger.events),
       current_setting('transaction_read_only')"""

SECONDS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Counters of this process. Routes are named by their template, so that there are few."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "rim_http_requests_total",
            "Answers given.",
            ["method", "route", "status", "pid"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "rim_http_request_seconds",
            "From the request's head to the answer's end.",
            ["method", "route", "pid"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.errors = Counter(
            "rim_unexpected_errors_total", "Answers with status 500.", registry=self.registry
        )
        self.head = Gauge(
            "rim_ledger_head", "Last position this process knows.", registry=self.registry
        )
        self.read = Gauge(
            "rim_read_position", "Position of the read tables.", registry=self.registry
        )
        self._pid = str(os.getpid())
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._timers: dict[tuple[str, str], Histogram] = {}

    def note(self, method: str, route: str, status: int, started: float) -> None:
        """Count one answer."""
        counter = self._counters.get((method, route, status))
        if counter is None:
            counter = self._requests.labels(method, route, str(status), self._pid)
            self._counters[method, route, status] = counter
        counter.inc()
        timer = self._timers.get((method, route))
        if timer is None:
            timer = self._seconds.labels(method, route, self._pid)
            self._timers[method, route] = timer
        timer.observe(perf_counter() - started)


async def alive(_desk: "Desk", _call: Call, _: Parameters) -> Reply:
    """The process answers."""
    return Reply(200, b'{"status":"alive"}')


async def ready(desk: "Desk", _call: Call, _: Parameters) -> Reply:
    """The store can be reached and takes writes, and the read tables are not far behind."""
    try:
        head = await _look(desk)
    except Unavailable as error:
        told = {"status": "unready", "code": error.code, "reason": str(error)}
        return Reply(503, encoded(told))
    lag = max(0, head - desk.tables.position)
    body = {"status": "ready" if lag <= LAG_MAX else "unready", "position": head, "lag": lag}
    return Reply(200 if lag <= LAG_MAX else 503, encoded(body))


async def _look(desk: "Desk") -> int:
    """The last position in the store. Raises Unavailable, also when nothing can be written: once
    that was so, it is tried."""
    async with desk.reader() as connection:
        head, read_only = await (await connection.execute(HEAD)).fetchone() or (0, "off")
        if desk.ledger.outage or read_only == "on":
            await probe(connection)
            desk.ledger.recovered()
    return int(head)


async def metrics(desk: "Desk", _call: Call, _: Parameters) -> Reply:
    """Prometheus' text format."""
    desk.metrics.head.set(desk.ledger.head)
    desk.metrics.read.set(desk.tables.position)
    text = generate_latest(desk.metrics.registry)
    return Reply(200, text, media_type=b"text/plain; version=0.0.4; charset=utf-8")


ROUTES: list[AnyRoute] = [
    Other("GET", "/healthz", alive, "Alive", public=True),
    Other("GET", "/readyz", ready, "Ready", public=True),
    Other("GET", "/metrics", metrics, "Counters", public=True),
]

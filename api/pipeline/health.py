"""What operators ask: is it alive, is it ready, what does it count."""

import os
from collections.abc import Iterable
from contextlib import suppress
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

import msgspec
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from api.description.components import TEXT, shape
from api.http.call import Call, Reply
from api.http.problem import encoded
from api.pipeline.routes import AnyRoute, Other, Parameters
from projections.follow.lag import LATE, ProcessLag, found
from rim_ledger.engine.refusals import Unavailable
from rim_ledger.postgres.outage import probe

if TYPE_CHECKING:
    from api.context import Context

PROBES: Final = ("/healthz", "/readyz", "/metrics")
"""What those who watch over the service ask for as often as they like."""

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
        self._behind = Gauge(
            "rim_process_behind_seconds",
            "How long the next event has waited for a process that works behind the log.",
            ["process"],
            registry=self.registry,
        )
        self._silent = Gauge(
            "rim_process_silent_seconds",
            "Seconds since a process gave a sign of life.",
            ["process"],
            registry=self.registry,
        )
        self._pid = str(os.getpid())
        self._counters: dict[tuple[str, str, int], Counter] = {}
        self._timers: dict[tuple[str, str], Histogram] = {}

    def note_late(self, every: Iterable[ProcessLag]) -> None:
        """How late each process is, as was found just now."""
        for each in every:
            self._behind.labels(each.name).set(each.behind_seconds)
            if each.silent_seconds is not None:
                self._silent.labels(each.name).set(each.silent_seconds)

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


async def get_liveness(_context: "Context", _call: Call, _: Parameters) -> Reply:
    """The process answers."""
    return Reply(200, b'{"status":"alive"}')


async def get_readiness(context: "Context", _call: Call, _: Parameters) -> Reply:
    """The store can be reached and takes writes, and all that works behind the log is on time."""
    try:
        every = await _look(context)
    except Unavailable as error:
        told = {"status": "unready", "code": error.code, "reason": str(error)}
        return Reply(503, encoded(told))
    troubles = [each.trouble(context.late_seconds_max) for each in every]
    reason = "; ".join(filter(None, troubles))
    (follower,) = (each for each in every if each.name == "follow")
    position = (follower.position or 0) + follower.lag
    body: dict[str, Any] = {"status": "ready", "position": position, "lag": follower.lag}
    if reason:
        body |= {"status": "unready", "code": "late", "reason": reason}
    body["processes"] = msgspec.to_builtins(every)
    return Reply(503 if reason else 200, encoded(body))


async def _look(context: "Context") -> list[ProcessLag]:
    """How late each process is. Raises Unavailable, also when nothing can be written: once that
    was so, it is tried."""
    async with context.pool.reader() as connection:
        every = found(await (await connection.execute(LATE.encode())).fetchall())
        cursor = await connection.execute("SELECT current_setting('transaction_read_only')")
        if context.ledger.outage or await cursor.fetchone() == ("on",):
            await probe(connection)
            context.ledger.recovered()
    return every


async def get_metrics(context: "Context", _call: Call, _: Parameters) -> Reply:
    """Prometheus' text format."""
    context.metrics.head.set(context.ledger.head)
    context.metrics.read.set(context.tables.position)
    with suppress(Unavailable):
        context.metrics.note_late(found(await context.pool.rows(LATE)))
    text = generate_latest(context.metrics.registry)
    return Reply(200, text, media_type=b"text/plain; version=0.0.4; charset=utf-8")


NUMBER: Final = {"type": "integer", "minimum": 0}
PROCESS: Final = shape(
    "ProcessLag",
    {
        "name": TEXT,
        "position": {"type": ["integer", "null"]},
        "lag": NUMBER,
        "behindSeconds": {"type": "number"},
        "silentSeconds": {"type": ["number", "null"]},
    },
)

ROUTES: list[AnyRoute] = [
    Other("GET", "/healthz", get_liveness, "Alive", public=True, gives={"status": TEXT}),
    Other(
        "GET",
        "/readyz",
        get_readiness,
        "Ready",
        public=True,
        gives={
            "status": TEXT,
            "position": NUMBER,
            "lag": NUMBER,
            "processes": {"type": "array", "items": PROCESS},
        },
        gives_name="Readiness",
        or_gives=dict.fromkeys(("status", "code", "reason"), TEXT),
        or_gives_name="NotReady",
        or_status=503,
    ),
    Other("GET", "/metrics", get_metrics, "Counters", public=True, answers="text/plain"),
]

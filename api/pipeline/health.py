"""What operators ask: is it alive, is it ready, what does it count."""

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec
from prometheus_client import generate_latest

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
        floats = await context.pool.rows("SELECT network, balance FROM read.floats")
        context.metrics.note_floats((network, balance) for network, balance in floats)
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

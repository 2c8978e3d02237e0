"""Probes of operators: liveness, readiness, metrics."""

from contextlib import suppress
from functools import partial
from typing import Any, Final

import msgspec

from api.context import Context
from api.description.components import COUNT, TEXT, several, shape
from api.http.call import Call, Reply
from api.http.problem import encoded
from api.pipeline.rights import Rights
from api.pipeline.routes import AnyRoute, Other
from projections.follow.lag import LATE, ProcessLag, found
from rim_ledger.engine.refusals import Unavailable
from rim_ledger.postgres.outage import probe
from rim_ledger.version import VERSION

PROBES: Final = ("/healthz", "/readyz", "/metrics")
"""The paths that are exempt from rate limits."""


async def get_liveness(_context: Context, _call: Call, _: Rights) -> Reply:
    """The process answers, and which version of the program it is."""
    return Reply(200, encoded({"status": "alive", "version": VERSION}))


async def get_readiness(context: Context, _call: Call, _: Rights) -> Reply:
    """The store can be reached and takes writes, and all that works behind the log is on time."""
    try:
        every = await _look(context)
    except Unavailable as error:
        unready = {"status": "unready", "code": error.code, "reason": str(error)}
        return Reply(503, encoded(unready))
    troubles = [each.trouble(context.settings.late_seconds_max) for each in every]
    reason = "; ".join(filter(None, troubles))
    (follower,) = (each for each in every if each.name == "follow")
    position = (follower.position or 0) + follower.lag
    body: dict[str, Any] = {"status": "ready", "position": position, "lag": follower.lag}
    if reason:
        body |= {"status": "unready", "code": "late", "reason": reason}
    body["processes"] = msgspec.to_builtins(every)
    return Reply(503 if reason else 200, encoded(body))


async def _look(context: Context) -> list[ProcessLag]:
    """How late each process is. Raises Unavailable, also when nothing can be written: once that
    was so, it is tried."""
    async with context.pool.reader() as connection:
        every = found(await (await connection.execute(LATE.encode())).fetchall())
        cursor = await connection.execute("SELECT current_setting('transaction_read_only')")
        if context.ledger.outage or await cursor.fetchone() == ("on",):
            await probe(connection)
            context.ledger.recovered()
    return every


async def get_metrics(context: Context, _call: Call, _: Rights) -> Reply:
    """Prometheus' text format."""
    context.metrics.head.set(context.ledger.head)
    context.metrics.read.set(context.tables.position)
    with suppress(Unavailable):
        context.metrics.note_late(found(await context.pool.rows(LATE)))
        floats = await context.pool.rows("SELECT network, balance FROM read.floats")
        context.metrics.note_floats((network, balance) for network, balance in floats)
    return Reply(
        200, context.metrics.text(), media_type=b"text/plain; version=0.0.4; charset=utf-8"
    )


PROCESS: Final = shape(
    "ProcessLag",
    {
        "name": TEXT,
        "position": {"type": ["integer", "null"]},
        "lag": COUNT,
        "behindSeconds": {"type": "number"},
        "silentSeconds": {"type": ["number", "null"]},
    },
)
READY: Final = shape(
    "Readiness", {"status": TEXT, "position": COUNT, "lag": COUNT, "processes": several(PROCESS)}
)
NOT_READY: Final = shape("NotReady", dict.fromkeys(("status", "code", "reason"), TEXT))
Probe = partial(Other, "GET", public=True)

ROUTES: list[AnyRoute] = [
    Probe("/healthz", get_liveness, "Alive", gives={"status": TEXT, "version": TEXT}),
    Probe("/readyz", get_readiness, "Ready", gives=READY, otherwise=(503, NOT_READY)),
    Probe("/metrics", get_metrics, "Counters", answers="text/plain"),
]

"""The route that tries a credit policy on the past."""

from collections.abc import AsyncIterator
from typing import Any, Final

from api.context import Context
from api.description.components import (
    COUNT,
    FLAG,
    ID,
    NULL,
    NUMBER,
    TEXT,
    TEXTS,
    TIME,
    either,
    enumeration,
    or_null,
    several,
    shape,
)
from api.http.body import Disconnected
from api.http.call import JSON, NDJSON, Call, Reply, at_position
from api.http.stream import Stream
from api.pipeline.as_of import last_position, wait_for
from api.pipeline.background import problem_line
from api.pipeline.commands import read_form
from api.pipeline.readmission import admit_again, streaming
from api.pipeline.rights import Rights
from api.pipeline.routes import AnyRoute, operation
from projections.analysis.backtest import Backtest, Change
from projections.analysis.consequences import Outcome
from projections.tables.writer import encode
from rim_ledger.engine.activity import Activity
from rim_ledger.lending.proposed_policy import Simulation

NEEDS: Final = ("simulations", "write")
TRIED: Final = Activity(action="Export", resource="simulations")
SHOWN_MAX: Final = 1_000
"""Changes that an answer in one piece lists; as lines, they all come."""
_NAIRA: Final = {"type": "number"}
_OUTCOME: Final = enumeration(Outcome)
_TOTALS: Final = shape(
    "OutcomeTotals",
    dict.fromkeys(("requests", "lent", "late", "defaults"), COUNT)
    | dict.fromkeys(("principal", "fees", "owed"), _NAIRA),
)
_MONTH: Final = shape("SimulatedMonth", {"month": TEXT, "principal": _NAIRA, "stricter": _NAIRA})
_MOVED: Final = shape(
    "SimulatedOutcomes", {"before": _OUTCOME, "after": _OUTCOME, "figures": _TOTALS}
)
_CHANGE: Final = shape(
    "SimulatedChange",
    {
        "loan": either(shape("SimulatedLoan", {"id": ID, "loanId": TEXT}), NULL),
        "refusedRequest": or_null(ID),
        "user": shape("SimulatedUser", {"id": ID, "userId": TEXT}),
        "position": COUNT,
        "requestedAt": TIME,
        "amount": _NAIRA,
        "score": NUMBER,
        "before": _OUTCOME,
        "after": _OUTCOME,
        "reasons": TEXTS,
        "status": TEXT,
        "fee": _NAIRA,
        "late": FLAG,
        "defaulted": FLAG,
    },
)
GIVES: Final = shape(
    "SimulationReport",
    dict.fromkeys(("position", "requests", "users", "changedRequests", "changedUsers"), COUNT)
    | {"exposure": shape("Exposure", {"before": _NAIRA, "after": _NAIRA})}
    | {"defaultsAvoided": COUNT, "lossAvoided": _NAIRA, "incomeLost": _NAIRA}
    | dict.fromkeys(("all", "stricter", "looser"), _TOTALS)
    | {"outcomes": several(_MOVED), "months": several(_MONTH)}
    | {"changes": several(_CHANGE), "changesLeftOut": COUNT},
)


@operation(
    "POST /v1/simulations",
    "Try a credit policy on the past",
    NEEDS,
    exports=True,
    form=Simulation,
    gives=GIVES,
    offers=(JSON, NDJSON),
)
async def simulate(context: Context, call: Call, _: Rights) -> Reply | None:
    """Decides every loan request of the past again, by the policy that the body proposes.

    Each is decided by the rule that decides requests, on what was known before it. What came of
    it is compared with what was decided then, or `against` another policy. Nothing is written.
    With `Accept: application/x-ndjson` each change is a line, and the report the last.
    """
    await wait_for(context, call)
    simulation = await read_form(call, Simulation)
    backtest = Backtest(simulation, await last_position(context))
    headers = [at_position(backtest.report.position)]
    if call.media_type == NDJSON:
        async with streaming(context, call) as stream:
            await call.start(200, [(b"content-type", NDJSON), *headers])
            await _send(context, call, stream, backtest)
        return None
    changes = list[Change]()
    async for page in _pages(context, backtest):
        changes += page[: SHOWN_MAX - len(changes)]
    left_out = backtest.report.changed - len(changes)
    body = backtest.report.shown | {"changes": changes, "changesLeftOut": left_out}
    return Reply(200, encode(body), headers)


async def _pages(context: Context, backtest: Backtest) -> AsyncIterator[list[Change]]:
    """A connection is taken for each page, so that others are served between two."""
    while True:
        async with context.pool.reader() as connection:
            page = await backtest.page(connection)
        if page is None:
            return
        yield page


async def _send(context: Context, call: Call, stream: Stream, backtest: Backtest) -> None:
    try:
        async for page in _pages(context, backtest):
            await admit_again(context, call, NEEDS, activity=TRIED)
            await _say(stream, *({"change": each} for each in page))
        last: dict[str, Any] = {"report": backtest.report.shown}
    except Disconnected:
        raise
    except Exception as error:
        last = {"problem": problem_line(context, call, error)}
    await _say(stream, last)
    await stream.end()


async def _say(stream: Stream, *lines: dict[str, Any]) -> None:
    await stream.send(b"".join(encode(line) + b"\n" for line in lines))


ROUTES: list[AnyRoute] = [
    simulate,
]

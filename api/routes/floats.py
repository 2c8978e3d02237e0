"""The routes of airtime floats: what each network has, what is in transit, and top-ups."""

from decimal import Decimal
from typing import Final
from uuid import UUID

from api.context import Context
from api.description.components import FLAG, NAIRA, NUMBER, several, shape
from api.description.examples import AS_OF, EFFECTIVE_AT
from api.http.call import Call, Reply, at_position
from api.pipeline.as_of import moment_of
from api.pipeline.filters import Asked
from api.pipeline.rights import Rights
from api.pipeline.routes import AnyRoute, One, Parameters, Resource, operation
from projections.lending import FloatRow
from projections.tables.writer import encode
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.airtime_float import float_id, low_mark_key
from rim_ledger.lending.float_commands import AdjustFloat, TopUpFloat
from rim_ledger.system.config import setting
from rim_ledger.values import Network

FLOAT: Final = "/v1/float"
ONE: Final = FLOAT + "/{network}"
READ: Final = ("float", "read")
BALANCES: Final = """
SELECT n.network, EXISTS (SELECT FROM read.floats f
                           WHERE f.network = n.network AND f.begun <= upto.position),
       coalesce(sum(l.debit - l.credit) FILTER (WHERE l.account = '1100.' || n.network), 0),
       coalesce(sum(l.debit - l.credit) FILTER (WHERE l.account = '1150.' || n.network), 0)
  FROM (SELECT %s::int8, %s::timestamptz) AS upto (position, at)
 CROSS JOIN unnest(%s::text[]) WITH ORDINALITY AS n (network, nth)
  LEFT JOIN read.journal_lines l
    ON l.account IN ('1100.' || n.network, '1150.' || n.network) AND l.position <= upto.position
       AND l.effective_at <= coalesce(upto.at, l.effective_at)
 GROUP BY n.network, n.nth, upto.position ORDER BY n.nth"""
LINE: Final = {
    "network": {"type": "string", "enum": [*Network]},
    "tracked": FLAG,
    "balance": NAIRA,
    "inTransit": NAIRA,
    "lowMark": NAIRA,
    "low": FLAG,
}
FLOATS: Final = {"items": several(shape("NetworkFloat", LINE)), "position": NUMBER}


@operation(
    f"GET {FLOAT}",
    "The airtime float of each network",
    READ,
    gives=shape("NetworkFloats", FLOATS),
    query={"asOf": AS_OF, "effectiveAt": EFFECTIVE_AT},
)
async def list_float(context: Context, call: Call, _: Rights) -> Reply:
    """The airtime float of each network in naira, from the journal: `balance` (account 1100) and
    what is `inTransit` (1150). A network is `tracked` from its first top-up on; it is `low` while
    the balance is below `lowMark`, the setting `lending/floatLow.<network>` of today."""

    def marks(uow: UnitOfWork) -> dict[str, Decimal]:
        return {each: setting(uow, "lending", low_mark_key(each)) for each in Network}

    at = await moment_of(context, Asked.of(call.query_params))
    low = await context.ledger.read(marks, call.stamp(context.environment), in_outage=True)
    values = [at.position, at.happened_by, [*Network]]
    items = [
        {
            "network": network,
            "tracked": tracked,
            "balance": balance,
            "inTransit": in_transit,
            "lowMark": low[network],
            "low": tracked and balance < low[network],
        }
        for network, tracked, balance, in_transit in await context.pool.rows(BALANCES, values)
    ]
    body = encode({"items": items, "position": at.position})
    return Reply(200, body, [at_position(at.position)])


def _stream(parameters: Parameters) -> UUID:
    return float_id(parameters["network"])


of_float = Resource(ONE, FloatRow, "float", always={"stream": _stream})

ROUTES: list[AnyRoute] = [
    list_float,
    One(ONE, FloatRow, READ, "The float of a tracked network"),
    of_float("POST /top-up", TopUpFloat, "Top up a float"),
    of_float("POST /adjust", AdjustFloat, "Adjust a float"),
]

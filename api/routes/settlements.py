"""The routes of settlements: what providers paid out."""

from typing import Final

from api.context import Context
from api.pipeline.as_of import last_position
from api.pipeline.pipeline import look
from api.pipeline.routes import AnyRoute, CommandRequest, Resource
from projections.payments import SettlementRow
from rim_ledger.engine.command import Form
from rim_ledger.payments.settlement_commands import Holdings, RecordSettlement

HELD: Final = """
SELECT coalesce((SELECT sum(debit - credit) FROM read.journal_lines WHERE account = %s), 0),
       coalesce((SELECT sum(gross) FROM read.settlements WHERE provider = %s), 0)"""
MATCHED: Final = """
SELECT provider, sum(amount) FROM read.statement_lines
 WHERE statement_id = %s AND outcome = 'matched' GROUP BY provider"""


async def find_holdings(context: Context, request: CommandRequest, form: RecordSettlement) -> Form:
    """Read what the provider holds, once the tables show all that is recorded by now."""
    await look(context, request, lambda _: None)
    await context.tables.require(await last_position(context))
    account = f"1300.{form.provider}"
    ((held, settled),) = await context.pool.rows(HELD, [account, form.provider])
    matched = await context.pool.rows(MATCHED, [form.statement_id]) if form.statement_id else []
    return form.after(Holdings(held, settled, dict(matched)))


of_settlements = Resource("/v1/settlements", SettlementRow, "settlements")

ROUTES: list[AnyRoute] = [
    *of_settlements.reads,
    of_settlements(
        "POST",
        RecordSettlement,
        "Record a settlement",
        prepare=find_holdings,
        reads_tables=True,
        alone=True,
    ),
]

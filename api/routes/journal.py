"""The routes of the journal: entries, the trial balance at any moment, and both as CSV."""

from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from api.context import Context
from api.description.components import NUMBER, TEXT, TIME, or_null, several, shape
from api.description.examples import AS_OF, EFFECTIVE_AT
from api.http.call import Call, Reply, at_position
from api.http.csv_text import CSV_UTF8, attached, csv_text
from api.pipeline.as_of import APPROXIMATE, HINT, RECORDED, UNRECORDED, moment_of
from api.pipeline.filters import Asked, all_of, filters_of, read_query
from api.pipeline.readmission import admit_again, streaming
from api.pipeline.rights import Rights
from api.pipeline.routes import AnyRoute, List, One, operation
from projections.journal import ACCOUNTS, JournalEntryRow
from projections.tables.writer import encode
from rim_ledger.engine.activity import Activity
from rim_ledger.values import ZERO, rfc3339

READ: Final = ("journal", "read")

PAGE: Final = 700
"""Entries that are read and sent at a time; each makes several lines."""
LAST: Final = """
SELECT position, (SELECT max(position) FROM read.journal_entries)
  FROM read.tracking WHERE name = 'read'"""
LINES: Final = """
SELECT t.position, t.at, t.event, t.id, t.loan_id, t.transaction_id, t.user_id,
       l.account, l.debit, l.credit
  FROM (SELECT * FROM read.journal_entries t
         WHERE {where} AND t.position > %s AND t.position <= %s ORDER BY t.position LIMIT %s) t
  JOIN read.journal_lines l ON l.entry_id = t.id
 ORDER BY t.position, l.id"""
HEAD: Final = b"position,at,event,id,loanId,transactionId,userId,account,debit,credit\r\n"

BALANCE: Final = """
SELECT account, sum(debit), sum(credit), sum(debit) - sum(credit)
  FROM read.journal_lines WHERE position <= %s AND effective_at <= coalesce(%s, effective_at)
 GROUP BY account ORDER BY account"""

UNSURE: Final = (
    "SELECT EXISTS (SELECT FROM read.journal_lines WHERE position <= %s AND approximate)"
)
HAPPENED: Final = "SELECT EXISTS (SELECT FROM read.journal_lines WHERE effective_at <= %s)"
SUM: Final = {"type": "number"}
ACCOUNT = {"account": TEXT, "name": TEXT} | dict.fromkeys(("debit", "credit", "balance"), SUM)
FILTERS = filters_of(JournalEntryRow)
GIVES = {
    "position": NUMBER,
    "at": or_null(TIME),
    "effectiveAt": or_null(TIME),
    "accounts": several(shape("AccountBalance", ACCOUNT)),
    "totalDebit": SUM,
    "totalCredit": SUM,
}


class Balance(Struct, frozen=True):
    """The sums of every account (naira) over the events up to a position that had happened by a
    business time, if one is asked for, and when that position was recorded."""

    position: int
    at: datetime | None
    effective_at: datetime | None
    accounts: list[tuple[Any, ...]]
    headers: list[tuple[bytes, bytes]]


@operation(
    "GET /v1/trial-balance",
    "Trial balance",
    READ,
    gives=shape("TrialBalance", GIVES),
    query={"asOf": AS_OF, "effectiveAt": EFFECTIVE_AT},
)
async def get_trial_balance(context: Context, call: Call, _: Rights) -> Reply:
    """The balance of every account as of a position or a time, of recording or of business; debits
    equal credits."""
    found = await _balance(context, call)
    accounts = [
        {"account": account, "name": _name(account), "debit": debit, "credit": credit}
        | {"balance": balance}
        for account, debit, credit, balance in found.accounts
    ]
    body = {
        "position": found.position,
        "at": rfc3339(found.at) if found.at else None,
        "effectiveAt": rfc3339(found.effective_at) if found.effective_at else None,
        "accounts": accounts,
        "totalDebit": sum((each["debit"] for each in accounts), ZERO),
        "totalCredit": sum((each["credit"] for each in accounts), ZERO),
    }
    return Reply(200, encode(body), found.headers)


@operation(
    "GET /v1/trial-balance.csv",
    "Trial balance as CSV",
    READ,
    exports=True,
    answers=CSV_UTF8.decode(),
    query={"asOf": AS_OF, "effectiveAt": EFFECTIVE_AT},
)
async def export_trial_balance(context: Context, call: Call, _: Rights) -> Reply:
    """The trial balance as a table."""
    found = await _balance(context, call)
    rows = [(account, _name(account), *sums) for account, *sums in found.accounts]
    text = csv_text([("account", "name", "debit", "credit", "balance"), *rows])
    return Reply(200, text, [*found.headers, attached("trial-balance")], CSV_UTF8)


@operation(
    "GET /v1/journal.csv",
    "The journal as CSV",
    READ,
    exports=True,
    answers=CSV_UTF8.decode(),
    query=FILTERS,
)
async def export_journal(context: Context, call: Call, _: Rights) -> Reply | None:
    """Every line of the journal, with the filters of the list, in the order of the log."""
    asked = Activity(action="Export", resource="journal.csv")
    query = read_query(JournalEntryRow, call.query, context.cursor_key, "", sees=False)
    where, values = all_of(query.tests)
    # No entry is ever changed: those up to the last one at the beginning are one picture.
    ((position, last),) = await context.pool.rows(LAST)

    async def page(after: int) -> list[Any]:
        return await context.pool.rows(LINES.format(where=where), [*values, after, last, PAGE])

    lines = await page(0)
    async with streaming(context, call) as stream:
        reflected = at_position(position)
        await call.start(200, [reflected, (b"content-type", CSV_UTF8), attached("journal")])
        await stream.send(HEAD)
        while lines:
            await admit_again(context, call, READ, activity=asked)
            await stream.send(csv_text(lines))
            lines = await page(lines[-1][0])
        await stream.end()
    return None


async def _balance(context: Context, call: Call) -> Balance:
    asked = Asked.of(call.query_params)
    moment = await moment_of(context, asked)
    at = await context.pool.rows(RECORDED, [moment.position])
    accounts = await context.pool.rows(BALANCE, [moment.position, moment.happened_by])
    headers = [at_position(moment.position)]
    if moment.happened_by and (await context.pool.rows(UNSURE, [moment.position]))[0][0]:
        headers.append(APPROXIMATE)
    if not accounts and (time := asked.recorded_by):
        ((happened,),) = await context.pool.rows(HAPPENED, [time])
        headers += [(HINT, UNRECORDED.encode())] if happened else []
    return Balance(moment.position, at[0][0] if at else None, moment.happened_by, accounts, headers)


def _name(account: str) -> str:
    number, _, part = account.partition(".")
    return f"{ACCOUNTS[number]}, {part}" if part else ACCOUNTS[number]


ROUTES: list[AnyRoute] = [
    List("/v1/journal", JournalEntryRow, READ, "Entries of the journal"),
    One("/v1/journal/{id}", JournalEntryRow, READ, "One entry"),
    export_journal,
    get_trial_balance,
    export_trial_balance,
]

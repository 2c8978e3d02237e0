"""Account statements of borrowers, as JSON, as CSV, and as a page to print."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from decimal import Decimal
from functools import partial
from html import escape
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from api.context import Context
from api.description.components import ID, NAIRA, NUMBER, TEXT, TIME, or_null, several, shape
from api.description.examples import AS_OF
from api.http.call import JSON, Call, Headers, Reply, at_position
from api.http.csv_text import CSV, CSV_UTF8, attached, csv_text
from api.http.ids import missing
from api.http.problem import InvalidFields
from api.http.query import unfit, unknown_parameter
from api.pipeline.as_of import moment_of
from api.pipeline.disclosure import Look, show
from api.pipeline.filters import Asked
from api.pipeline.reads import shown
from api.pipeline.rights import Rights
from api.pipeline.routes import AnyRoute, activity_of, operation
from projections.account_statement import AccountStatement, Movement, Period
from projections.follow import log
from projections.lending import UserRow
from projections.tables.writer import encode
from rim_ledger.lending.user import User
from rim_ledger.values import LAGOS

READ: Final = ("transactions", "read")
PATH: Final = "/v1/users/{id}/account-statement"
HTML: Final = b"text/html"
HTML_UTF8: Final = b"text/html; charset=utf-8"

TITLES: Final = {
    "DebtIncurred": "Loan disbursed",
    "DebtCancelled": "Disbursement reversed",
    "DebtFeeCharged": "Fee charged",
    "DebtChargesWaived": "Charges waived",
    "RepaymentAllocated": "Repayment",
    "RepaymentReversed": "Repayment reversed",
    "CreditRefunded": "Credit refunded",
}
"""How a printed statement names an event."""
REFERENCES: Final = """
SELECT id, loan_id FROM read.loans WHERE id = ANY (%s)
UNION ALL SELECT id, transaction_id FROM read.transactions WHERE id = ANY (%s)"""
HEADS: Final = [field.encode_name for field in msgspec.structs.fields(Movement)]
DAY: Final = {
    "type": "string",
    "format": "date",
    "description": "A day in Lagos.",
    "examples": ["2026-01-31"],
}
QUERY: Final = {"from": DAY, "to": DAY, "asOf": AS_OF}
DAY_OR_NULL: Final = or_null({"type": "string", "format": "date"})
MOVEMENT: Final = {
    "at": TIME,
    "event": TEXT,
    "eventId": ID,
    "position": NUMBER,
    "loanId": or_null(ID),
    "transactionId": or_null(ID),
    "amount": NAIRA,
    "balance": NAIRA,
}
GIVES: Final = shape(
    "AccountStatement",
    {
        "id": ID,
        "userId": TEXT,
        "name": or_null(TEXT),
        "from": DAY_OR_NULL,
        "to": DAY_OR_NULL,
        "position": NUMBER,
        "openingBalance": NAIRA,
        "movements": several(shape("AccountMovement", MOVEMENT)),
        "closingBalance": NAIRA,
    },
)


class Printed(Struct, frozen=True):
    """A statement with its owner, as the reader may see them, and the position that it reflects."""

    owner: Mapping[str, Any]
    period: Period
    statement: AccountStatement
    position: int


@operation(
    f"GET {PATH}",
    "A user's account statement",
    READ,
    own=True,
    gives=GIVES,
    offers=(JSON, CSV, HTML),
    query=QUERY,
)
async def get_account_statement(context: Context, call: Call, rights: Rights) -> Reply:
    """What a borrower owed at the beginning of a period, each event that changed it, and what they
    owed at its end: on all loans, less their credit. Opening balance and movements add up to the
    closing balance. `from` and `to` are days in Lagos, both included."""
    asked = activity_of("Read", PATH, call.path_params)
    answer = partial(_printed, context, call, _period(call, rights))
    found = await show(context, call, rights, asked, answer)
    body, headers, media_type = await _written(context, call.media_type, found)
    return Reply(200, body, [at_position(found.position), *headers], media_type)


async def _printed(context: Context, call: Call, period: Period, look: Look) -> Printed:
    """The statement for the reader of a look. Raises NotFound for a user they do not see."""
    text = await shown(context, UserRow, call.path_params, look)
    if text is None:
        raise missing(User)
    owner = msgspec.json.decode(text)
    at = await moment_of(context, Asked.of(call.query_params))
    look.details = {"filters": call.query_params}
    async with context.pool.reader() as connection:
        lines = await log.streams(connection, [UUID(owner["id"])], at.position)
    if not lines:
        raise missing(User)
    return Printed(owner, period, AccountStatement.of(lines, period), at.position)


def _period(call: Call, rights: Rights) -> Period:
    """The requested period. Raises InvalidFields."""
    if rights.own and "asOf" in call.query_params:
        raise InvalidFields([unknown_parameter("asOf", ("from", "to"))], "unknown-parameter")
    first, last = _day(call, "from"), _day(call, "to")
    if first and last and first > last:
        raise unfit("to", "this is a day before the one in from")
    return Period(first, last)


def _day(call: Call, name: str) -> date | None:
    if name not in call.query_params:
        return None
    text = call.query_params[name][0]
    try:
        day = date.fromisoformat(text)
    except ValueError:
        day = None
    if day is None or day.isoformat() != text or not 1970 <= day.year <= 2200:
        raise unfit(name, "this is a day such as 2026-01-31")
    return day


async def _written(
    context: Context, media_type: bytes, found: Printed
) -> tuple[bytes, Headers, bytes]:
    if media_type == CSV:
        return csv_text(_lines(found)), [attached("account-statement")], CSV_UTF8
    if media_type == HTML:
        names = await _references(context, found.statement.movements)
        return _page(found, names).encode(), [], HTML_UTF8
    owner, statement = found.owner, found.statement
    body = {
        **{name: owner[name] for name in ("id", "userId", "name")},
        "from": found.period.first,
        "to": found.period.last,
        "position": found.position,
        "openingBalance": statement.opening,
        "movements": statement.movements,
        "closingBalance": statement.closing,
    }
    return encode(body), [], JSON


def _lines(found: Printed) -> Iterator[Iterable[Any]]:
    """The statement as a table: the opening balance, a line for each movement, and the closing
    balance."""
    nothing = [None] * (len(HEADS) - 3)
    yield HEADS
    yield found.period.first, "OpeningBalance", *nothing, found.statement.opening
    for each in found.statement.movements:
        yield msgspec.structs.astuple(each)
    yield found.period.last, "ClosingBalance", *nothing, found.statement.closing


async def _references(context: Context, movements: Iterable[Movement]) -> Mapping[UUID | None, str]:
    ids = list({of for each in movements for of in (each.loan_id, each.transaction_id) if of})
    return dict(await context.pool.rows(REFERENCES, [ids, ids])) if ids else {}


def _page(found: Printed, names: Mapping[UUID | None, str]) -> str:
    """The statement as a page. It has no style and no script: our policy allows browsers none."""
    owner, statement = found.owner, found.statement
    first, last = found.period.first, found.period.last
    days = " ".join(f"{word} {day}" for word, day in (("from", first), ("to", last)) if day)
    name = owner["name"] or ""
    rows = [_row(first, "Opening balance", None, None, statement.opening)]
    for each in statement.movements:
        reference = names.get(each.loan_id) or names.get(each.transaction_id)
        day = each.at.astimezone(LAGOS).date()
        title = TITLES.get(each.event, each.event)
        rows.append(_row(day, title, reference, each.amount, each.balance))
    rows.append(_row(last, "Closing balance", None, None, statement.closing))
    heads = "".join(f"<th>{head}</th>" for head in ("Date", "", "Reference", "Naira", "Balance"))
    return (
        '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">'
        f"<title>Account statement {owner['userId']}</title></head>\n<body>\n"
        f"<h1>Account statement</h1>\n<p>{escape(name)} {owner['userId']}</p>\n<p>{days}</p>\n"
        f'<table border="1" cellpadding="4">\n<tr>{heads}</tr>\n' + "".join(rows) + "</table>\n"
        "<p>A balance is what is owed, less credit; below zero it is credit.</p>\n"
        f"<p>Position {found.position} of the ledger</p>\n</body>\n</html>\n"
    )


def _row(
    day: date | None, title: str, reference: str | None, amount: Decimal | None, balance: Decimal
) -> str:
    figures = "".join(
        f'<td align="right">{"" if each is None else f"{each:,.2f}"}</td>'
        for each in (amount, balance)
    )
    return f"<tr><td>{day or ''}</td><td>{title}</td><td>{reference or ''}</td>{figures}</tr>\n"


ROUTES: list[AnyRoute] = [
    get_account_statement,
]

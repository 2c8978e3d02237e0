"""Where each figure of a loan comes from: the events that moved it, and the rule behind it."""

from typing import Any, Final, NamedTuple
from uuid import UUID

from msgspec import Struct
from pydantic.alias_generators import to_snake

from api.context import Context
from api.description.components import (
    ID,
    NAIRA,
    NULL,
    NUMBER,
    TEXT,
    TIME,
    either,
    or_null,
    ref,
    several,
    shape,
)
from api.description.examples import AS_OF
from api.http.call import Call, Reply, at_position
from api.http.ids import missing, resolve
from api.pipeline.as_of import last_position, position_of
from api.pipeline.disclosure import Look, show
from api.pipeline.rights import Rights
from api.pipeline.routes import AnyRoute, activity_of, operation
from api.routes.event_log import reader_of
from projections.cloud_events import Stamp, Stored, read
from projections.follow import log
from projections.follow.fold import evolved
from projections.follow.log import Line
from projections.tables.writer import encode
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.charges import POLICY_VERSION as FEE_POLICY
from rim_ledger.lending.loan import POLICY_VERSION, Loan


class Rule(Struct, frozen=True):
    """A rule: its version, and what it says in words."""

    version: str
    says: str


RULES: Final = {
    "amountDue": Rule(
        "interest-v1",
        "amount + amount · interestRate / 100, half to even at the kobo, less upfrontFee; a "
        "stored term, never computed again; plus feesCharged, less feesWaived",
    ),
    "upfrontFee": Rule(
        "interest-v1",
        "amount · interestRate / 100, half to even at the kobo, where the fee is deducted: the "
        "airtime is amount − upfrontFee; else 0",
    ),
    "vat": Rule(
        "vat-v1",
        "the agreed fee · vatRate / (100 + vatRate), half to even at the kobo, by "
        "lending/vatRate at the disbursement",
    ),
    "amountPaid": Rule(
        "allocation-v1",
        "payments go to the loan they name, then by due date, disbursement and id; inside a "
        "loan fees, then interest, then principal, the other way round once it defaulted; less "
        "what was reversed",
    ),
    "feesCharged": Rule(
        FEE_POLICY,
        "once by the clock, after the days of grace past due, and by hand; never more than "
        "lending/lateFeeMaxPercent of the amount",
    ),
    "feesWaived": Rule("waiver-v1", "unpaid fees first, then unpaid interest, never principal"),
    "writtenOffAmount": Rule(
        "write-off-v1",
        "what was outstanding at the write-off, and what had come before and was reversed "
        "since; null while it is not written off. It is owed as before",
    ),
    "outstandingAmount": Rule("outstanding-v1", "amountDue − amountPaid"),
    "status": Rule(
        POLICY_VERSION,
        "decided on request and by people, then by delivery, payments and the clock",
    ),
    "dueDate": Rule(
        "due-date-v1",
        "the Lagos date of the disbursement + repaymentPeriod days, at 23:59:59 in Lagos, or "
        "the later day to which the loan was rescheduled",
    ),
    "originalDueDate": Rule(
        "due-date-v1",
        "the first due date; a loan whose money came in after that day is repaid late",
    ),
}
"""For each figure, its rule."""

READ: Final = ("loans", "read")
EXPLAIN: Final = "/v1/loans/{id}/explain"
RULE: Final = shape("FigureRule", {"version": TEXT, "says": TEXT})
ACTOR: Final = shape(
    "Actor",
    {
        "type": TEXT,
        "id": or_null(ID),
        "name": TEXT,
        "apiKeyId": ID,
        "apiKeyName": TEXT,
        "approvedById": ID,
        "approvedByName": TEXT,
    },
    optional=("apiKeyId", "apiKeyName", "approvedById", "approvedByName"),
)


def _figure(kind: str, value: dict[str, Any], former: dict[str, Any]) -> dict[str, Any]:
    """The JSON Schema of a figure with a value of this one, and what may have been before."""
    moved = {
        "position": NUMBER,
        "event": TEXT,
        "at": TIME,
        "from": former,
        "to": value,
        "by": ACTOR,
        "because": {"type": "object"},
    }
    events = several(shape(f"{kind}Step", moved))
    return shape(kind, {"value": value, "rule": RULE, "events": events})


STATUS: Final = ref("LoanStatus")
DUE: Final = or_null(TIME)
DUE_DATE: Final = _figure("DueDateFigure", DUE, DUE)
SOME: Final = either(NAIRA, NULL)
FIGURES: Final = dict.fromkeys(RULES, _figure("MoneyFigure", NAIRA, SOME)) | {
    "writtenOffAmount": _figure("WrittenOffFigure", SOME, SOME),
    "status": _figure("StatusFigure", STATUS, either(STATUS, NULL)),
    "dueDate": DUE_DATE,
    "originalDueDate": DUE_DATE,
}
GIVES: Final = shape(
    "LoanExplanation",
    {"id": ID, "loanId": TEXT, "position": NUMBER, "figures": shape("LoanFigures", FIGURES)},
)


class LoanStep(NamedTuple):
    """An event of the loan as this reader sees it, and the loan before it, if any, and after."""

    line: Line
    stored: Stored
    before: Loan | None
    after: Loan


@operation(f"GET {EXPLAIN}", "Explain a figure", READ, gives=GIVES, query={"asOf": AS_OF})
async def explain_loan(context: Context, call: Call, rights: Rights) -> Reply:
    """Each figure of a loan, as it is or was known, with the events that moved it, and its rule.

    `because` is what the event says; its personal words are hidden from readers without users.pii,
    and null once erased.
    """
    asked = activity_of("Read", EXPLAIN, call.path_params)

    async def answer(look: Look) -> dict[str, Any]:
        loan, body = await _explained(context, call, sees=look.rights.sees_persons)
        look.persons = {loan.person}
        return body

    body = await show(context, call, rights, asked, answer)
    return Reply(200, encode(body), [at_position(body["position"])])


async def _explained(context: Context, call: Call, *, sees: bool) -> tuple[Loan, dict[str, Any]]:
    """The loan and what explains it. Raises NotFound when there was no such loan by then."""

    def find(uow: UnitOfWork) -> UUID:
        return uow.read(Loan, resolve(uow, Loan, call.path_params["id"])).id

    stream = await context.ledger.read(find, call.stamp(context.environment), in_outage=True)
    if "asOf" in call.query_params:
        position = await position_of(context, call.query_params["asOf"][0])
    else:
        position = await last_position(context)
    steps = await _steps(context, stream, position, sees=sees)
    if not steps:
        raise missing(Loan)
    loan = steps[-1].after
    figures = {
        figure: {
            "value": getattr(loan, to_snake(figure)),
            "rule": rule,
            "events": [moved for each in steps if (moved := _moved(each, to_snake(figure)))],
        }
        for figure, rule in RULES.items()
    }
    explanation = {"id": stream, "loanId": loan.loan_id, "position": position, "figures": figures}
    return loan, explanation


async def _steps(context: Context, stream: UUID, position: int, *, sees: bool) -> list[LoanStep]:
    async with context.pool.reader() as connection:
        lines = await log.streams(connection, [stream], position)
    reader = await reader_of(context, lines, sees=sees)
    steps, before = list[LoanStep](), None
    for line in lines:
        after, _ = evolved(before, line)
        assert isinstance(after, Loan), "a loan's stream holds nothing else"
        steps.append(LoanStep(line, read(line, reader)[0], before, after))
        before = after
    return steps


def _moved(step: LoanStep, attribute: str) -> dict[str, Any] | None:
    """The step's old and new value, actor and event; None if the value is the same."""
    before, after = getattr(step.before, attribute, None), getattr(step.after, attribute)
    if before == after:
        return None
    return {
        "position": step.line.position,
        "event": step.line.name,
        "at": step.stored.stamp.at,
        "from": before,
        "to": after,
        "by": _by(step.stored.stamp),
        "because": step.stored.data,
    }


def _by(stamp: Stamp) -> dict[str, Any]:
    """Who moved it, with the name they had then; with which API key, if a machine did, and who
    approved it, if it took two."""
    actor, second = stamp.actor, stamp.approved_by
    key = {"apiKeyId": actor.api_key, "apiKeyName": actor.api_key_name} if actor.api_key else {}
    approved = {"approvedById": second.id, "approvedByName": second.name} if second else {}
    return {"type": actor.type, "id": actor.id, "name": actor.name} | key | approved


ROUTES: list[AnyRoute] = [
    explain_loan,
]

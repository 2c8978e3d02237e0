"""Where each figure of a loan comes from: the events that moved it, and the rule behind it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import msgspec
from eventsourcing.persistence import StoredEvent

from api.road.routes import AnyRoute, Other, Parameters
from api.wire.call import Call, Reply
from api.wire.ids import resolve
from projections.writer import encode
from rim_ledger.book import Book
from rim_ledger.catalogue import EVENTS
from rim_ledger.codec import Codec, Recorded
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_events import POLICY_VERSION
from rim_ledger.vault import personal_fields

if TYPE_CHECKING:
    from uuid import UUID

    from api.road.desk import Desk

RULES: Final = {
    "amountDue": (
        "interest-v1",
        (
            "amount + amount · interestRate / 100, half to even at the kobo; a stored term, never "
            "computed again"
        ),
    ),
    "amountPaid": (
        "allocation-v1",
        (
            "payments go to the loan they name, then by due date, disbursement and id; inside a "
            "loan interest before principal, principal first once it defaulted; less what was "
            "reversed"
        ),
    ),
    "outstandingAmount": ("outstanding-v1", "amountDue − amountPaid"),
    "status": (
        POLICY_VERSION,
        "decided on request and by people, then by delivery, payments and the clock",
    ),
    "dueDate": (
        "due-date-v1",
        "the Lagos date of the disbursement + repaymentPeriod days, at 23:59:59 in Lagos",
    ),
}
"""For each figure, the version of its rule and what the rule says."""

ATTRIBUTES: Final = {
    "amountDue": "amount_due",
    "amountPaid": "amount_paid",
    "outstandingAmount": "outstanding_amount",
    "status": "status",
    "dueDate": "due_date",
}

STREAM: Final = """
SELECT position, version, name, convert_to(body, 'UTF8'),
       (SELECT max(position) FROM ledger.events)
  FROM ledger.events WHERE stream_id = %s ORDER BY version"""
"""A stream's events, and the head of the log that they were read at."""

_codec: Final = Codec(EVENTS)


async def explain(desk: "Desk", call: Call, parameters: Parameters) -> Reply:
    """Each figure of a loan with the events that moved it, from what to what, and its rule."""
    stream = await _stream(desk, call, parameters["id"])
    lines = await desk.rows(STREAM, [stream])
    steps: dict[str, list[dict[str, Any]]] = {figure: [] for figure in RULES}
    loan: Loan | None = None
    for position, version, name, body, _ in lines:
        stored = StoredEvent(stream, version, name, bytes(body))
        recorded: Recorded = _codec.to_domain_event(stored)
        before = loan
        loan = (
            loan.evolve(recorded.event, recorded.stamp)  # type: ignore[arg-type]
            if loan
            else Loan.begin(stream, recorded.event, recorded.stamp)  # type: ignore[arg-type]
        )
        for figure, old, new in _moved(before, loan):
            said = {"position": position, "event": name, "at": recorded.stamp.at}
            moved = {"from": old, "to": new, "by": _by(recorded), "because": _plain(recorded)}
            steps[figure].append(said | moved)
    assert loan is not None, "a stream that was found has events"
    figures = {
        figure: {
            "value": getattr(loan, ATTRIBUTES[figure]),
            "rule": {"version": version, "says": says},
            "events": steps[figure],
        }
        for figure, (version, says) in RULES.items()
    }
    *_, head = lines[-1]
    body = {"id": stream, "loanId": loan.loan_id, "position": head, "figures": figures}
    return Reply(200, encode(body), [(b"ledger-position", b"%d" % head)])


async def _stream(desk: "Desk", call: Call, text: str) -> "UUID":
    def work(book: Book) -> "UUID":
        return book.read(Loan, resolve(book, Loan, text)).id

    return (await desk.ledger.submit(work, call.stamp(desk.world))).id


def _moved(before: Loan | None, after: Loan) -> Iterator[tuple[str, Any, Any]]:
    for figure, attribute in ATTRIBUTES.items():
        old, new = getattr(before, attribute, None), getattr(after, attribute)
        if old != new:
            yield figure, old, new


def _by(recorded: Recorded) -> dict[str, Any]:
    """Who moved it, and with which API key, if a machine did."""
    actor = recorded.stamp.actor
    key = {"apiKeyId": actor.api_key} if actor.api_key else {}
    return {"type": actor.type, "id": actor.id} | key


def _plain(recorded: Recorded) -> dict[str, Any]:
    """What the event says, without words about persons."""
    hidden = {
        field.encode_name
        for field in msgspec.structs.fields(recorded.event)
        if field.name in personal_fields(type(recorded.event))
    }
    said: dict[str, Any] = msgspec.to_builtins(recorded.event)
    return {name: value for name, value in said.items() if name not in hidden}


FIGURE: Final = {"type": "object", "required": ["value", "rule", "events"]}
GIVES: Final = {
    "id": {"type": "string", "format": "uuid"},
    "loanId": {"type": "string"},
    "position": {"type": "integer"},
    "figures": {
        "type": "object",
        "required": [*RULES],
        "properties": dict.fromkeys(RULES, FIGURE),
    },
}

ROUTES: list[AnyRoute] = [
    Other(
        "GET", "/v1/loans/{id}/explain", explain, "Explain a figure", ("loans", "read"), gives=GIVES
    ),
]

"""The fold from events to rows, shared by follower and rebuild."""

from datetime import datetime
from itertools import compress
from operator import ne
from typing import Any, Final
from uuid import UUID

from eventsourcing.persistence import StoredEvent
from msgspec import Struct
from msgspec.structs import replace

from projections.audit import AuditLog
from projections.catalogue import ROW_OF
from projections.conversation import ChatMessage, TicketHistory, ticket_rows
from projections.follow.log import Line
from projections.journal import JournalEntry, JournalLine, Posting, postings
from projections.payments import StatementLine, found_lines
from projections.tables.table import Row
from rim_ledger.business_time import Times, so_far
from rim_ledger.catalogue import ENTITY_OF, EVENTS
from rim_ledger.engine import entry
from rim_ledger.engine.aggregate import Aggregate
from rim_ledger.engine.codec import Codec, Recorded
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.user import User
from rim_ledger.operator_error import OperatorError
from rim_ledger.payments.statement import StatementLinesSettled
from rim_ledger.payments.transaction import Transaction
from rim_ledger.support.ticket import Ticket
from rim_ledger.values import ZERO

OF_USERS: Final = (User, Loan, Transaction)
"""What a user's entries in the journal come from; others concern no user."""
_codec: Final = Codec(EVENTS)


class PoisonEvent(OperatorError):
    """An event that cannot be read, folded or shown. It is never skipped."""

    def __init__(self, line: Line, cause: str) -> None:
        place = f"position {line.position} ({line.name}, {line.stream} version {line.version})"
        super().__init__(f"the read tables stopped at {place}: {cause}")
        self.position, self.cause = line.position, cause


class Entry(Struct, frozen=True, gc=False):
    """A folded stream, with the values of its row, personal data still encrypted."""

    aggregate: Aggregate
    folded: entry.Entry
    """The same aggregate with all that decisions know of the stream."""
    begun: int
    """The position of its first event."""
    recorded_at: datetime
    row: type[Row] | None
    values: tuple[Any, ...]
    times: Times
    """The business times of the stream."""
    snapshot: int = 0
    """The version at which its state was kept last."""

    @property
    def version(self) -> int:
        return self.folded.version


class StreamFold(Struct, frozen=True, gc=False):
    """A stream as recorded so far, and as of what was effective."""

    recorded: Entry | None = None
    happened: Entry | None = None

    event: Recorded | None = None
    """The last event."""

    def after(self, line: Line, by: datetime | None) -> "StreamFold":
        """Fold one more event, which counts if it was effective by a time; None counts all. Raises
        PoisonEvent."""
        recorded, event = step(self.recorded, line)
        if by and recorded.times.at > by:
            return StreamFold(recorded, self.happened, event)
        part = event
        if by and self.recorded:
            part = replace(event, event=so_far(event.event, self.recorded.aggregate, by))
        if self.happened is self.recorded and part.event is event.event:
            return StreamFold(recorded, recorded, event)
        return StreamFold(recorded, _moved(self.happened, part, line, recorded.times), part)

    def left_after(self, before: "StreamFold", line: Line) -> "list[Trace]":
        """The traces of the last event, if it counts. Raises PoisonEvent."""
        if self.event is None or self.happened is None or self.happened is before.happened:
            return []
        return traces(before.happened, self.happened, self.event, line)

    @property
    def results(self) -> list[Entry]:
        """The effective state, with the business times of all events; empty before the first."""
        if self.happened is None or self.recorded is None:
            return []
        if self.happened is self.recorded:
            return [self.recorded]
        return [replace(self.happened, times=self.recorded.times)]


Trace = AuditLog | JournalEntry | JournalLine | StatementLine | ChatMessage | TicketHistory
"""An append-only row that an event adds, beside its effect on its stream's row."""


def fold(before: Entry | None, line: Line) -> tuple[Entry, list[Trace]]:
    """Fold one more event; gives the stream and the event's traces.

    Raises PoisonEvent when the event is not the next one or cannot be folded.
    """
    after, recorded = step(before, line)
    return after, traces(before, after, recorded, line)


def step(before: Entry | None, line: Line) -> tuple[Entry, Recorded]:
    """Fold one more event; gives the stream and the event. Raises PoisonEvent."""
    if line.version != (before.version + 1 if before else 1):
        raise PoisonEvent(line, f"the stream stands at version {before.version if before else 0}")
    recorded = decode(line)
    event, stamp = recorded.event, recorded.stamp
    with Poisoning(line):
        times = before.times.after(event, stamp, before.aggregate) if before else Times.begin(stamp)
    return _moved(before, recorded, line, times), recorded


def _moved(before: Entry | None, recorded: Recorded, line: Line, times: Times) -> Entry:
    begun, snapshot = (before.begun, before.snapshot) if before else (line.position, 0)
    with Poisoning(line):
        known = before.folded if before else entry.Entry()
        folded = known.after(ENTITY_OF[type(recorded.event)], recorded)
        return shown(folded, begun, line.recorded_at, times, snapshot)


def shown(
    folded: entry.Entry, begun: int, recorded_at: datetime, times: Times, snapshot: int
) -> Entry:
    """A stream that has begun, with the values that its row takes."""
    assert folded.aggregate, "it has begun"
    row = ROW_OF.get(type(folded.aggregate))
    values = row.VALUES(folded.aggregate) if row else ()
    return Entry(folded.aggregate, folded, begun, recorded_at, row, values, times, snapshot)


def evolved(before: Aggregate | None, line: Line) -> tuple[Aggregate, Recorded]:
    """Evolve the aggregate by one more event; gives both. Raises PoisonEvent."""
    recorded = decode(line)
    with Poisoning(line):
        return entry.evolved(before, ENTITY_OF[type(recorded.event)], recorded), recorded


def decode(line: Line) -> Recorded:
    """Decode the event of a line. Raises PoisonEvent."""
    with Poisoning(line):
        stored = StoredEvent(line.stream, line.version, line.name, line.body)
        return _codec.recorded(stored, line.recorded_at)


def traces(before: Entry | None, after: Entry, recorded: Recorded, line: Line) -> list[Trace]:
    """The traces of an event. Raises PoisonEvent."""
    event = recorded.event
    with Poisoning(line):
        left: list[Trace] = [_audit(before, after, recorded, line)]
        if posted := postings(event, before.aggregate if before else None, after.aggregate):
            left += _journal(after, recorded, line, posted)
        if isinstance(event, StatementLinesSettled):
            left += found_lines(line.stream, line.position, line.version, event)
        if isinstance(after.aggregate, Ticket):
            left += ticket_rows(after.aggregate, recorded)
    return left


class Poisoning:
    """Turns errors in its block into PoisonEvent. A class, as it is entered for every event."""

    __slots__ = ("_line",)

    def __init__(self, line: Line) -> None:
        self._line = line

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, Exception):
            raise PoisonEvent(self._line, f"{type(error).__name__}: {error}") from error


def _audit(before: Entry | None, after: Entry, recorded: Recorded, line: Line) -> AuditLog:
    stamp, actor = recorded.stamp, recorded.stamp.actor
    return AuditLog(
        id=recorded.id,
        position=line.position,
        action=line.name,
        entity=type(after.aggregate).__name__,
        entity_id=after.aggregate.id,
        user_id=actor.id if actor.type == "admin" else None,
        user_name=actor.name,
        user_role=actor.role,
        actor_type=actor.type,
        actor_id=actor.id,
        api_key_id=actor.api_key,
        api_key_name=actor.api_key_name,
        approved_by_id=stamp.approved_by.id if stamp.approved_by else None,
        approved_by_name=stamp.approved_by.name if stamp.approved_by else None,
        changes=_changes(before, after),
        ip_address=stamp.ip,
        user_agent=stamp.user_agent,
        request_id=stamp.request_id,
        timestamp=stamp.at,
        recorded_at=line.recorded_at,
        version=line.version,
    )


def _journal(after: Entry, recorded: Recorded, line: Line, posted: list[Posting]) -> list[Trace]:
    entry = JournalEntry(
        id=recorded.id,
        position=line.position,
        at=recorded.stamp.at,
        event=line.name,
        loan_id=_named(Loan, "loan_id", recorded, after),
        transaction_id=_named(Transaction, "transaction_id", recorded, after),
        user_id=after.aggregate.person if isinstance(after.aggregate, OF_USERS) else None,
        lines=[each.shown for each in posted],
        version=line.version,
    )
    times = after.times
    lines = [
        JournalLine(
            id=UUID(int=line.position << 16 | number),  # unique by position and number
            entry_id=recorded.id,
            position=line.position,
            recorded_at=line.recorded_at,
            effective_at=max(each.since or times.at, times.least),
            approximate=times.approximate,
            account=each.account,
            debit=max(each.debit, ZERO),
            credit=max(-each.debit, ZERO),
            version=line.version,
        )
        for number, each in enumerate(posted, 1)
    ]
    return [entry, *lines]


def _named(kind: type[Aggregate], field: str, recorded: Recorded, after: Entry) -> UUID | None:
    """The loan or transaction that an entry is about, or that its event references."""
    if isinstance(after.aggregate, kind):
        return after.aggregate.id
    named: UUID | None = getattr(recorded.event, field, None)
    return named


def _changes(before: Entry | None, after: Entry) -> dict[str, Any]:
    if after.row is None:
        return {}
    news = after.values
    olds = before.values if before else (None,) * len(news)
    changed = compress(zip(after.row.WIRES, olds, news, strict=True), map(ne, olds, news))
    return {wire: {"old": old, "new": new} for wire, old, new in changed}

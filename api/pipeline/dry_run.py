"""Dry runs: commands are decided on the state of now, and answered with what they would change.

The decision is that of the command itself, on a copy of the unit of work that is thrown away. Only
the log of activities keeps a line.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final

from msgspec import Raw, Struct

from api.context import Context
from api.http.call import Call, Reply, at_position
from api.pipeline.disclosure import Look, keys_of, show
from api.pipeline.pipeline import perform, perform_or_propose, prepare, rights_in
from api.pipeline.receipts import receipt_fields, status_of
from api.pipeline.rights import Rights
from api.pipeline.routes import CommandRequest, Request, activity_of
from api.pipeline.visible_rows import seen
from projections import cloud_events
from projections.catalogue import ROW_OF
from projections.cloud_events import persons_in
from projections.follow.log import Line
from projections.follow.preview import ChangedRow, Preview, Reader, Seen
from projections.journal import JournalEntryRow
from projections.lending import UserRow
from projections.tables.table import Row
from projections.tables.writer import encode
from rim_ledger.catalogue import ENTITY_OF, EVENTS
from rim_ledger.engine.activity import as_tried
from rim_ledger.engine.aggregate import Aggregate
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.vault.personal_keys import Keys

EVENTS_MAX: Final = 200
"""Events that an answer shows: a broadcast has one for each part of its audience."""


class Tried(Struct, frozen=True):
    """What a command would come to."""

    status: int
    receipt: dict[str, Any]
    preview: Preview
    approved: Preview | None = None
    """What its proposal would do once approved, if it takes two people."""
    keys: tuple[Keys, Keys] = ({}, {})
    """The keys of persons that were made by then, and by the command; None if destroyed."""


def try_command(
    context: Context,
    request: CommandRequest,
    before: UnitOfWork,
    noted: int,
    *,
    alone: bool = False,
) -> tuple[UnitOfWork, Tried]:
    """Decide on a command on a copy of a unit of work; gives the copy, and what it came to.

    `noted` is the number of events that the admission appended. A command `alone` leaves no
    proposal. Raises Refused as the command does.
    """
    after = before.trial()
    after.guard, after.proposed = before.guard, False
    decide = perform if alone else perform_or_propose
    stream, _ = decide(context, request, after, noted)
    aggregate = after.read(Aggregate, stream)  # type: ignore[type-abstract]
    preview, approved, last = Preview.between(before, after), None, after
    if after.proposed:
        last = before.trial()
        perform(context, request, last, noted)
        approved = Preview.between(before, last)
    version, proposed = after.version(stream), after.proposed
    receipt = Receipt.of(aggregate, version, 0, preview.events, proposed=proposed)
    fields = receipt_fields(request.route.kind, receipt)
    del fields["position"]
    keys = _made(before), {**_made(after), **_made(last)}
    return after, Tried(status_of(request.route, receipt), fields, preview, approved, keys)


def _made(uow: UnitOfWork) -> Keys:
    made = {person: key for person, (key, _) in uow.keys.items()}
    return {**made, **dict.fromkeys(uow.erased)}


async def answer_dry_run(context: Context, call: Call, request: CommandRequest) -> Reply:
    """Answer what a command would change. Raises Refused as the command does."""
    request, _ = await prepare(context, request)

    def decide(uow: UnitOfWork) -> Tried:
        return try_command(context, request, uow, len(uow.events))[1]

    return await answer_tried(context, call, request, decide)


async def answer_tried(
    context: Context, call: Call, request: Request, decide: Callable[[UnitOfWork], Tried]
) -> Reply:
    """Answer what a decision would change. It leaves the unit of work as it is. Raises Refused."""

    def look(uow: UnitOfWork) -> tuple[Tried, Rights]:
        rights = rights_in(context, uow)
        found = decide(uow)
        uow.activities[:] = map(as_tried, uow.activities)
        return found, rights

    found, rights = await context.ledger.read(look, request.stamp, request.admit, writes=False)
    head = context.ledger.head
    asked = activity_of("Read", call.path, call.path_params)

    async def answer(look: Look) -> dict[str, Any]:
        body = await tried_shown(context, found, head, look)
        look.noted |= not look.persons
        return body

    body = await show(context, call, rights, asked, answer)
    return Reply(200, encode(body), [at_position(head)])


async def tried_shown(context: Context, found: Tried, head: int, look: Look) -> dict[str, Any]:
    """What a command would come to, for the reader of a look, and in that whose data it shows."""
    body: dict[str, Any] = {"dryRun": True, "status": found.status, "receipt": found.receipt}
    body |= await _shown(context, found.preview, found.keys, head, look)
    if found.approved:
        body["onApproval"] = await _shown(context, found.approved, found.keys, head, look)
    return body


async def _shown(
    context: Context, preview: Preview, made: tuple[Keys, Keys], head: int, look: Look
) -> dict[str, Any]:
    """The events, rows, journal entries and figures that the reader may see."""
    rights, lines = look.rights, preview.lines(head)
    known = await keys_of(context, preview.persons, sees=True)  # A mask shows a little of them.
    keys = {**known, **made[0]}, {**known, **made[1]}
    tables = {row: seen(row, rights) for row in preview.tables if _reads(context, row, rights)}
    reader = Reader(keys, not rights.sees_persons, rights.own, tables)
    journal, figures = list[Seen](), list[dict[str, Any]]()
    async with context.pool.reader() as connection:
        rows = await preview.rows(connection, reader) if preview.events else []
        if _reads(context, JournalEntryRow, rights) and (posted := preview.journal(lines)):
            journal = await preview.entries(connection, posted, reader)
    if _reads(context, UserRow, rights):
        figures = [
            {"userId": user, "before": then, "after": now}
            for user, then, now in preview.figures()
            if not rights.own or user == rights.id
        ]
    shown = [line for line in lines if _is_visible(line, rows, rights)][:EVENTS_MAX]
    look.persons |= persons_in(shown)
    for row in rows:
        look.at_rows(row.row, [each.text for each in (row.before, row.after) if each])
    of_events = cloud_events.Reader(rights.sees_persons, keys[1], context.settings.public_url)
    return {
        "events": [Raw(cloud_events.shown(line, of_events)) for line in shown],
        "leftOut": len(lines) - len(shown),
        "rows": [_row(each) for each in rows],
        "journal": [Raw(each.text.encode()) for each in journal],
        "figures": figures,
    }


def _reads(context: Context, row: type[Row], rights: Rights) -> bool:
    """Whether a caller may read rows of a table, of which they may not see all."""
    return context.table.reading.get(row) in rights.given


def _is_visible(line: Line, rows: Iterable[ChangedRow], rights: Rights) -> bool:
    """Whether the caller may read an event: it is about an entity that they read, and a row that
    they see. Borrowers read no events."""
    kind = ENTITY_OF[EVENTS[line.name]]
    if rights.own or kind.__name__ not in rights.reads:
        return False
    row = ROW_OF.get(kind)
    return row is None or row.VISIBILITY is None or any(each.id == line.stream for each in rows)


def _row(changed: ChangedRow) -> dict[str, Any]:
    before, after = changed.before, changed.after
    return {
        "entity": changed.row.OF.__name__,
        "id": changed.id,
        "version": {
            "old": before.version if before else None,
            "new": after.version if after else None,
        },
        "before": Raw(before.text.encode()) if before else None,
        "after": Raw(after.text.encode()) if after else None,
    }

"""Bulk as a dry run: each line is tried on top of those before it, and nothing is written."""

from typing import Final

from msgspec.structs import replace

from api.context import Context
from api.http.body import gather
from api.http.call import NDJSON, at_position
from api.http.stream import Stream
from api.http.text import TextFile
from api.pipeline.disclosure import Look, show
from api.pipeline.dry_run import Tried, tried_shown, try_command
from api.pipeline.pipeline import prepare, request_of, rights_in
from api.pipeline.rights import Rights
from api.pipeline.routes import CommandRequest
from api.routes.atomic import (
    ASKED,
    BODY_MAX,
    SECONDS_MAX,
    Batch,
    Failed,
    ended,
    ready,
    texts_in,
    undone,
)
from api.routes.bulk_lines import Sender
from projections.tables.writer import encode
from rim_ledger.engine.activity import Activity, as_tried
from rim_ledger.engine.refusals import Invalid, Refused
from rim_ledger.engine.unit_of_work import UnitOfWork

SHOWN_AT_ONCE: Final = 50
"""Lines that are answered at a time: others are answered in between."""
SHOWN: Final = Activity(action="Read", resource="bulk")
Outcomes = dict[int, Tried | Refused]
"""What each line came to, by its number."""


class _Chain:
    """Lines that are tried, each on top of those before it."""

    def __init__(self, context: Context, uow: UnitOfWork, *, atomic: bool) -> None:
        self._context, self._atomic = context, atomic
        self._whole, self._before = uow, uow
        self.outcomes: Outcomes = {}
        self.activities: list[Activity] = []
        """The log of what was tried."""

    def decide(self, number: int, request: CommandRequest) -> None:
        """Try one more line. Raises Failed where all are refused with it."""
        noted = len(self._whole.events)
        state = self._before.trial()
        state.activities.clear()
        state.stamp, state.guard = self._whole.stamp, self._whole.guard
        try:
            if self._atomic:
                state.activities.append(request.asked)
                state.need(*request.route.needs)
            else:  # A line before it may have ended the session.
                request.admit(state)
            after, found = try_command(self._context, request, state, noted, alone=self._atomic)
        except Refused as refusal:
            if self._atomic:
                self.activities[:] = ended([*self.activities, *state.activities], refusal)
                raise Failed(number, refusal) from None
            refused = {"outcome": refusal.code}
            self.activities += [
                replace(each, details=each.details | refused) for each in state.activities
            ]
            self.outcomes[number] = refusal
            return
        self.activities += map(as_tried, state.activities)
        self.outcomes[number], self._before = found, after


async def try_all(sender: Sender, file: TextFile, *, atomic: bool) -> None:
    """Answer what each line would change, or why it would be refused; with `atomic`, why nothing
    would be done. Raises Refused for a file that is no bulk file, or too large."""
    context, call = sender.context, sender.call
    texts = texts_in(await gather(file, BODY_MAX))
    batch, failures = Batch(context, {}, SECONDS_MAX), dict[int, Refused]()
    for nth, (number, text) in enumerate(texts.items()):
        try:
            request = ready(sender, text) if atomic else sender.read(text)
            _require_first(request, nth)
            batch.requests[number], _ = await prepare(context, request)
        except Refused as refusal:
            failures[number] = refusal
    if failures and atomic:
        await call.reply(undone(sender, texts, failures))
        return

    def work(uow: UnitOfWork) -> tuple[Outcomes, Rights]:
        chain = _Chain(context, uow, atomic=atomic)
        try:
            batch.decide_all(chain.decide)
        finally:
            uow.activities[:] = chain.activities
        return chain.outcomes, rights_in(context, uow)

    whole = request_of(context, call, ASKED)
    try:
        outcomes, rights = await context.ledger.read(work, whole.stamp, whole.admit, writes=False)
    except Failed as failed:
        await call.reply(undone(sender, texts, {failed.number: failed.refusal}))
        return
    await _answer(sender, [(each, (outcomes | failures)[each]) for each in texts], rights)


def _require_first(request: CommandRequest, nth: int) -> None:
    """Refuse a command that looks at what is written, where lines before it are only tried."""
    if nth and request.route.reads_tables:
        words = "This looks at what is written, so a dry run has it in the first line, or alone."
        raise Invalid("not-after-others", words, "/op")


async def _answer(sender: Sender, lines: list[tuple[int, Tried | Refused]], rights: Rights) -> None:
    """Send the lines with what they came to, as far as the caller may see it."""
    context, call = sender.context, sender.call
    head = context.ledger.head

    async def shown(look: Look) -> bytes:
        answers = list[bytes]()
        for number, outcome in some:
            if isinstance(outcome, Refused):
                answers.append(sender.failed(number, outcome))
            else:
                body = await tried_shown(context, outcome, head, look)
                answers.append(encode({"line": number, **body}) + b"\n")
        look.noted |= not look.persons
        return b"".join(answers)

    async with Stream(call) as stream:
        await call.start(200, [(b"content-type", NDJSON), at_position(head)])
        for begin in range(0, len(lines), SHOWN_AT_ONCE):
            some = lines[begin : begin + SHOWN_AT_ONCE]
            await stream.send(await show(context, call, rights, SHOWN, shown))
        await stream.end()

"""Bulk, all or none: every line in one decision."""

import hashlib
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct

from api.context import Context
from api.http import problem
from api.http.body import gather
from api.http.call import NDJSON, Reply, at_position
from api.http.problem import Malformed, TooLarge, encoded
from api.http.text import TextFile
from api.pipeline.idempotency import asked_by, key_for
from api.pipeline.pipeline import perform, prepare, request_of
from api.pipeline.receipts import receipt_fields, status_of
from api.pipeline.routes import CommandRequest
from api.routes.bulk_lines import Sender
from rim_ledger.engine.activity import Activity
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.refusals import Invalid, Refused
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.engine.view import Missing

LINES_MAX: Final = 1000
BODY_MAX: Final = 16 * 1024 * 1024
SECONDS_MAX: Final = 5.0
"""Seconds of deciding above which a file is refused, as other commands wait meanwhile."""


ASKED: Final = Activity(action="Bulk", resource="bulk")
"""The activity of a caller who is not admitted with a file."""


class Aborted(Refused):
    """Another line was refused, so this one did not happen either."""

    def __init__(self) -> None:
        super().__init__("aborted", "Another line was refused, so nothing was done.")


class Failed(Exception):
    """Which line was refused, and why."""

    def __init__(self, number: int, refusal: Refused) -> None:
        super().__init__()
        self.number, self.refusal = number, refusal


class Batch(Struct):
    """The lines of a file, which are decided together."""

    context: Context
    requests: dict[int, CommandRequest]
    seconds_max: float
    seconds: float = 0.0
    """For how long they were decided so far, again and again while something was missing."""

    def work(self, uow: UnitOfWork) -> tuple[UUID, list[Receipt]]:
        """Every line in order, each seeing what those before it did. Raises as `decide_all` does,
        or Failed."""
        receipts, asked = list[Receipt](), list[Activity]()
        stamp, noted = uow.stamp, len(uow.events)
        uow.activities.clear()  # From here on each line is logged.

        def decide(number: int, request: CommandRequest) -> None:
            uow.stamp = msgspec.structs.replace(stamp, key=request.stamp.key)
            asked.append(request.asked)
            try:
                receipts.append(_decided(self.context, uow, request, noted))
            except Refused as refusal:
                uow.activities[:] = ended(asked, refusal)
                raise Failed(number, refusal) from None

        self.decide_all(decide)
        return receipts[-1].id, receipts

    def decide_all(self, decide: Callable[[int, CommandRequest], None]) -> None:
        """Decide on each line in order. From the first that misses something on, the rest is tried
        only to learn what else is missing, so that all of it is loaded together. Raises Missing,
        TooLarge after SECONDS_MAX, or what `decide` raises."""
        begun, missing = perf_counter(), list[tuple[str, Any]]()
        for number, request in self.requests.items():
            try:
                decide(number, request)
            except Missing as miss:
                missing += miss.rows
            except Exception:
                if missing:
                    continue  # It saw half of what those before it will do.
                raise
            if self.seconds + perf_counter() - begun > self.seconds_max:
                raise _too_slow(self.seconds_max)
        self.seconds += perf_counter() - begun
        if missing:
            raise Missing(*missing)


def _decided(context: Context, uow: UnitOfWork, request: CommandRequest, noted: int) -> Receipt:
    """What becomes of one line; its position is not known yet."""
    uow.activities.append(request.asked)
    uow.need(*request.route.needs)
    earlier = len(uow.events)
    stream, _ = perform(context, request, uow, noted)
    aggregate = uow.read(request.route.kind, stream)
    return Receipt.of(aggregate, uow.version(stream), 0, uow.events[earlier:])


def _too_slow(seconds: float) -> TooLarge:
    words = f"Deciding these lines together takes more than {seconds:g} s, for which everybody else"
    return TooLarge("atomic-too-slow", f"{words} would wait. Send fewer lines at once.")


def ended(asked: list[Activity], refusal: Refused) -> list[Activity]:
    """The activities with their outcomes: the last line was refused, so those before it were
    aborted."""
    codes = [*[Aborted().code for _ in asked[1:]], refusal.code]
    return [
        msgspec.structs.replace(each, details=each.details | {"outcome": code})
        for each, code in zip(asked, codes, strict=True)
    ]


async def perform_all(sender: Sender, file: TextFile) -> Reply:
    """200 and every receipt; or the status of the line that was refused, and nothing happened."""
    context, call = sender.context, sender.call
    body = await gather(file, BODY_MAX)
    texts = texts_in(body)
    batch, failures = Batch(context, {}, SECONDS_MAX), dict[int, Refused]()
    for number, text in texts.items():
        try:
            batch.requests[number], _ = await prepare(context, ready(sender, text))
        except Refused as refusal:
            failures[number] = refusal
    if failures:
        return undone(sender, texts, failures)
    key = _key(call.header(b"idempotency-key"), batch.requests)
    parsed = [
        [*asked_by(_op(request), request.command), sorted(request.versions or ())]
        for request in batch.requests.values()
    ]
    digest = hashlib.sha256(body).hexdigest()
    whole = request_of(context, call, ASKED)
    whole.reads = [each for request in batch.requests.values() for each in request.reads]
    whole.idempotency = key_for(
        context,
        context.callers.get(call.token),
        key,
        f"POST {call.path}",
        parsed=parsed,
        body=digest,
    )
    try:
        receipt, receipts = await context.ledger.decide(batch.work, *whole.terms)
    except Failed as failed:
        return undone(sender, texts, {failed.number: failed.refusal})
    if not receipt.replayed:
        for request, own in zip(batch.requests.values(), receipts, strict=True):
            if request.route.after:
                await request.route.after(context, request, own)
    return _done(batch, receipt, receipts)


def texts_in(body: bytes) -> dict[int, bytes]:
    """The lines of a file by their numbers, without empty ones. Raises Refused where there are none
    or too many."""
    texts = {n: text for n, text in enumerate(body.split(b"\n"), 1) if text.strip()}
    if len(texts) > LINES_MAX:
        words = f"A file that is atomic or a dry run has at most {LINES_MAX} lines."
        raise TooLarge("too-many-lines", words)
    if not texts:
        raise Malformed("no-lines", "The file has no lines.")
    return texts


def ready(sender: Sender, text: bytes) -> CommandRequest:
    """The command in a line that stands or falls with others. Raises Refused."""
    request = sender.read(text)
    if request.route.alone:
        raise Invalid("not-atomic", "This goes on after its decision, so it goes alone.", "/op")
    return request


def _op(request: CommandRequest) -> str:
    return f"{request.route.method} {request.route.path.format_map(request.parameters)}"


def _key(header: str | None, requests: dict[int, CommandRequest]) -> str | None:
    """One key for the file: its own, or one made of the keys that all its lines carry."""
    keys = [request.stamp.key for request in requests.values()]
    if header is not None or None in keys:
        return header
    return "atomic " + hashlib.sha256("\n".join(map(str, keys)).encode()).hexdigest()


def _done(batch: Batch, receipt: Receipt, receipts: Sequence[Receipt]) -> Reply:
    """An answer a line. A file that was sent before learns its position again, and no more."""
    answers = []
    for nth, (number, request) in enumerate(batch.requests.items()):
        status = status_of(request.route, receipt)
        answer: dict[str, Any] = {"line": number, "status": status}
        if receipt.replayed:
            answer |= {"replayed": True, "receipt": {"position": receipt.position}}
        else:
            own = msgspec.structs.replace(receipts[nth], position=receipt.position)
            answer["receipt"] = receipt_fields(request.route.kind, own)
        answers.append(encoded(answer) + b"\n")
    headers = [at_position(receipt.position)]
    return Reply(200, b"".join(answers), headers, NDJSON)


def undone(sender: Sender, texts: dict[int, bytes], failures: dict[int, Refused]) -> Reply:
    """Why nothing was done: each line that was refused, and the others aborted."""
    answers = [sender.failed(number, failures.get(number) or Aborted()) for number in texts]
    status = min(problem.status_of(refusal) for refusal in failures.values())
    return Reply(status, b"".join(answers), [], NDJSON)

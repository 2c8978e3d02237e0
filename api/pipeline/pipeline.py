"""The way of every request to its decision: admitted, known by its key, decided, committed."""

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from msgspec.structs import replace

from api.context import Context
from api.http.call import Call
from api.http.ids import missing, resolve
from api.pipeline.idempotency import key_for
from api.pipeline.proposing import leave_proposal
from api.pipeline.rights import Rights
from api.pipeline.routes import (
    CommandRequest,
    Done,
    Enter,
    Parameters,
    Request,
    Route,
    activity_of,
    entry,
)
from rim_ledger.admin import authentication
from rim_ledger.engine import command as deciding
from rim_ledger.engine.activity import Activity, as_dry_run, note_made
from rim_ledger.engine.aggregate import A, Aggregate
from rim_ledger.engine.command import Command, Creation, Form
from rim_ledger.engine.refusals import Invalid, NeedsApproval, Stale, Unauthenticated
from rim_ledger.engine.unit_of_work import Right, UnitOfWork

T = TypeVar("T")
AHEAD, BACK = timedelta(minutes=5), timedelta(days=7)


def request_of(
    context: Context,
    call: Call,
    asked: Activity | None,
    *needs: Right,
    enter: Enter = authentication.enter,
    parsed: Any = None,
) -> Request:
    """A request without a command; with its idempotency key, if `parsed` is given. Raises
    Unauthenticated without a token, Invalid for an invalid key."""
    token, op = call.token, f"{call.method} {call.path}"
    key = None if parsed is None or call.dry_run else call.header(b"idempotency-key")
    body = parsed.model_dump(mode="json") if isinstance(parsed, Form) else parsed
    caller = context.callers.get(token)
    idempotency = key_for(context, caller, key, op, parsed=parsed, body=body)
    stamp = call.stamp(context.environment, key)
    asked = as_dry_run(asked) if asked and call.dry_run else asked
    return Request(token, context.callers, enter, needs, asked, stamp, idempotency, call.dry_run)


async def look(
    context: Context,
    request: Request,
    see: Callable[[UnitOfWork], T],
    *,
    in_outage: bool = False,
    writes: bool = True,
) -> T:
    """What an admitted caller finds; see `Ledger.read`. A denial is logged, if the store takes
    writes; success is logged when the answer is made."""

    def seen(uow: UnitOfWork) -> T:
        found = see(uow)
        uow.activities.clear()
        return found

    return await context.ledger.read(
        seen,
        request.stamp,
        request.admit,
        in_outage=in_outage,
        writes=writes and not request.dry_run,
    )


def rights_in(context: Context, uow: UnitOfWork) -> Rights:
    """The admitted caller's rights."""
    return Rights(uow.stamp.actor, uow.rights or (), context.table.entities, uow.outage)


async def admitted(
    context: Context,
    call: Call,
    *needs: Right,
    activity: Activity,
    enter: Enter = authentication.enter,
) -> Rights:
    """Admit a caller without a command, exactly: Unauthenticated, or Forbidden."""
    request = request_of(context, call, activity, *needs, enter=enter)
    return await look(context, request, partial(rights_in, context), in_outage=True)


async def refuse_others(context: Context, call: Call, route: Route, parameters: Parameters) -> None:
    """Raise what a caller gets first who may not send a command that cannot be read, or not see
    what its path names."""

    def see(uow: UnitOfWork) -> None:
        uow.activities.clear()
        hides = uow.stamp.customer or route.kind.known_to is not Aggregate.known_to
        if hides and "id" in parameters:
            require_known(uow, route.kind, named(uow, route, parameters))

    asked = activity_of(route.command.__name__, route.path, parameters)
    request = request_of(context, call, asked, route.needs, enter=entry(route))
    await look(context, request, see, in_outage=True)


async def submit(context: Context, request: CommandRequest) -> Done:
    """Do what comes before a command, decide and commit it, and do what follows. Raises Refused,
    or Unavailable when the store cannot be reached."""
    request, before = await prepare(context, request)
    try:
        receipt, rights = await context.ledger.decide(
            partial(perform_or_propose, context, request), *request.terms
        )
    except Unauthenticated as ended:
        if before:
            await context.ledger.submit(
                partial(_answer_ended, context, request, before, ended), request.stamp
            )
        raise
    if request.route.after and not receipt.proposed:
        receipt = await request.route.after(context, request, receipt)
    return Done(request, receipt, rights)


async def prepare(
    context: Context, request: CommandRequest
) -> tuple[CommandRequest, Rights | None]:
    """The request after its route's `prepare`; and the caller's rights, if they were looked up."""
    route, before = request.route, None
    if route.admits_first:
        # Their session is noted to be used by the decision: here it would make If-Match stale.
        before = await look(context, request, partial(rights_in, context), writes=False)
    if route.prepare:
        request = replace(request, command=await route.prepare(context, request, request.command))
    return request, before


def _answer_ended(
    context: Context,
    request: CommandRequest,
    before: Rights,
    ended: Unauthenticated,
    uow: UnitOfWork,
) -> UUID:
    """Raise what the rule answers to a caller whose session ended while the request waited: of two
    super-admins who demote each other, the second learns that one must stay. Nothing is written."""
    uow.activities.append(request.asked)
    uow.stamp = replace(uow.stamp, actor=before.actor)
    uow.rights = before.given
    perform(context, request, uow)
    raise ended


def perform_or_propose(
    context: Context, request: CommandRequest, uow: UnitOfWork, noted: int | None = None
) -> tuple[UUID, Rights]:
    """Decide on a command, or leave a proposal of one that takes two people; see `perform`."""
    stamp = uow.stamp
    try:
        return perform(context, request, uow, noted)
    except NeedsApproval as needed:
        if needed.of is not request.command:
            raise
    # Nothing of it was written by then.
    uow.stamp = stamp
    proposal = leave_proposal(request, uow, partial(_stream, context, request, noted))
    return proposal, rights_in(context, uow)


def _stream(context: Context, request: CommandRequest, noted: int | None, uow: UnitOfWork) -> UUID:
    return perform(context, request, uow, noted)[0]


def perform(
    context: Context, request: CommandRequest, uow: UnitOfWork, noted: int | None = None
) -> tuple[UUID, Rights]:
    """Decide on a command of an admitted caller; gives the id of its stream, and their rights.
    `noted` is the number of events that the admission appended, all of them when omitted: they do
    not count for If-Match. Raises NeedsApproval for one that takes two people."""
    command, route = request.command, request.route
    entered = uow.events[:noted]
    _set_time(uow, command)
    if isinstance(command, Creation):
        stream = deciding.perform(uow, route.kind, request.creates, command)
        if request.creates is None:
            note_made(uow.activities, stream)
        return stream, rights_in(context, uow)
    stream = named(uow, route, request.parameters)
    if isinstance(command, Command):
        aggregate = uow.find(route.kind, stream)
        if aggregate is None or not command.reaches(aggregate, uow):
            raise missing(route.kind)
    if request.versions is not None:
        # The admission may have appended to the very stream of the command.
        own = sum(each.originator_id == stream for each in entered)
        if (version := uow.version(stream) - own) not in request.versions:
            raise Stale("stale-version", f"This is at version {version} now; read it again.")
    if isinstance(command, Command):
        stream = deciding.perform(uow, route.kind, stream, command)
    else:
        if uow.guard:
            uow.guard(uow, command, uow.find(route.kind, stream))
        stream = command.work(uow)  # type: ignore[attr-defined]
    return stream, rights_in(context, uow)


def named(uow: UnitOfWork, route: Route, parameters: Parameters) -> UUID:
    """The stream that a path names."""
    if route.stream:
        return route.stream(parameters)
    return resolve(uow, route.kind, parameters["id"])


def target(uow: UnitOfWork, request: CommandRequest) -> Aggregate:
    """The target of a command; NotFound where the caller may not see it."""
    stream = named(uow, request.route, request.parameters)
    return require_known(uow, request.route.kind, stream)


def require_known(uow: UnitOfWork, kind: type[A], stream: UUID) -> A:
    """The aggregate that a path names; NotFound where there is none, or the caller may not see
    it."""
    if (aggregate := uow.find(kind, stream)) is None or not aggregate.known_to(uow):
        raise missing(kind)
    return aggregate


def _set_time(uow: UnitOfWork, command: Form) -> None:
    """Set the business time that staff give: at most a little ahead of now, and not long ago."""
    at = getattr(command, "occurred_at", None)
    if at is None:
        return
    if at > uow.now + AHEAD:
        words = "This lies more than 5 minutes in the future."
        raise Invalid("occurred-in-future", words, "/occurredAt")
    if at < uow.now - BACK or uow.stamp.customer:
        uow.need("history.import", "write")
    uow.stamp = replace(uow.stamp, at=at)

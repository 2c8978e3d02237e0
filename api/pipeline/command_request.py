"""A wish: a checked command, what it is asked with, and its way to a receipt."""

from collections.abc import Awaitable, Callable, Container
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from api.http.ids import missing
from api.pipeline.routes import Parameters, Route, activity_of, entry
from api.pipeline.visibility import named, require_known
from rim_ledger.admin import authentication
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.one_time import send_token
from rim_ledger.admin.passwords import WithPassword
from rim_ledger.delivery.port import Channel
from rim_ledger.delivery.sender import Sender
from rim_ledger.engine.activity import Activity, note_made
from rim_ledger.engine.aggregate import SYSTEM, Actor, Stamp
from rim_ledger.engine.command import Command as CommandForm
from rim_ledger.engine.command import Creation, Form, perform
from rim_ledger.engine.idempotency import Idempotency, Receipt
from rim_ledger.engine.refusals import Invalid, Stale, Unauthenticated
from rim_ledger.engine.unit_of_work import Right, UnitOfWork

if TYPE_CHECKING:
    from api.context import Context

T = TypeVar("T")
AHEAD, BACK = timedelta(minutes=5), timedelta(days=7)


class Wish(Struct):
    """A checked command, and all that its decision needs to know about the request."""

    route: Route
    parameters: Parameters
    command: Form
    versions: frozenset[int] | None
    token: str
    stamp: Stamp
    idempotency: Idempotency | None
    noted: int = 0
    """How many events the admission itself recorded."""
    actor: Actor = SYSTEM
    given: Container[Right] = ()
    """Who the caller is and what they may do, as it was decided on."""
    promised: str = ""
    """A token that is sent once its hash is committed…"""
    sender: Sender | None = None
    """… by whom."""

    @property
    def op(self) -> str:
        """Its method and path."""
        return f"{self.route.method} {self.route.path.format_map(self.parameters)}"

    def admit(self, uow: UnitOfWork) -> None:
        """The caller is known and may ask for this."""
        uow.activities.append(self.activity)
        entry(self.route)(uow, self.token)
        self.noted = len(uow.events)
        uow.need(*self.route.needs)
        self.actor, self.given = uow.stamp.actor, uow.rights or ()

    @property
    def activity(self) -> Activity:
        """What the log of activities says of it."""
        return activity_of(type(self.command).__name__, self.route.path, self.parameters)

    async def look(self, context: "Context", see: Callable[[UnitOfWork, UUID], T]) -> T:
        """What a look at the target of the command finds, for a caller who may ask for it."""

        def look(uow: UnitOfWork) -> T:
            stream = named(uow, self.route, self.parameters)
            require_known(uow, self.route.kind, stream)
            seen = see(uow, stream)
            uow.activities.clear()  # What comes of it is logged when it is done.
            return seen

        return await context.ledger.read(look, self.stamp, self.admit)

    async def require_allowed(self, context: "Context") -> None:
        """Forbidden, or Unauthenticated, for whoever may not ask for it at all."""
        with suppress(LetIn):
            await context.ledger.submit(let_in, self.stamp, None, self.admit)

    def work(self, uow: UnitOfWork) -> UUID:
        """The decision; the id of the stream it is about."""
        command, route = self.command, self.route
        if self.sender:
            self.sender.require(Channel.EMAIL, uow)
        _set_time(uow, command)
        if isinstance(command, Creation):
            made = perform(uow, route.kind, None, command)
            note_made(uow.activities, made)
            return made
        stream = named(uow, route, self.parameters)
        if isinstance(command, CommandForm):
            aggregate = uow.find(route.kind, stream)
            if aggregate is None or not command.reaches(aggregate, uow):
                raise missing(route.kind)
        self._require_current(uow, stream)
        if isinstance(command, CommandForm):
            return perform(uow, route.kind, stream, command)
        decided: UUID = command.work(uow)  # type: ignore[attr-defined]
        return decided

    def _require_current(self, uow: UnitOfWork, stream: UUID) -> None:
        # That somebody is let in may be noted in the very stream that the command is about.
        own = sum(each.originator_id == stream for each in uow.events[: self.noted])
        if self.versions is None or (version := uow.version(stream) - own) in self.versions:
            return
        raise Stale("stale-version", f"This is at version {version} now; read it again.")

    async def prepare(self, context: "Context") -> None:
        """Let in those who change an admin before they wait their turn. Have a new password
        hashed, or make up the token that will be sent; nobody has that done who may not ask."""
        if isinstance(self.command, WithPassword) or self.route.kind is AdminUser:
            await self.require_allowed(context)
        if self.route.prepare:
            self.command = await self.route.prepare(context, self)
        if not isinstance(self.command, WithPassword):
            return
        if self.command.password:
            self.command = await self.command.hashed()
        else:
            self.sender = context.sender
            self.promised = authentication.new_token(context.environment)
            self.command = self.command.promised(authentication.token_hash(self.promised))

    async def deliver(self, context: "Context", receipt: Receipt) -> None:
        """Send the token that was promised, now that it is one."""
        if self.promised and not receipt.replayed:
            await send_token(
                context.ledger, context.sender, context.environment, receipt.id, self.promised
            )

    async def submit(self, context: "Context") -> Receipt:
        """Decide and commit, or carry out; Refused when the answer is no."""
        await self.prepare(context)

        def request() -> Awaitable[Receipt]:
            return context.ledger.submit(self.work, self.stamp, self.idempotency, self.admit)

        try:
            receipt = await (self.route.run(context, request) if self.route.run else request())
        except Unauthenticated as ended:
            if self.route.kind is AdminUser:
                await context.ledger.submit(partial(self._hear, ended), self.stamp)
            raise
        await self.deliver(context, receipt)
        return receipt

    def _hear(self, ended: Unauthenticated, uow: UnitOfWork) -> UUID:
        """What the rule says to whoever was let in when they asked, and was shut out while they
        waited: of two super-admins who demote each other, the second hears that one must stay.
        Nothing is ever done."""
        uow.activities.append(self.activity)
        uow.stamp = msgspec.structs.replace(uow.stamp, actor=self.actor)
        uow.rights = self.given
        self.work(uow)
        raise ended

    @property
    def takes_time(self) -> bool:
        """Whether there is more to it than one decision."""
        own = self.route.run or self.route.prepare
        return own is not None or isinstance(self.command, WithPassword)

    @property
    def status(self) -> int:
        """The status of the answer when it is done."""
        return 201 if isinstance(self.command, Creation) else 200


class LetIn(Exception):
    """The caller may ask for this. Nothing is written on that account."""


def let_in(uow: UnitOfWork) -> UUID:
    """The decision of those who only ask whether they may. Raises LetIn."""
    uow.activities.clear()  # What comes of it is logged when it is done.
    raise LetIn


def _set_time(uow: UnitOfWork, command: Form) -> None:
    """Staff may say when it happened: a little ahead of now, and not long ago."""
    at = getattr(command, "occurred_at", None)
    if at is None:
        return
    if at > uow.now + AHEAD:
        words = "This lies more than 5 minutes in the future."
        raise Invalid("occurred-in-future", words, "/occurredAt")
    if at < uow.now - BACK or uow.stamp.customer:
        uow.need("history.import", "write")
    uow.stamp = msgspec.structs.replace(uow.stamp, at=at)

"""A wish: a checked command, what it is asked with, and its way to a receipt."""

from collections.abc import Awaitable, Callable, Container
from contextlib import suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct

from api.road.known import named, require_known
from api.road.routes import Parameters, Route, activity_of, entry
from api.wire.ids import missing
from rim_ledger.activity import Activity, note_made
from rim_ledger.admin import gate
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.one_time import send_token
from rim_ledger.admin.passwords import WithPassword
from rim_ledger.book import Book, Right, perform
from rim_ledger.core import (
    SYSTEM,
    Actor,
    Creation,
    Form,
    Invalid,
    Stale,
    Stamp,
    Unauthenticated,
)
from rim_ledger.core import Command as CommandForm
from rim_ledger.delivery.port import Channel
from rim_ledger.delivery.sender import Sender
from rim_ledger.outcomes import Idempotency, Receipt

if TYPE_CHECKING:
    from api.road.desk import Desk

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

    def admit(self, book: Book) -> None:
        """The caller is known and may ask for this."""
        book.activities.append(self.activity)
        entry(self.route)(book, self.token)
        self.noted = len(book.events)
        book.need(*self.route.needs)
        self.actor, self.given = book.stamp.actor, book.rights or ()

    @property
    def activity(self) -> Activity:
        """What the log of activities says of it."""
        return activity_of(type(self.command).__name__, self.route.path, self.parameters)

    async def look(self, desk: "Desk", see: Callable[[Book, UUID], T]) -> T:
        """What a look at the target of the command finds, for a caller who may ask for it."""

        def look(book: Book) -> T:
            stream = named(book, self.route, self.parameters)
            require_known(book, self.route.kind, stream)
            seen = see(book, stream)
            book.activities.clear()  # What comes of it is logged when it is done.
            return seen

        return await desk.ledger.read(look, self.stamp, self.admit)

    async def require_allowed(self, desk: "Desk") -> None:
        """Forbidden, or Unauthenticated, for whoever may not ask for it at all."""
        with suppress(LetIn):
            await desk.ledger.submit(let_in, self.stamp, None, self.admit)

    def work(self, book: Book) -> UUID:
        """The decision; the id of the stream it is about."""
        command, route = self.command, self.route
        if self.sender:
            self.sender.require(Channel.EMAIL, book)
        _set_time(book, command)
        if isinstance(command, Creation):
            made = perform(book, route.kind, None, command)
            note_made(book.activities, made)
            return made
        stream = named(book, route, self.parameters)
        if isinstance(command, CommandForm):
            aggregate = book.find(route.kind, stream)
            if aggregate is None or not command.reaches(aggregate, book):
                raise missing(route.kind)
        self._require_current(book, stream)
        if isinstance(command, CommandForm):
            return perform(book, route.kind, stream, command)
        decided: UUID = command.work(book)  # type: ignore[attr-defined]
        return decided

    def _require_current(self, book: Book, stream: UUID) -> None:
        # That somebody is let in may be noted in the very stream that the command is about.
        own = sum(each.originator_id == stream for each in book.events[: self.noted])
        if self.versions is None or (version := book.version(stream) - own) in self.versions:
            return
        raise Stale("stale-version", f"This is at version {version} now; read it again.")

    async def prepare(self, desk: "Desk") -> None:
        """Let in those who change an admin before they wait their turn. Have a new password
        hashed, or make up the token that will be sent; nobody has that done who may not ask."""
        if isinstance(self.command, WithPassword) or self.route.kind is AdminUser:
            await self.require_allowed(desk)
        if self.route.prepare:
            self.command = await self.route.prepare(desk, self)
        if not isinstance(self.command, WithPassword):
            return
        if self.command.password:
            self.command = await self.command.hashed()
        else:
            self.sender = desk.sender
            self.promised = gate.new_token(desk.world)
            self.command = self.command.promised(gate.token_hash(self.promised))

    async def deliver(self, desk: "Desk", receipt: Receipt) -> None:
        """Send the token that was promised, now that it is one."""
        if self.promised and not receipt.replayed:
            await send_token(desk.ledger, desk.sender, desk.world, receipt.id, self.promised)

    async def submit(self, desk: "Desk") -> Receipt:
        """Decide and commit, or carry out; Refused when the answer is no."""
        await self.prepare(desk)

        def request() -> Awaitable[Receipt]:
            return desk.ledger.submit(self.work, self.stamp, self.idempotency, self.admit)

        try:
            receipt = await (self.route.run(desk, request) if self.route.run else request())
        except Unauthenticated as ended:
            if self.route.kind is AdminUser:
                await desk.ledger.submit(partial(self._hear, ended), self.stamp)
            raise
        await self.deliver(desk, receipt)
        return receipt

    def _hear(self, ended: Unauthenticated, book: Book) -> UUID:
        """What the rule says to whoever was let in when they asked, and was shut out while they
        waited: of two super-admins who demote each other, the second hears that one must stay.
        Nothing is ever done."""
        book.activities.append(self.activity)
        book.stamp = msgspec.structs.replace(book.stamp, actor=self.actor)
        book.rights = self.given
        self.work(book)
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


def let_in(book: Book) -> UUID:
    """The decision of those who only ask whether they may. Raises LetIn."""
    book.activities.clear()  # What comes of it is logged when it is done.
    raise LetIn


def _set_time(book: Book, command: Form) -> None:
    """Staff may say when it happened: a little ahead of now, and not long ago."""
    at = getattr(command, "occurred_at", None)
    if at is None:
        return
    if at > book.now + AHEAD:
        words = "This lies more than 5 minutes in the future."
        raise Invalid("occurred-in-future", words, "/occurredAt")
    if at < book.now - BACK or book.stamp.customer:
        book.need("history.import", "write")
    book.stamp = msgspec.structs.replace(book.stamp, at=at)

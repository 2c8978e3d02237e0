"""A command on its way: from a body to a decision, and from a receipt to an answer."""

import hashlib
import hmac
import json
import re
from collections.abc import Awaitable, Container
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct
from pydantic import ValidationError

from api.body import BODY_MAX, read_body, read_json, require_media_type
from api.call import Call, Reply
from api.ids import missing
from api.known import look_for, named
from api.problem import InvalidFields
from api.routes import Parameters, Route, activity_of
from rim_ledger.activity import Activity
from rim_ledger.admin import gate
from rim_ledger.admin.one_time import send_token
from rim_ledger.admin.passwords import WithPassword
from rim_ledger.book import Book, Right, perform
from rim_ledger.core import (
    SYSTEM,
    Actor,
    Aggregate,
    Creation,
    Form,
    Invalid,
    Refused,
    Stale,
    Stamp,
)
from rim_ledger.core import Command as CommandForm
from rim_ledger.outcomes import Idempotency, Receipt
from rim_ledger.sending import Channel

if TYPE_CHECKING:
    from api.desk import Desk

KEY: Final = re.compile(r"[ -~]{1,255}")
ETAG: Final = re.compile(r'"(\d{1,18})"')
PREFERRED: Final = re.compile(rb'(?i)(?:^|,)\s*return\s*=\s*"?representation"?\s*(?:[,;]|$)')
"""In a Prefer header, alone or beside other preferences (RFC 7240)."""
F = TypeVar("F", bound=Form)
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
    actor: Actor = SYSTEM
    given: Container[Right] = ()
    """Who the caller was and what they might do, as it was decided on."""
    promised: str = ""
    """A token that is sent once its hash is committed."""

    def admit(self, book: Book) -> None:
        """The caller is known and may ask for this."""
        gate.enter(book, self.token)
        book.activities.append(self.activity)
        book.need(*self.route.needs)
        self.actor, self.given = book.stamp.actor, book.rights or ()

    @property
    def activity(self) -> Activity:
        """What the log of activities says of it."""
        return activity_of(type(self.command).__name__, self.route.path, self.parameters)

    def work(self, book: Book) -> UUID:
        """The decision; the id of the stream it is about."""
        command, route = self.command, self.route
        _set_time(book, command)
        if isinstance(command, Creation):
            return perform(book, route.kind, None, command)
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
        if self.versions is None or (version := book.version(stream)) in self.versions:
            return
        raise Stale("stale-version", f"This is at version {version} now; read it again.")

    async def prepare(self, desk: "Desk") -> None:
        """Have a new password hashed; without one, make up the token that will be sent. Hashing
        is dear: nobody has it done who may not ask for it."""
        if not isinstance(self.command, WithPassword):
            return
        await desk.ledger.submit(_caller, self.stamp, None, self.admit)
        if self.command.password:
            self.command = await self.command.hashed()
        else:
            desk.sender.require(Channel.EMAIL)
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

        receipt = await (self.route.run(desk, request) if self.route.run else request())
        await self.deliver(desk, receipt)
        return receipt

    @property
    def takes_time(self) -> bool:
        """Whether there is more to it than one decision."""
        return self.route.run is not None or isinstance(self.command, WithPassword)

    @property
    def status(self) -> int:
        """The status of the answer when it is done."""
        return 201 if isinstance(self.command, Creation) else 200


def _caller(book: Book) -> UUID:
    book.activities.clear()  # Only asks whether; what comes of it is logged when it is done.
    assert book.stamp.actor.id is not None, "whoever was admitted is somebody"
    return book.stamp.actor.id


def _set_time(book: Book, command: Form) -> None:
    """A command may say when it happened: a little ahead of now, and not long ago."""
    at = getattr(command, "occurred_at", None)
    if at is None:
        return
    if at > book.now + AHEAD:
        words = "This lies more than 5 minutes in the future."
        raise Invalid("occurred-in-future", words, "/occurredAt")
    if at < book.now - BACK:
        book.need("history.import", "write")
    book.stamp = msgspec.structs.replace(book.stamp, at=at)


def fill(route: Route, parameters: Parameters, body: Any) -> Form:
    """The command in a body; words of the path besides `id` belong to it."""
    if isinstance(body, dict):
        fields = route.command.model_fields
        own = {name: word for name, word in parameters.items() if name in fields and name != "id"}
        if twice := own.keys() & body.keys():
            raise InvalidFields(
                [_error(f"/{name}", "in-path", "The path says it.") for name in twice]
            )
        body = body | own
    try:
        return route.command.model_validate(body)
    except ValidationError as error:
        raise InvalidFields(errors_in(error, body)) from None


async def read_form(call: Call, form: type[F]) -> F:
    """The form in a request's body."""
    body = await read_body(call.receive, call.headers, BODY_MAX)
    require_media_type(call.headers, b"application/json")
    value = read_json(body)
    try:
        return form.model_validate(value)
    except ValidationError as error:
        raise InvalidFields(errors_in(error, value)) from None


def errors_in(error: ValidationError, body: Any) -> list[dict[str, str]]:
    """Each wrong place of a body; what was written there is not repeated."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    return [
        _error(_pointer(each["loc"], body), each["type"].replace("_", "-"), each["msg"])
        for each in found
    ]


def _error(pointer: str, code: str, detail: str) -> dict[str, str]:
    return {"pointer": pointer, "code": code, "detail": detail}


def _pointer(place: tuple[int | str, ...], body: Any) -> str:
    """RFC 6901. Ends where the body ends: the names of a union's arms are not its fields."""
    pointer = ""
    for word in place:
        within = isinstance(body, dict) or (isinstance(body, list) and isinstance(word, int))
        if not within:
            break
        pointer += "/" + str(word).replace("~", "~0").replace("/", "~1")
        body = body.get(word) if isinstance(body, dict) else body[word]
    return pointer


def versions_in(if_match: str | None) -> frozenset[int] | None:
    """The versions that a caller takes for current; None when any will do."""
    if if_match is None or if_match.strip() == "*":
        return None
    return frozenset(int(number) for number in ETAG.findall(if_match))


def key_for(desk: "Desk", caller: UUID, key: str | None, op: str, body: Any) -> Idempotency | None:
    """The scope of an idempotency key: this caller, this request."""
    if key is None:
        return None
    if not KEY.fullmatch(key):
        words = "A key has 1 to 255 printable ASCII characters."
        raise Invalid("invalid-idempotency-key", words, "Idempotency-Key")
    said = op + json.dumps(body, sort_keys=True, default=str)
    digest = hmac.new(desk.request_key, said.encode(), hashlib.sha256).hexdigest()
    return Idempotency(str(caller), key, digest)


async def answer_command(desk: "Desk", call: Call, route: Route, parameters: Parameters) -> Reply:
    """Read, decide, commit; the receipt, or the row when the client prefers that."""
    token = call.token
    caller = await desk.caller(call, token)
    try:
        body = await read_body(call.receive, call.headers, BODY_MAX)
        if body:
            require_media_type(call.headers, b"application/json")
        said = read_json(body) if body else {}
        form = fill(route, parameters, said)
        key = call.header(b"idempotency-key")
        idempotency = key_for(desk, caller, key, f"{call.method} {call.path}", said)
    except Refused:
        # Whoever may not ask learns only that, and nothing of what they may not know of.
        asked = activity_of(route.command.__name__, route.path, parameters)
        await desk.rights(call, token, route.needs, activity=asked)
        await look_for(desk, call, route, parameters)
        raise
    wish = Wish(
        route,
        parameters,
        form,
        versions_in(call.header(b"if-match")),
        token,
        call.stamp(desk.world, key),
        idempotency,
    )
    receipt = await wish.submit(desk)
    if PREFERRED.search(call.headers.get(b"prefer", b"")):
        row = await desk.row_after(wish, receipt)
        if row is not None:
            return _reply(wish, receipt, row, [(b"preference-applied", b"return=representation")])
    return _reply(wish, receipt, receipt_json(route.kind, receipt), [])


def receipt_json(kind: type[Aggregate], receipt: Receipt) -> bytes:
    """`{"id", "<businessId>", "version", "position"}`; an entity without a business id omits it."""
    return json.dumps(receipt_fields(kind, receipt)).encode()


def receipt_fields(kind: type[Aggregate], receipt: Receipt) -> dict[str, Any]:
    fields: dict[str, Any] = {"id": str(receipt.id)}
    if kind.BUSINESS_ID:
        fields[wire_name(kind.BUSINESS_ID)] = receipt.business_id
    return fields | {"version": receipt.version, "position": receipt.position}


@cache
def wire_name(name: str) -> str:
    """snake_case as clients spell it."""
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _reply(wish: Wish, receipt: Receipt, body: bytes, headers: list[tuple[bytes, bytes]]) -> Reply:
    headers += [
        (b"ledger-position", b"%d" % receipt.position),
        (b"etag", b'"%d"' % receipt.version),
    ]
    if wish.status == 201:
        headers.append((b"location", f"{wish.route.path}/{receipt.id}".encode()))
    if receipt.replayed:
        headers.append((b"idempotency-replayed", b"true"))
    return Reply(wish.status, body, headers)

"""The files of a ticket: looked at, sealed and stored as they come, opened as they go."""

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote
from uuid import UUID

from msgspec import Struct

from api.http.call import Call, Reply
from api.http.download import Download, cut
from api.http.file_types import media_type, safe_name
from api.http.ids import missing, resolve
from api.http.multipart import IN_MEMORY, Upload
from api.http.problem import encoded
from api.pipeline.commands import receipt_headers
from api.pipeline.disclosure import Look, show
from api.pipeline.idempotency import key_for
from api.pipeline.readmission import admit_again, streaming
from api.pipeline.routes import SEES_PERSONS, AnyRoute, Other, Parameters, activity_of
from api.pipeline.visibility import require_known
from api.routes.support import ONE, READ, WRITE
from rim_ledger.admin import authentication
from rim_ledger.engine.command import perform
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import Right, UnitOfWork, Work
from rim_ledger.support.conversation import AddAttachment, require_room
from rim_ledger.support.ticket import Attachment, Ticket
from rim_ledger.values import UUID_TEXT, derived_id
from rim_ledger.vault.sealed_file import open_file, seal_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from api.context import Context

FILES: Final = ONE + "/attachments"


class Access(Struct):
    """A ticket that the caller may read or write, as the last decision found it."""

    context: "Context"
    call: Call
    id: str
    right: Right
    ticket: Ticket | None = None
    key: "AESGCM | None" = None
    """The key of the customer's files; None once they were erased."""

    def admit(self, uow: UnitOfWork) -> None:
        authentication.enter_own(uow, self.call.token)
        uow.need(*self.right)

    def find(self, uow: UnitOfWork) -> UUID:
        self.ticket = require_known(uow, Ticket, resolve(uow, Ticket, self.id))
        self.key = uow.key(self.ticket.person)
        return self.ticket.id

    def find_room(self, uow: UnitOfWork) -> UUID:
        """Find the ticket, if the caller may add a file to it."""
        found = self.find(uow)
        require_room(uow.read(Ticket, found), uow)
        return found

    async def look(self, work: Work | None = None) -> tuple[Ticket, int]:
        """The ticket, and the position at which it is so; NotFound when there is none."""
        call, context = self.call, self.context
        receipt = await context.ledger.submit(
            work or self.find, call.stamp(context.environment), None, self.admit
        )
        assert self.ticket is not None, "what was found is there"
        return self.ticket, receipt.position

    async def keeps(self, ticket: Ticket, file: UUID) -> bool:
        """Whether the ticket has a file by now, whoever added it."""

        def look(uow: UnitOfWork) -> bool:
            return file in uow.read(Ticket, ticket.id).attachments

        return await self.context.ledger.read(look, self.call.stamp(self.context.environment))


async def add_attachment(context: "Context", call: Call, parameters: Parameters) -> Reply:
    """Take one file in: a form with the file in it, at most 10 MiB. A later message shows it."""
    asked = activity_of("AddAttachment", FILES, parameters)
    caller = await context.caller(call, call.token, asked, authentication.enter_own)
    access = Access(context, call, parameters["id"], WRITE)
    key = call.header(b"idempotency-key")
    # A file with a key may have been taken before, and is answered the same.
    ticket, _ = await access.look(access.find_room if key is None else None)
    with context.rates.room(call, context.callers, IN_MEMORY), Upload() as upload:
        await upload.receive(call.receive, call.headers)
        name = safe_name(upload.name)
        kind = media_type(name, upload.file)
        said = [name, upload.sha256]
        idempotency = key_for(
            context, caller, key, f"{call.method} {call.path}", meant=said, said=said
        )
        own = (ticket.id, caller, key, *said)
        command = AddAttachment(
            attachment_id=context.environment.new_id()
            if key is None
            else derived_id("attachment", *own),
            name=name,
            size=upload.size,
            media_type=kind,
            sha256=upload.sha256,
        )
        if (secret := access.key) is None:
            raise Refused("erased", "This person was erased; nothing is written about them.")
        file, stored = command.attachment_id, str(command.attachment_id)
        await context.storage.keep(
            stored, seal_file(upload.file, secret, file.bytes, context.environment)
        )

    def work(uow: UnitOfWork) -> UUID:
        if uow.stamp.admin:
            added = {**parameters, "aid": stored}
            uow.activities.append(activity_of("AddAttachment", FILES, added))
        return perform(uow, Ticket, access.find(uow), command)

    try:
        receipt = await context.ledger.submit(
            work, call.stamp(context.environment, key), idempotency, access.admit
        )
    except Refused:  # After any other error the event may be there all the same.
        # The same file under the same key has the same name, and may have been taken before.
        if not await access.keeps(ticket, file):
            await context.storage.drop(stored)
        raise
    return _taken(ticket, command, receipt)


def _taken(ticket: Ticket, command: AddAttachment, receipt: Receipt) -> Reply:
    url = f"/v1/tickets/{ticket.id}/attachments/{command.attachment_id}"
    body: dict[str, Any] = {
        "id": command.attachment_id,
        "ticketId": ticket.id,
        "name": command.name,
        "url": url,
        "size": command.size,
        "type": command.media_type,
        "sha256": command.sha256,
        "version": receipt.version,
        "position": receipt.position,
    }
    headers = [
        *receipt_headers(receipt),
        (b"location", url.encode()),
        (b"etag", b'"%d"' % receipt.version),
    ]
    return Reply(201, encoded(body), headers)


async def download_attachment(context: "Context", call: Call, parameters: Parameters) -> None:
    """One file of a ticket, or a Range of it, to be saved and never to be shown in place. It may
    show anything about a person, so among staff it is for those who may see persons."""
    access, name = Access(context, call, parameters["id"], READ), parameters["aid"]
    ticket, position = await access.look()
    asked = activity_of("Export", FILES, parameters)
    rights = await context.rights(
        call, call.token, READ, activity=asked, enter=authentication.enter_own
    )
    if not rights.own:
        rights = await context.rights(call, call.token, SEES_PERSONS, activity=asked)
    id_ = UUID(name) if UUID_TEXT.fullmatch(name) else UUID(int=0)

    async def find(look: Look) -> tuple[Attachment, "AESGCM"]:
        if look.rights.unlogged:
            raise look.rights.unlogged
        file = ticket.attachments.get(id_)
        if file is None or access.key is None:
            raise missing(Attachment)
        look.persons = {ticket.person}
        return file, access.key

    file, key = await show(context, call, rights, asked, find)
    shown = await context.ledger.read(
        lambda uow: uow.reveal(ticket.person, file.name), call.stamp(context.environment)
    )

    def read(first: int, end: int) -> AsyncIterator[bytes]:
        return cut(open_file(context.storage.read(str(id_)), key, id_.bytes), first, end)

    async def admit() -> None:
        if not (await admit_again(context, call, READ, activity=asked)).own:
            await admit_again(context, call, SEES_PERSONS, activity=asked)

    shown_file = Download(
        size=file.size,
        etag=f'"{file.sha256}"',
        headers=[
            (b"content-type", file.media_type.encode()),
            (b"content-disposition", _disposition(shown or "file")),
            (b"ledger-position", b"%d" % position),
        ],
        read=read,
        admit=admit,
    )
    async with streaming(context, call) as stream:
        await shown_file.answer(call, stream)


def _disposition(name: str) -> bytes:
    """RFC 6266: the name in ASCII for old clients, and as it is for the others."""
    plain = "".join(each if " " <= each <= "~" and each not in '"\\%' else "_" for each in name)
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}".encode()


_text: Final = {"type": "string"}
_uuid: Final = {"type": "string", "format": "uuid"}
_number: Final = {"type": "integer", "minimum": 0}
GIVES: Final = {
    "id": _uuid,
    "ticketId": _uuid,
    "name": _text,
    "url": _text,
    "size": _number,
    "type": _text,
    "sha256": _text,
    "version": _number,
    "position": _number,
}

ROUTES: list[AnyRoute] = [
    Other(
        "POST",
        FILES,
        add_attachment,
        "Add a file",
        WRITE,
        own=True,
        status=201,
        gives=GIVES,
        media_type="multipart/form-data",
    ),
    Other(
        "GET",
        FILES + "/{aid}",
        download_attachment,
        "One file of a ticket",
        READ,
        own=True,
        answers="*/*",
    ),
]

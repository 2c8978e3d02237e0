"""The files of a ticket: looked at, sealed and stored as they come, opened as they go."""

from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from api.context import Context
from api.description.components import COUNT, ID, TEXT
from api.http.call import Call, Reply, at_position
from api.http.download import Download, cut
from api.http.file_types import media_type, safe_name
from api.http.ids import missing, resolve
from api.http.multipart import IN_MEMORY, one_file
from api.pipeline.disclosure import Look, show
from api.pipeline.pipeline import look, request_of, require_known, rights_in
from api.pipeline.readmission import admit_again, streaming
from api.pipeline.receipts import receipt_headers
from api.pipeline.rights import SEES_PERSONS, Rights
from api.pipeline.routes import AnyRoute, Parameters, activity_of, operation
from api.routes.support import ONE, READ, WRITE
from rim_ledger.admin import authentication
from rim_ledger.engine.command import perform
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.storage import sha256_of
from rim_ledger.support.conversation import AddAttachment, require_room
from rim_ledger.support.ticket import Attachment, Ticket
from rim_ledger.values import UUID_TEXT, derived_id
from rim_ledger.vault.sealed_file import open_file, seal_file

FILES: Final = ONE + "/attachments"
ATTACHMENT: Final = {
    "id": ID,
    "ticketId": ID,
    "name": TEXT,
    "url": TEXT,
    "size": COUNT,
    "type": TEXT,
    "sha256": TEXT,
    "version": COUNT,
    "position": COUNT,
}


def _find(uow: UnitOfWork, parameters: Parameters) -> tuple[Ticket, AESGCM | None]:
    """The ticket that a path names, and the key of its customer's files; None once they were
    erased. NotFound where there is none, or the caller may not see it."""
    ticket = require_known(uow, Ticket, resolve(uow, Ticket, parameters["id"]))
    return ticket, uow.key(ticket.person)


@operation(
    f"POST {FILES}",
    "Add a file",
    WRITE,
    own=True,
    status=201,
    gives=ATTACHMENT,
    media_type="multipart/form-data",
)
async def add_attachment(context: Context, call: Call, _: Rights) -> Reply:
    """Take one file in: a form with the file in it, at most 10 MiB. A later message shows it."""
    parameters, enter = call.path_params, authentication.enter_own
    asked = activity_of("AddAttachment", FILES, parameters)
    key = call.header(b"idempotency-key")

    def see(uow: UnitOfWork) -> tuple[Ticket, AESGCM | None]:
        ticket, secret = _find(uow, parameters)
        if key is None:  # A file with a key may have been taken before, and is answered the same.
            require_room(ticket, uow)
        return ticket, secret

    ticket, secret = await look(context, request_of(context, call, asked, WRITE, enter=enter), see)
    with context.rates.room(call, context.callers, IN_MEMORY):
        async with one_file(call.receive, call.headers) as upload:
            name = safe_name(upload.filename or "")
            kind, sha256 = media_type(name, upload.file), await sha256_of(upload.file)
            own = (ticket.id, context.callers[call.token], key, name, sha256)
            command = AddAttachment(
                attachment_id=context.environment.new_id()
                if key is None
                else derived_id("attachment", *own),
                name=name,
                size=upload.size or 0,
                media_type=kind,
                sha256=sha256,
            )
            file, stored = command.attachment_id, str(command.attachment_id)
            asked = activity_of("AddAttachment", FILES, {**parameters, "aid": stored})
            parsed = [name, sha256]
            request = request_of(context, call, asked, WRITE, enter=enter, parsed=parsed)
            if secret is None:
                raise Refused("erased", "This person was erased; nothing is written about them.")
            sealed = seal_file(upload.file, secret, file.bytes, context.environment)
            await context.storage.keep(stored, sealed)

    def add(uow: UnitOfWork) -> tuple[UUID, None]:
        return perform(uow, Ticket, _find(uow, parameters)[0].id, command), None

    def kept(uow: UnitOfWork) -> bool:
        return file in uow.read(Ticket, ticket.id).attachments

    try:
        receipt, _value = await context.ledger.decide(add, *request.terms)
    except Refused:  # After any other error the event may be there all the same.
        # The same file under the same key has the same name, and may have been taken before.
        if not await context.ledger.read(kept, request.stamp):
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
    return Reply(201, body, headers)


@operation(f"GET {FILES}/{{aid}}", "One file of a ticket", READ, own=True, answers="*/*")
async def download_attachment(context: Context, call: Call, _: Rights) -> None:
    """One file of a ticket, or a Range of it, to be saved and never to be shown in place. It may
    show anything about a person, so among staff it is for those who may see persons."""
    parameters, text = call.path_params, call.path_params["aid"]
    asked = activity_of("Export", FILES, parameters)
    id_ = UUID(text) if UUID_TEXT.fullmatch(text) else UUID(int=0)

    def see(uow: UnitOfWork) -> tuple[UUID, tuple[Ticket, AESGCM | None, str | None, Rights]]:
        ticket, secret = _find(uow, parameters)
        if uow.stamp.admin:
            uow.need(*SEES_PERSONS)
        file = ticket.attachments.get(id_)
        name = uow.reveal(ticket.person, file.name) if file else None
        uow.activities.clear()  # It is logged with what is shown.
        return ticket.id, (ticket, secret, name, rights_in(context, uow))

    request = request_of(context, call, asked, READ, enter=authentication.enter_own)
    receipt, (ticket, secret, name, rights) = await context.ledger.decide(see, *request.terms)

    async def find(look: Look) -> tuple[Attachment, AESGCM]:
        if look.rights.unlogged:
            raise look.rights.unlogged
        file = ticket.attachments.get(id_)
        if file is None or secret is None:
            raise missing(Attachment)
        look.persons = {ticket.person}
        return file, secret

    file, key = await show(context, call, rights, asked, find)

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
            (b"content-disposition", _disposition(name or "file")),
            at_position(receipt.position),
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


ROUTES: list[AnyRoute] = [
    add_attachment,
    download_attachment,
]

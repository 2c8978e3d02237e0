"""A ticket's messages and its history."""

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from msgspec import Struct

from projections.event_names import EventName
from projections.tables.columns import (
    Copied,
    Generated,
    Indexed,
    Internal,
    Key,
    Lookup,
    Moment,
    Read,
    References,
    Sealed,
    Sql,
)
from projections.tables.embedded import Attachment
from projections.tables.table import Row, row_of
from rim_ledger.engine.codec import Recorded
from rim_ledger.support.ticket import MessagePosted, MessagesRead, Sender, Ticket


class ChatMessage(Struct, frozen=True, kw_only=True, gc=False):
    """A message; its text stays encrypted until read by someone who may."""

    id: UUID
    ticket_id: UUID
    number: int
    sender_id: UUID | None
    sender_name: str | None
    sender_type: Sender
    message: str | None
    attachments: list[dict[str, Any]]
    created_at: datetime
    version: int


class ChatMessageRow(Row, table="chat_messages", of=ChatMessage):
    """A message of a ticket, with its files. It is read once the other side has read so far.

    Names and words of persons stay sealed in it; whoever may read them opens them.
    """

    id: Key
    ticket_id: Annotated[UUID, Indexed, References("tickets")]
    number: int
    sender_id: Annotated[UUID | None, Internal, Lookup]
    sender_name: Annotated[str | None, Sealed]
    sender_type: Sender
    message: Annotated[str | None, Sealed]
    attachments: Annotated[list[Attachment], Sql("json"), Sealed]
    read_by_agents: Annotated[int | None, Copied("tickets", "read_by_agents", by="ticket_id")]
    read_by_customer: Annotated[int | None, Copied("tickets", "read_by_customer", by="ticket_id")]
    is_read: Annotated[
        bool,
        Generated(
            "number <= CASE sender_type WHEN 'customer' THEN read_by_agents"
            " ELSE read_by_customer END"
        ),
    ]
    created_at: Annotated[Moment, Indexed]


class TicketHistory(Struct, frozen=True, kw_only=True, gc=False):
    """One event of a ticket: what was done, by whom, and why. Words about persons stay sealed."""

    id: Key
    ticket_id: Annotated[UUID, Indexed, References("tickets")]
    action: Annotated[str, Lookup, Read(EventName)]
    performed_by: Annotated[UUID | None, Lookup, References("admin_users")]
    performed_by_name: Annotated[str | None, Sealed]
    details: Annotated[str | None, Sealed]
    timestamp: Annotated[Moment, Indexed]
    version: int


TicketHistoryRow = row_of(TicketHistory, table="ticket_history", newest="timestamp")

DETAILS = (
    "reason",
    "resolution",
    "priority",
    "category",
    "tag",
    "name",
    "assigned_to",
    "to",
    "department",
)
"""Event fields shown as details; the first present one is used."""


def ticket_rows(ticket: Ticket, recorded: Recorded) -> Iterator[ChatMessage | TicketHistory]:
    """Yield the rows that an event adds to messages and history."""
    event, stamp = recorded.event, recorded.stamp
    if isinstance(event, MessagesRead):
        return
    if isinstance(event, MessagePosted):
        yield ChatMessage(
            id=recorded.id,
            ticket_id=ticket.id,
            number=ticket.messages,
            sender_id=stamp.actor.id,
            sender_name=event.sender_name or stamp.actor.name,
            sender_type=event.sender_type,
            message=event.message,
            attachments=[_file(ticket, each, recorded.id) for each in event.attachments],
            created_at=stamp.at,
            version=recorded.originator_version,
        )
    values = (getattr(event, field, None) for field in DETAILS)
    details = next((each for each in values if each is not None), None)
    yield TicketHistory(
        id=recorded.id,
        ticket_id=ticket.id,
        action=type(event).__name__,
        performed_by=stamp.admin,
        performed_by_name=getattr(event, "sender_name", None) or stamp.actor.name,
        details=None if details is None else str(details),
        timestamp=stamp.at,
        version=recorded.originator_version,
    )


def _file(ticket: Ticket, id: UUID, message: UUID) -> dict[str, Any]:
    file = ticket.attachments[id]
    return {
        "id": id,
        "name": file.name,
        "url": f"/v1/tickets/{ticket.id}/attachments/{id}",
        "size": file.size,
        "type": file.media_type,
        "messageId": message,
    }

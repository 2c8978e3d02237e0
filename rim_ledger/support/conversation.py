"""The conversation of a ticket: messages, attachments, and what was read."""

from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import Field

from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Invalid, require, require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.user import User
from rim_ledger.support.deadlines import overdue, schedule_check
from rim_ledger.support.quotas import BYTES, FILES, MESSAGES, require_left, spend
from rim_ledger.support.ticket import (
    LEGAL,
    AttachmentAdded,
    MessagePosted,
    MessagesRead,
    Sender,
    Ticket,
    TicketStarted,
    TicketStatus,
)
from rim_ledger.values import Id, Text

ATTACHMENTS_MAX: Final = 5
"""Files per message."""
UNPOSTED_MAX: Final = 20
"""Files of one ticket that no message shows yet."""

SENDERS: Final = {"admin": Sender.AGENT, "user": Sender.CUSTOMER}


class PostMessage(Command[Ticket]):
    """Post a message in a ticket, with at most five of its files that were not posted yet. An
    agent's first answer to an assigned open ticket starts the work."""

    message: Text
    attachment_ids: Annotated[list[Id], Field(max_length=ATTACHMENTS_MAX)] = []

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "message", LEGAL)
        customer = uow.read(User, aggregate.customer_id)
        customer.require_present()
        require_left(uow, MESSAGES, spent=aggregate.said_on(uow.stamp))
        files = tuple(dict.fromkeys(self.attachment_ids))
        for number, each in enumerate(files):
            file = aggregate.attachments.get(each)
            if file is None or file.posted:
                words = "The ticket has no such file that goes with no message yet."
                raise Invalid("unknown-attachment", words, f"/attachmentIds/{number}")
        sender = SENDERS.get(uow.stamp.actor.type, Sender.SYSTEM)
        answers = sender is Sender.AGENT
        own = sender is Sender.CUSTOMER
        name = uow.reveal(customer.id, customer.name) if own else None
        if answers:
            yield from overdue(aggregate, uow.stamp.at)
        yield MessagePosted(
            sender_type=sender,
            message=self.message,
            sender_name=name,
            attachments=files,
        )
        if answers and aggregate.status is TicketStatus.OPEN and aggregate.assigned_to:
            yield TicketStarted()

    def follow(self, before: Ticket, uow: UnitOfWork) -> None:
        schedule_check(uow, before.id)


class MarkMessagesRead(Command[Ticket]):
    """Mark all messages of the other side as read."""

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        by_customer = uow.stamp.actor.type == "user"
        read = aggregate.read_by_customer if by_customer else aggregate.read_by_agents
        if read < aggregate.messages:
            reader = Sender.CUSTOMER if by_customer else Sender.AGENT
            yield MessagesRead(reader=reader, number=aggregate.messages)


class AddAttachment(Command[Ticket]):
    """Record a file that was checked and stored; a later message shows it."""

    attachment_id: Id
    name: str
    size: int
    media_type: str
    sha256: str

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_room(aggregate, uow)
        uow.read(User, aggregate.customer_id).require_present()
        spend(uow, FILES)
        spend(uow, BYTES, self.size)
        yield AttachmentAdded.of(self)


def require_room(ticket: Ticket, uow: UnitOfWork) -> None:
    """Refuse another file if the ticket or the caller's quota has no room for it."""
    require_legal(ticket.status, "attach", LEGAL)
    unposted = sum(not file.posted for file in ticket.attachments.values())
    full = f"{UNPOSTED_MAX} files of this ticket go with no message yet; send some first."
    require(unposted < UNPOSTED_MAX, "too-many-attachments", full)
    require_left(uow, FILES)
    require_left(uow, BYTES)

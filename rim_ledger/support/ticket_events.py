"""What can happen to a ticket."""

from datetime import datetime
from enum import StrEnum
from uuid import UUID

from rim_ledger.engine.core import Event, Personal


class Category(StrEnum):
    """What a ticket is about."""

    TECHNICAL = "technical"
    BILLING = "billing"
    ACCOUNT = "account"
    LOAN = "loan"
    GENERAL = "general"
    TRANSACTION = "transaction"


class Priority(StrEnum):
    """How soon a ticket wants looking at."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"


class Sender(StrEnum):
    """Who says something in a ticket."""

    CUSTOMER = "customer"
    AGENT = "agent"
    SYSTEM = "system"


class TicketOpened(Event):
    """Somebody needs help. The two times are those until which it is owed."""

    ticket_number: str
    customer_id: UUID
    subject: Personal
    description: Personal
    category: Category
    priority: Priority
    response_due_at: datetime
    resolution_due_at: datetime
    department: UUID | None = None
    tags: tuple[str, ...] = ()


class TicketAssigned(Event):
    assigned_to: UUID
    automatic: bool = False


class TicketUnassigned(Event):
    """Nobody has the ticket; it is open again."""


class TicketStarted(Event):
    """Somebody works on it."""


class TicketEscalated(Event):
    """Somebody of a higher tier is asked to take over."""

    to: UUID
    reason: Personal


class TicketEscalationAccepted(Event):
    """Whoever it was escalated to has it now, and works on it."""

    assigned_to: UUID


class TicketResolved(Event):
    resolution: Personal


class TicketReopened(Event):
    """It was not resolved after all; the clock of its resolution starts anew."""

    reason: Personal
    resolution_due_at: datetime


class TicketClosed(Event):
    """Nothing happens to it any more."""


class TicketPriorityChanged(Event):
    priority: Priority


class TicketCategoryChanged(Event):
    category: Category


class TicketDepartmentChanged(Event):
    department: UUID | None


class TicketTagged(Event):
    tag: str


class TicketUntagged(Event):
    tag: str


class MessagePosted(Event):
    """`sender_name` is set for customers; others stand in the stamp."""

    sender_type: Sender
    message: Personal
    sender_name: Personal = None
    attachments: tuple[UUID, ...] = ()


class MessagesRead(Event):
    """One side has read what the other said, up to the message of a number."""

    reader: Sender
    number: int


class AttachmentAdded(Event):
    """A file was stored under an id of its own, to go with a message."""

    attachment_id: UUID
    name: Personal
    size: int
    media_type: str
    sha256: str


class TicketResponseOverdue(Event):
    """No agent answered in time."""


class TicketResolutionOverdue(Event):
    """The ticket was not resolved in time."""


TicketEvent = (
    TicketAssigned
    | TicketUnassigned
    | TicketStarted
    | TicketEscalated
    | TicketEscalationAccepted
    | TicketResolved
    | TicketReopened
    | TicketClosed
    | TicketPriorityChanged
    | TicketCategoryChanged
    | TicketDepartmentChanged
    | TicketTagged
    | TicketUntagged
    | MessagePosted
    | MessagesRead
    | AttachmentAdded
    | TicketResponseOverdue
    | TicketResolutionOverdue
)

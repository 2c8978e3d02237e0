"""A ticket: a customer's question, until it is answered, resolved and closed."""

from collections.abc import Mapping
from datetime import date, datetime
from enum import StrEnum
from typing import ClassVar, Final, Self, assert_never
from uuid import UUID

import msgspec
from msgspec import Struct

from rim_ledger.engine.aggregate import NOWHERE, Aggregate, Event, Personal, Reader, Stamp, shared
from rim_ledger.support.support_agent import SupportAgent, agent_stream
from rim_ledger.values import lagos_day


class Category(StrEnum):
    """What a ticket is about."""

    TECHNICAL = "technical"
    BILLING = "billing"
    ACCOUNT = "account"
    LOAN = "loan"
    GENERAL = "general"
    TRANSACTION = "transaction"


class Priority(StrEnum):
    """How urgent a ticket is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"


class Sender(StrEnum):
    """Who posts a message."""

    CUSTOMER = "customer"
    AGENT = "agent"
    SYSTEM = "system"


class TicketOpened(Event):
    """A customer needs help. The two times are the deadlines of response and resolution."""

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
    """The ticket has no assignee; it is open again."""


class TicketStarted(Event):
    """Work on the ticket began."""


class TicketEscalated(Event):
    """An admin or agent of a higher tier is asked to take over."""

    to: UUID
    reason: Personal


class TicketEscalationAccepted(Event):
    """The ticket is assigned to whom it was escalated to, and in progress."""

    assigned_to: UUID


class TicketResolved(Event):
    resolution: Personal


class TicketReopened(Event):
    """The ticket was not resolved after all; it has a new resolution deadline."""

    reason: Personal
    resolution_due_at: datetime


class TicketClosed(Event):
    """The ticket is final."""


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
    """`sender_name` is set for customers; other senders are in the stamp."""

    sender_type: Sender
    message: Personal
    sender_name: Personal = None
    attachments: tuple[UUID, ...] = ()


class MessagesRead(Event):
    """One side has read the other's messages, up to a message number."""

    reader: Sender
    number: int


class AttachmentAdded(Event):
    """A file was stored under an id of its own, to be posted with a message."""

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


class TicketStatus(StrEnum):
    """The state of a ticket."""

    OPEN = "open"
    IN_PROGRESS = "in-progress"
    RESOLVED = "resolved"
    CLOSED = "closed"
    ESCALATED = "escalated"


ACTIVE: Final = (TicketStatus.OPEN, TicketStatus.IN_PROGRESS, TicketStatus.ESCALATED)
SAID: Final = ("message", "attach")
EDITED: Final = ("priority", "category", "department", "tag", "untag")

LEGAL: Final[Mapping[str, tuple[str, ...]]] = {
    TicketStatus.OPEN: ("assign", "unassign", "start", "escalate", "resolve", *SAID, *EDITED),
    TicketStatus.IN_PROGRESS: ("assign", "unassign", "escalate", "resolve", *SAID, *EDITED),
    TicketStatus.ESCALATED: ("accept", "escalate", "resolve", *SAID, *EDITED),
    TicketStatus.RESOLVED: ("reopen", "close", *SAID, *EDITED),
    TicketStatus.CLOSED: (),
}
URGENCY: Final = (Priority.URGENT, Priority.HIGH, Priority.MEDIUM, Priority.LOW)


class Attachment(Struct, frozen=True, kw_only=True, gc=False):
    """A file of a ticket; its name is sealed. It is visible once a message shows it."""

    name: str | None
    size: int
    media_type: str
    sha256: str
    posted: bool = False


def waiting_in(department: UUID | None) -> str:
    """Return the list of a department's unassigned tickets, the most urgent and oldest first."""
    return f"ticket-waiting.{department or 'none'}"


def tickets_in(department: UUID) -> str:
    """Return the list of a department's unresolved tickets."""
    return f"ticket-in-department.{department}"


def tickets_of(customer: UUID) -> str:
    """Return the list of a customer's unresolved tickets."""
    return f"ticket-of-customer.{customer}"


def tickets_with(admin: UUID) -> str:
    """Return the list of an assignee's unresolved tickets."""
    return f"ticket-with.{admin}"


class Ticket(Aggregate):
    BUSINESS_ID: ClassVar[str | None] = "ticket_number"

    ticket_number: str
    customer_id: UUID
    subject: str | None
    description: str | None
    category: Category
    priority: Priority
    created_at: datetime
    response_due_at: datetime
    resolution_due_at: datetime
    department: UUID | None
    tags: tuple[str, ...]
    status: TicketStatus = TicketStatus.OPEN
    assigned_to: UUID | None = None
    escalated_to: UUID | None = None
    resolution: str | None = None
    resolved_at: datetime | None = None
    resolved_by: UUID | None = None
    closed_at: datetime | None = None
    last_message_at: datetime | None = None
    messages: int = 0
    """Messages posted; the last one's number."""
    message_count: int = 0
    """Messages that customers and agents posted."""
    said: dict[tuple[date, UUID], int] = {}
    """Messages per sender on the last day (Lagos) with messages."""
    read_by_agents: int = 0
    read_by_customer: int = 0
    attachments: dict[UUID, Attachment] = {}
    responded_at: datetime | None = None
    response_overdue: bool = False
    resolution_overdue: bool = False

    @property
    def person(self) -> UUID:
        return self.customer_id

    def said_on(self, stamp: Stamp) -> int:
        """Return how many messages the actor has posted on this day."""
        return self.said.get(_day_of(stamp), 0)

    @property
    def active(self) -> bool:
        """Whether it is unresolved."""
        return self.status in ACTIVE

    @property
    def breached(self) -> bool:
        """Whether a deadline was missed."""
        return self.response_overdue or self.resolution_overdue

    @property
    def lists(self) -> frozenset[tuple[str, str]]:
        if not self.active:
            return NOWHERE
        own = str(self.id)
        names = [(tickets_of(self.customer_id), own)]
        if self.department:
            names.append((tickets_in(self.department), own))
        if self.assigned_to:
            names.append((tickets_with(self.assigned_to), own))
        elif self.status is not TicketStatus.ESCALATED:
            place = f"{URGENCY.index(self.priority)}.{self.created_at:%Y%m%d%H%M%S%f}.{own}"
            names.append((waiting_in(self.department), place))
        return frozenset(names)

    def known_to(self, reader: Reader) -> bool:
        """The table's declaration says the same in SQL (`projections.support.TicketRow`)."""
        if reader.stamp.customer:
            return super().known_to(reader)
        if reader.may("tickets.all", "read"):
            return True
        caller = reader.stamp.actor.id
        if caller is None or caller in (self.assigned_to, self.escalated_to):
            return caller is not None
        if self.department is None:
            return self.assigned_to is None
        agent = reader.find(SupportAgent, agent_stream(caller))
        return agent is not None and not agent.archived and agent.department == self.department

    @classmethod
    def begin(cls, id: UUID, event: TicketOpened, stamp: Stamp) -> Self:
        tags = tuple(dict.fromkeys(tag.lower() for tag in event.tags))
        return cls.made(id, event, created_at=stamp.at, tags=tags)

    def evolve(self, event: TicketEvent, stamp: Stamp) -> Self:  # noqa: C901, PLR0911, PLR0912 - a line an event
        match event:
            case (
                TicketAssigned()
                | TicketPriorityChanged()
                | TicketCategoryChanged()
                | TicketDepartmentChanged()
            ):
                return self.taking(event)
            case TicketUnassigned():
                return self.but(assigned_to=None, status=TicketStatus.OPEN)
            case TicketStarted():
                return self.but(status=TicketStatus.IN_PROGRESS)
            case TicketEscalated():
                return self.but(status=TicketStatus.ESCALATED, escalated_to=event.to)
            case TicketEscalationAccepted():
                return self.taking(event, status=TicketStatus.IN_PROGRESS, escalated_to=None)
            case TicketResolved():
                return self.but(
                    status=TicketStatus.RESOLVED,
                    resolution=event.resolution,
                    resolved_at=stamp.at,
                    resolved_by=stamp.admin,
                    responded_at=self.responded_at or stamp.at,
                )
            case TicketReopened():
                return self.but(
                    status=TicketStatus.IN_PROGRESS,
                    resolution=None,
                    resolved_at=None,
                    resolved_by=None,
                    escalated_to=None,
                    resolution_due_at=event.resolution_due_at,
                )
            case TicketClosed():
                return self.but(status=TicketStatus.CLOSED, closed_at=stamp.at)
            case TicketTagged():
                return self.but(tags=tuple(dict.fromkeys([*self.tags, event.tag.lower()])))
            case TicketUntagged():
                return self.but(tags=tuple(t for t in self.tags if t != event.tag.lower()))
            case MessagePosted():
                return self._with_message(event, stamp)
            case MessagesRead():
                if event.reader is Sender.CUSTOMER:
                    return self.but(read_by_customer=event.number)
                return self.but(read_by_agents=event.number)
            case AttachmentAdded():
                file = Attachment(**shared(Attachment, event))
                return self.but(attachments=self.attachments | {event.attachment_id: file})
            case TicketResponseOverdue():
                return self.but(response_overdue=True)
            case TicketResolutionOverdue():
                return self.but(resolution_overdue=True)
            case _:
                assert_never(event)

    def _with_message(self, event: MessagePosted, stamp: Stamp) -> Self:
        by_agent = event.sender_type is Sender.AGENT
        posted = {
            each: msgspec.structs.replace(self.attachments[each], posted=True)
            for each in event.attachments
        }
        own = _day_of(stamp)
        same_day = {each: count for each, count in self.said.items() if each[0] == own[0]}
        return self.but(
            messages=self.messages + 1,
            said=same_day | {own: self.said_on(stamp) + 1},
            message_count=self.message_count + (event.sender_type is not Sender.SYSTEM),
            last_message_at=stamp.at,
            attachments=self.attachments | posted,
            responded_at=self.responded_at or (stamp.at if by_agent else None),
        )


def _day_of(stamp: Stamp) -> tuple[date, UUID]:
    """Return the day (Lagos) of a message, and its sender."""
    return lagos_day(stamp.at), stamp.actor.id or UUID(int=0)

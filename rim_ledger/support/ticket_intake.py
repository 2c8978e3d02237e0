"""Opening and classifying tickets."""

from collections.abc import Iterable
from typing import Annotated, Final
from uuid import UUID

from pydantic import Field

from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command, Creation
from rim_ledger.engine.refusals import Forbidden, require, require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.user import User
from rim_ledger.support.assignment import open_department
from rim_ledger.support.deadlines import due_at, schedule_check
from rim_ledger.support.quotas import TICKETS, spend
from rim_ledger.support.ticket import (
    LEGAL,
    Category,
    Priority,
    Ticket,
    TicketCategoryChanged,
    TicketDepartmentChanged,
    TicketOpened,
    TicketPriorityChanged,
    TicketTagged,
    TicketUntagged,
)
from rim_ledger.values import AnyId, Id, Name, Tag, Text

TAGS_MAX: Final = 20

AnyCategory = Annotated[Category, Field(strict=False)]
AnyPriority = Annotated[Priority, Field(strict=False)]


class OpenTicket(Creation[Ticket]):
    """Open a ticket for a customer. The deadlines of response and resolution, in configured hours,
    start now. Borrowers open their own, and leave priority, department and tags to the staff."""

    customer_id: AnyId
    subject: Name
    description: Text
    category: AnyCategory
    priority: AnyPriority = Priority.MEDIUM
    department: Id | None = None
    tags: Annotated[list[Tag], Field(max_length=TAGS_MAX)] = []

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        customer = uow.known(User, self.customer_id)
        if uow.stamp.customer and self.model_fields_set & {"priority", "department", "tags"}:
            raise Forbidden("forbidden", "Priority, department and tags are up to the staff.")
        customer.require_present()
        if self.department:
            open_department(uow, self.department)
        spend(uow, TICKETS)
        yield TicketOpened.of(
            self,
            ticket_number=uow.number("TKT"),
            customer_id=customer.id,
            response_due_at=due_at(uow, "firstResponseHours"),
            resolution_due_at=due_at(uow, "resolutionHours"),
            tags=tuple(dict.fromkeys(self.tags)),
        )

    def follow(self, id: UUID, uow: UnitOfWork) -> None:
        schedule_check(uow, id)


class ChangePriority(Command[Ticket]):
    """Set how urgent a ticket is."""

    priority: AnyPriority

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "priority", LEGAL)
        if self.priority is not aggregate.priority:
            yield TicketPriorityChanged(priority=self.priority)


class ChangeCategory(Command[Ticket]):
    """Set what a ticket is about."""

    category: AnyCategory

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "category", LEGAL)
        if self.category is not aggregate.category:
            yield TicketCategoryChanged(category=self.category)


class ChangeDepartment(Command[Ticket]):
    """Move a ticket to another department, or to none. Its assignee stays."""

    department: Id | None

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "department", LEGAL)
        if self.department:
            open_department(uow, self.department)
        if self.department != aggregate.department:
            yield TicketDepartmentChanged(department=self.department)


class TagTicket(Command[Ticket]):
    """Add a tag to a ticket. A ticket has at most twenty."""

    tag: Tag

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "tag", LEGAL)
        if self.tag not in aggregate.tags:
            full = f"A ticket has at most {TAGS_MAX} tags."
            require(len(aggregate.tags) < TAGS_MAX, "too-many-tags", full)
            yield TicketTagged(tag=self.tag)


class UntagTicket(Command[Ticket]):
    """Remove a tag from a ticket."""

    tag: Tag

    def decide(self, aggregate: Ticket, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "untag", LEGAL)
        if self.tag in aggregate.tags:
            yield TicketUntagged(tag=self.tag)

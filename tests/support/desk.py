"""A support desk in memory: a customer, a department, agents of each tier, a lead."""

from collections.abc import Iterable
from typing import Any
from uuid import UUID

from rim_ledger.admin.admin_role import SUPERADMIN, AdminRole, AdminRoleCreated
from rim_ledger.admin.admin_user import AdminCreated, AdminUser
from rim_ledger.admin.permissions import permissions
from rim_ledger.engine.aggregate import Actor, Event
from rim_ledger.engine.command import Command, Creation, perform
from rim_ledger.engine.unit_of_work import Right, UnitOfWork
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import RegisterUser
from rim_ledger.support.deadlines import check_ticket
from rim_ledger.support.department import Department
from rim_ledger.support.staff_commands import CreateAgent, CreateDepartment
from rim_ledger.support.support_agent import SupportAgent, agent_stream
from rim_ledger.support.ticket import Category, Ticket
from rim_ledger.support.ticket_intake import OpenTicket
from rim_ledger.support.ticket_workflow import (
    AssignTicket,
    CloseTicket,
    EscalateTicket,
    ResolveTicket,
    StartWork,
)
from tests.spec import Memory

AGENT: frozenset[Right] = frozenset([("tickets", "read"), ("tickets", "write"), ("agents", "read")])
LEAD = AGENT | {("tickets.all", "read"), ("tickets.all", "write"), ("agents", "write")}


class SupportDesk(Memory):
    """A memory in which tickets can be brought into any status."""

    def __init__(self) -> None:
        super().__init__()
        everything = permissions([("users", "read")])
        role = AdminRoleCreated(name="staff", description="", permissions=everything)
        self.run(lambda uow: uow.append(AdminRole, SUPERADMIN, [role]))
        self.rights: dict[UUID, frozenset[Right]] = {}
        self.customer = self.environment.new_id()
        ada = RegisterUser(phone="08031234567", email="ada@example.com", name="Ada")
        self.perform(User, self.customer, ada)
        self.lead = self.admin("lead", LEAD)
        self.billing = self.department("Billing")
        self.ann, self.bob = (self.agent(name) for name in ("ann", "bob"))
        self.cyn, self.dan = self.agent("cyn", tier=2), self.agent("dan", tier=3)

    def run(self, work: Any) -> list[Event]:
        uow = self.uow()
        work(uow)
        return self.keep(uow)

    def admin(
        self, name: str, rights: frozenset[Right] = AGENT, phone: str | None = "+2348031234560"
    ) -> UUID:
        admin = self.environment.new_id()
        made = AdminCreated(
            username=name,
            email=f"{name}@rim.example",
            email_hash=name,
            phone=phone,
            role_id=SUPERADMIN,
        )
        self.run(lambda uow: uow.append(AdminUser, admin, [made]))
        self.rights[admin] = rights
        return admin

    def department(self, name: str, tier: int = 1) -> UUID:
        department = self.environment.new_id()
        self.perform(Department, department, CreateDepartment(name=name, tier=tier))
        return department

    def agent(self, name: str, tier: int = 1, department: UUID | None = None) -> UUID:
        admin = self.admin(name)
        wish = CreateAgent(id=admin, department=department or self.billing, tier=tier)
        self.perform(SupportAgent, agent_stream(admin), wish)
        return admin

    def profile(self, admin: UUID) -> SupportAgent:
        return self.uow().read(SupportAgent, agent_stream(admin))

    def ticket(self, id: UUID) -> Ticket:
        return self.uow().read(Ticket, id)

    def as_(self, admin: UUID | None) -> UnitOfWork:
        """The book of a decision that an admin asks for, or the system."""
        if admin is None:
            return self.uow()
        uow = self.uow(Actor(type="admin", id=admin, name=self.name(admin)))
        uow.rights = self.rights[admin]
        return uow

    def name(self, admin: UUID) -> str:
        return self.uow().read(AdminUser, admin).username

    def ask(
        self, by: UUID | None, id: UUID, command: Command[Any] | Creation[Any], kind: Any = Ticket
    ) -> list[Event]:
        uow = self.as_(by)
        perform(uow, kind, id, command)
        return self.keep(uow)

    def open(self, **more: Any) -> UUID:
        ticket = self.environment.new_id()
        fields = {"subject": "No airtime", "description": "It never came."} | more
        fields.setdefault("category", Category.TRANSACTION)
        self.ask(None, ticket, OpenTicket(customer_id=self.customer, **fields))
        return ticket

    def assigned(self, to: UUID, **more: Any) -> UUID:
        ticket = self.open(**more)
        self.ask(self.lead, ticket, AssignTicket(assigned_to=to))
        return ticket

    def tick(self, ticket: UUID) -> list[Event]:
        return self.run(check_ticket(ticket))

    def ticket_that_is(self, status: str) -> UUID:
        """A ticket in a status; ann has it."""
        ticket = self.assigned(self.ann)
        steps: dict[str, Iterable[Command[Ticket]]] = {
            "open": (),
            "in-progress": (StartWork(),),
            "escalated": (EscalateTicket(to=self.cyn, reason="too hard"),),
            "resolved": (ResolveTicket(resolution="sent again"),),
            "closed": (ResolveTicket(resolution="sent again"), CloseTicket()),
        }
        for command in steps[status]:
            self.ask(self.ann, ticket, command)
        return ticket

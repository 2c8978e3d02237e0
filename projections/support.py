"""The support desk as clients see it: departments, agents, tickets."""

from typing import Annotated
from uuid import UUID

from projections.tables.columns import (
    Copied,
    EmailText,
    Indexed,
    Internal,
    Key,
    Moment,
    NameText,
    PhoneText,
    References,
    Tags,
    Unique,
    UniqueName,
    UniqueWhile,
    Words,
)
from projections.tables.indexes import Index
from projections.tables.table import RelatedFilter, Row, Visibility
from rim_ledger.support.department import Department
from rim_ledger.support.support_agent import AgentStatus, SupportAgent
from rim_ledger.support.ticket import Category, Priority, Ticket, TicketStatus
from rim_ledger.values import Tag

THEIRS = "SELECT a.department FROM read.support_agents a WHERE a.id = %s AND NOT a.archived"
UNASSIGNED = "department IS NULL AND assigned_to IS NULL"
OWN = Visibility(
    all=("tickets.all", "read"),
    ways=(
        "t.assigned_to = %s",
        "t.escalated_to = %s",
        "t.department IS NULL AND t.assigned_to IS NULL",
        f"t.department = ({THEIRS})",
    ),
)
"""An agent's tickets: `Ticket.known_to` in SQL."""


class DepartmentRow(Row, table="departments", of=Department):
    """A department of the support desk, and how many agents it has."""

    id: Key
    name: Annotated[UniqueName, UniqueWhile("NOT archived")]
    description: str
    tier: int
    agent_count: int
    archived: bool
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment


class SupportAgentRow(Row, table="support_agents", of=SupportAgent):
    """An admin at the support desk, under the admin's id, and how many tickets they have."""

    id: Annotated[Key, References("admin_users")]
    name: Annotated[NameText | None, Copied("admin_users", "display_name", by="id")]
    email: Annotated[EmailText | None, Unique, Copied("admin_users", "email", by="id")]
    phone: Annotated[PhoneText | None, Copied("admin_users", "phone", by="id")]
    department: Annotated[UUID, Indexed, References("departments")]
    tier: int
    active_tickets: int
    status: Annotated[AgentStatus, Indexed]
    last_assigned_at: Moment | None
    archived: bool
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment


class TicketRow(
    Row,
    table="tickets",
    of=Ticket,
    person="customer_id",
    related={"tag": RelatedFilter("t.tags && %s::text[]", Tag, found=True)},
    visibility=OWN,
    indexes=(
        Index(("assigned_to", "status"), "created_at", "assigned_to IS NOT NULL"),
        Index((), "created_at", UNASSIGNED, "unassigned"),
    ),
):
    """A customer's question, who has it, and how long an answer may take."""

    id: Key
    ticket_number: Annotated[str, Unique]
    customer_id: Annotated[UUID, Indexed, References("users")]
    customer_name: Annotated[NameText | None, Copied("users", "name", by="customer_id")]
    customer_phone: Annotated[PhoneText | None, Copied("users", "phone", by="customer_id")]
    customer_email: Annotated[EmailText | None, Copied("users", "email", by="customer_id")]
    subject: Words | None
    description: Words | None
    category: Annotated[Category, Indexed]
    priority: Annotated[Priority, Indexed]
    status: Annotated[TicketStatus, Indexed]
    assigned_to: Annotated[UUID | None, Internal, Indexed, References("admin_users")]
    assigned_to_name: Annotated[
        NameText | None, Copied("admin_users", "display_name", by="assigned_to")
    ]
    department: Annotated[UUID | None, Internal, Indexed, References("departments")]
    escalated_to: Annotated[UUID | None, Internal, Indexed, References("admin_users")]
    escalated_to_name: Annotated[
        NameText | None, Internal, Copied("admin_users", "display_name", by="escalated_to")
    ]
    resolution: Words | None
    resolved_at: Annotated[Moment | None, Indexed]
    resolved_by: Annotated[UUID | None, Internal, References("admin_users")]
    closed_at: Moment | None
    last_message_at: Moment | None
    message_count: int
    read_by_agents: int
    read_by_customer: int
    tags: Annotated[Tags, Internal, Indexed]
    response_due_at: Moment
    responded_at: Moment | None
    response_overdue: Annotated[bool, Internal]
    resolution_due_at: Moment
    resolution_overdue: Annotated[bool, Internal]
    breached: Annotated[bool, Internal, Indexed]
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment

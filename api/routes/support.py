"""The routes of the support desk: tickets, what is said in them, agents and departments."""

from uuid import UUID

from api.context import Context
from api.http.call import Call, Reply
from api.http.ids import missing
from api.http.problem import encoded
from api.pipeline.commands import read_form, receipt_headers
from api.pipeline.pipeline import decide, request_of
from api.pipeline.routes import AnyRoute, List, Other, Parameters, Route, activity_of, resource
from api.routes.lending import ONE_USER
from projections.audit import TimelineRow
from projections.conversation import ChatMessageRow, TicketHistoryRow
from projections.lending import LoanRow, UserRow
from projections.payments import TransactionRow
from projections.support import DepartmentRow, SupportAgentRow, TicketRow
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.support.assignment import AutoAssign
from rim_ledger.support.conversation import MarkMessagesRead, PostMessage
from rim_ledger.support.department import Department
from rim_ledger.support.staff_commands import (
    ArchiveDepartment,
    CreateAgent,
    CreateDepartment,
    RetireAgent,
    SetAvailability,
    UpdateAgent,
    UpdateDepartment,
)
from rim_ledger.support.support_agent import SupportAgent, agent_stream
from rim_ledger.support.ticket import Ticket
from rim_ledger.support.ticket_intake import (
    ChangeCategory,
    ChangeDepartment,
    ChangePriority,
    OpenTicket,
    TagTicket,
    UntagTicket,
)
from rim_ledger.support.ticket_workflow import (
    AcceptEscalation,
    AssignTicket,
    CloseTicket,
    EscalateTicket,
    ReopenTicket,
    ResolveTicket,
    StartWork,
    UnassignTicket,
)
from rim_ledger.values import UUID_TEXT

TICKETS, ONE = "/v1/tickets", "/v1/tickets/{id}"
AUTO_ASSIGN = "/v1/tickets/auto-assign"
AGENTS, ONE_AGENT = "/v1/support-agents", "/v1/support-agents/{id}"
DEPARTMENTS, ONE_DEPARTMENT = "/v1/departments", "/v1/departments/{id}"
READ, WRITE = ("tickets", "read"), ("tickets", "write")
STAFF, DESKS = ("agents", "write"), ("departments", "write")


async def auto_assign_tickets(context: Context, call: Call, parameters: Parameters) -> Reply:
    """Give waiting tickets away; `assigned` says how many."""
    form = await read_form(call, AutoAssign, optional=True)
    asked = activity_of("AutoAssign", AUTO_ASSIGN, parameters)
    request = request_of(context, call, asked, WRITE, meant=form)

    def work(uow: UnitOfWork) -> tuple[UUID, int]:
        assert uow.stamp.admin, "whoever is let in is an admin"
        return uow.stamp.admin, form.assign(uow)

    receipt, given = await decide(context, request, work, keeps_value=True)
    # Earlier versions did not keep the number with the answer.
    told = {} if given is None else {"assigned": given}
    return Reply(200, encoded(told | {"position": receipt.position}), receipt_headers(receipt))


def _agent(parameters: Parameters) -> UUID:
    if not UUID_TEXT.fullmatch(parameters["id"]):
        raise missing(SupportAgent)
    return agent_stream(UUID(parameters["id"]))


_count = {"type": "integer", "minimum": 0}

ROUTES: list[AnyRoute] = [
    *resource(TICKETS, TicketRow, "tickets", own=True),
    List(
        ONE_USER + "/tickets",
        TicketRow,
        READ,
        "A user's tickets",
        ("customer_id", UserRow),
        own=True,
    ),
    List(
        ONE_USER + "/timeline",
        TimelineRow,
        ("users", "read"),
        "What happened to a user's loans, payments and tickets, in order",
        ("entity_id", UserRow),
        order="position",
        through=(
            (LoanRow, "user_id", ("loans", "read")),
            (TransactionRow, "user_id", ("transactions", "read")),
            (TicketRow, "customer_id", READ),
        ),
        own=True,
    ),
    List(
        ONE + "/messages",
        ChatMessageRow,
        READ,
        "What was said",
        ("ticket_id", TicketRow),
        own=True,
    ),
    List(ONE + "/history", TicketHistoryRow, READ, "What was done", ("ticket_id", TicketRow)),
    Route("POST", TICKETS, Ticket, OpenTicket, WRITE, "Open a ticket", own=True),
    Route("POST", ONE + "/assign", Ticket, AssignTicket, WRITE, "Assign"),
    Route("POST", ONE + "/unassign", Ticket, UnassignTicket, WRITE, "Put back"),
    Route("POST", ONE + "/start", Ticket, StartWork, WRITE, "Start work"),
    Route("POST", ONE + "/escalate", Ticket, EscalateTicket, WRITE, "Escalate"),
    Route("POST", ONE + "/accept", Ticket, AcceptEscalation, WRITE, "Accept an escalation"),
    Route("POST", ONE + "/resolve", Ticket, ResolveTicket, WRITE, "Resolve"),
    Route("POST", ONE + "/reopen", Ticket, ReopenTicket, WRITE, "Reopen"),
    Route("POST", ONE + "/close", Ticket, CloseTicket, WRITE, "Close"),
    Route("POST", ONE + "/priority", Ticket, ChangePriority, WRITE, "Set the priority"),
    Route("POST", ONE + "/category", Ticket, ChangeCategory, WRITE, "Set the category"),
    Route("POST", ONE + "/department", Ticket, ChangeDepartment, WRITE, "Set the department"),
    Route("POST", ONE + "/tags", Ticket, TagTicket, WRITE, "Tag"),
    Route("POST", ONE + "/untag", Ticket, UntagTicket, WRITE, "Untag"),
    Route("POST", ONE + "/messages", Ticket, PostMessage, WRITE, "Say something", own=True),
    Route(
        "POST", ONE + "/messages/read", Ticket, MarkMessagesRead, WRITE, "Mark as read", own=True
    ),
    Other(
        "POST",
        AUTO_ASSIGN,
        auto_assign_tickets,
        "Give waiting tickets to available agents",
        WRITE,
        form=AutoAssign,
        gives={"assigned": _count, "position": _count},
    ),
    *resource(AGENTS, SupportAgentRow, "agents"),
    Route("POST", AGENTS, SupportAgent, CreateAgent, STAFF, "Have an admin at the support desk"),
    Route("PATCH", ONE_AGENT, SupportAgent, UpdateAgent, STAFF, "Move an agent", _agent),
    Route("DELETE", ONE_AGENT, SupportAgent, RetireAgent, ("agents", "delete"), "Retire", _agent),
    Route(
        "POST",
        ONE_AGENT + "/availability",
        SupportAgent,
        SetAvailability,
        ("agents", "read"),
        "Take tickets, or not",
        _agent,
    ),
    *resource(DEPARTMENTS, DepartmentRow, "departments"),
    Route("POST", DEPARTMENTS, Department, CreateDepartment, DESKS, "Open a department"),
    Route("PATCH", ONE_DEPARTMENT, Department, UpdateDepartment, DESKS, "Change a department"),
    Route(
        "DELETE",
        ONE_DEPARTMENT,
        Department,
        ArchiveDepartment,
        ("departments", "delete"),
        "Archive a department",
    ),
]

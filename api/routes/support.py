"""The routes of the support desk: tickets, what is said in them, agents and departments."""

from uuid import UUID

from api.context import Context
from api.description.components import COUNT, DRY_RUN, either, ref, shape
from api.http.call import Call, Reply
from api.http.ids import missing
from api.http.query import flag
from api.pipeline.commands import read_form
from api.pipeline.dry_run import Tried, answer_tried
from api.pipeline.pipeline import request_of
from api.pipeline.receipts import receipt_headers
from api.pipeline.rights import Rights
from api.pipeline.routes import AnyRoute, Parameters, Resource, activity_of, operation
from api.routes.lending import of_users
from projections.audit import TimelineRow
from projections.conversation import ChatMessageRow, TicketHistoryRow
from projections.follow.preview import Preview
from projections.lending import LoanRow
from projections.payments import TransactionRow
from projections.support import DepartmentRow, SupportAgentRow, TicketRow
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.support import staff_commands as staff
from rim_ledger.support import ticket_intake as intake
from rim_ledger.support import ticket_workflow as workflow
from rim_ledger.support.assignment import AutoAssign
from rim_ledger.support.conversation import MarkMessagesRead, PostMessage
from rim_ledger.support.support_agent import SupportAgent, agent_stream
from rim_ledger.values import UUID_TEXT

ONE = "/v1/tickets/{id}"
AUTO_ASSIGN = "/v1/tickets/auto-assign"
READ, WRITE = ("tickets", "read"), ("tickets", "write")


@operation(
    f"POST {AUTO_ASSIGN}",
    "Give waiting tickets to available agents",
    WRITE,
    form=AutoAssign,
    gives=either(shape("Assigned", {"assigned": COUNT, "position": COUNT}), ref("DryRun")),
    query=DRY_RUN,
)
async def auto_assign_tickets(context: Context, call: Call, _: Rights) -> Reply:
    """Give waiting tickets away; `assigned` says how many."""
    call.dry_run = flag(call.query_params, "dryRun")
    form = await read_form(call, AutoAssign, optional=True)
    asked = activity_of("AutoAssign", AUTO_ASSIGN, call.path_params)
    request = request_of(context, call, asked, WRITE, parsed=form)

    def work(uow: UnitOfWork) -> tuple[UUID, int]:
        assert uow.stamp.admin, "whoever is let in is an admin"
        return uow.stamp.admin, form.assign(uow)

    def tried(uow: UnitOfWork) -> Tried:
        after = uow.trial()
        given = form.assign(after)
        return Tried(200, {"assigned": given}, Preview.between(uow, after))

    if call.dry_run:
        return await answer_tried(context, call, request, tried)
    receipt, given = await context.ledger.decide(work, *request.terms, keeps_value=True)
    # Earlier versions did not keep the number with the answer.
    counted = {} if given is None else {"assigned": given}
    return Reply(200, counted | {"position": receipt.position}, receipt_headers(receipt))


def _agent(parameters: Parameters) -> UUID:
    if not UUID_TEXT.fullmatch(parameters["id"]):
        raise missing(SupportAgent)
    return agent_stream(UUID(parameters["id"]))


of_tickets = Resource("/v1/tickets", TicketRow, "tickets", own=True)
of_agents = Resource("/v1/support-agents", SupportAgentRow, "agents")
of_departments = Resource("/v1/departments", DepartmentRow, "departments")

ROUTES: list[AnyRoute] = [
    *of_tickets.reads,
    of_users.lists("/tickets", TicketRow, "A user's tickets", "customer_id", "tickets", own=True),
    of_users.lists(
        "/timeline",
        TimelineRow,
        "What happened to a user's loans, payments and tickets, in order",
        "entity_id",
        order="position",
        through=(
            (LoanRow, "user_id", ("loans", "read")),
            (TransactionRow, "user_id", ("transactions", "read")),
            (TicketRow, "customer_id", READ),
        ),
        own=True,
    ),
    of_tickets.lists("/messages", ChatMessageRow, "What was said", "ticket_id", own=True),
    of_tickets.lists("/history", TicketHistoryRow, "What was done", "ticket_id"),
    of_tickets("POST", intake.OpenTicket, "Open a ticket", own=True),
    of_tickets("POST /{id}/assign", workflow.AssignTicket, "Assign"),
    of_tickets("POST /{id}/unassign", workflow.UnassignTicket, "Put back"),
    of_tickets("POST /{id}/start", workflow.StartWork, "Start work"),
    of_tickets("POST /{id}/escalate", workflow.EscalateTicket, "Escalate"),
    of_tickets("POST /{id}/accept", workflow.AcceptEscalation, "Accept an escalation"),
    of_tickets("POST /{id}/resolve", workflow.ResolveTicket, "Resolve"),
    of_tickets("POST /{id}/reopen", workflow.ReopenTicket, "Reopen"),
    of_tickets("POST /{id}/close", workflow.CloseTicket, "Close"),
    of_tickets("POST /{id}/priority", intake.ChangePriority, "Set the priority"),
    of_tickets("POST /{id}/category", intake.ChangeCategory, "Set the category"),
    of_tickets("POST /{id}/department", intake.ChangeDepartment, "Set the department"),
    of_tickets("POST /{id}/tags", intake.TagTicket, "Tag"),
    of_tickets("POST /{id}/untag", intake.UntagTicket, "Untag"),
    of_tickets("POST /{id}/messages", PostMessage, "Say something", own=True),
    of_tickets("POST /{id}/messages/read", MarkMessagesRead, "Mark as read", own=True),
    auto_assign_tickets,
    *of_agents.reads,
    of_agents("POST", staff.CreateAgent, "Have an admin at the support desk"),
    of_agents("PATCH /{id}", staff.UpdateAgent, "Move an agent", stream=_agent),
    of_agents("DELETE /{id}", staff.RetireAgent, "Retire", stream=_agent),
    of_agents(
        "POST /{id}/availability",
        staff.SetAvailability,
        "Take tickets, or not",
        action="read",
        stream=_agent,
    ),
    *of_departments.reads,
    of_departments("POST", staff.CreateDepartment, "Open a department"),
    of_departments("PATCH /{id}", staff.UpdateDepartment, "Change a department"),
    of_departments("DELETE /{id}", staff.ArchiveDepartment, "Archive a department"),
]

"""The routes of approval: which commands take two people, and what waits for the second."""

from functools import partial
from typing import Any, Final

from msgspec import json
from msgspec.structs import replace

from api.context import Context
from api.pipeline.commands import fill
from api.pipeline.pipeline import look, perform, target
from api.pipeline.proposing import effects
from api.pipeline.receipts import PROPOSALS
from api.pipeline.routes import AnyRoute, CommandRequest, Resource, Route
from projections.approvals import ApprovalRuleRow, ProposalRow
from rim_ledger.approvals.approval_rule_commands import (
    ChangeApprovalRule,
    CreateApprovalRule,
    RemoveApprovalRule,
)
from rim_ledger.approvals.proposal import Effect, Proposal, ProposalStatus
from rim_ledger.approvals.proposal_commands import (
    SECRETS,
    ApproveProposal,
    ProposedCommand,
    RejectProposal,
    WithdrawProposal,
    body_of,
)
from rim_ledger.engine.command import Form, Ruled
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.refusals import Forbidden, Invalid, Refused
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.near import did_you_mean

ERASED: Final = Refused("erased", "The person whom this is about was erased.")


class Ready:
    """The command of a proposal, as a request of the checker."""

    def __init__(self, context: Context, request: CommandRequest) -> None:
        self._context, self.request = context, request

    def perform(self, uow: UnitOfWork) -> None:
        """Carry it out, or raise Refused."""
        uow.need(*self.request.route.needs)
        perform(self._context, self.request, uow)

    def effects(self, before: UnitOfWork, after: UnitOfWork) -> list[Effect]:
        """What it did between two units of work."""
        return effects(before, after)


class Unfit:
    """A command that cannot be carried out any more."""

    def __init__(self, refusal: Refused) -> None:
        self._refusal = refusal

    def perform(self, _: UnitOfWork) -> None:
        """Raise why."""
        raise self._refusal

    def effects(self, _: UnitOfWork, __: UnitOfWork) -> list[Effect]:
        """Nothing was done."""
        return []


async def know_command(context: Context, request: CommandRequest, form: CreateApprovalRule) -> Form:
    """Find out whether a rule can be put on the command that is named."""
    await look(context, request, lambda _: None)
    routes = approvable(context)
    if (route := routes.get(form.command)) is None:
        words = f"No rule can be put on {form.command}{did_you_mean(form.command, routes)}."
        raise Invalid("unknown-command", words, "/command")
    if form.threshold is not None and not has_amount(route):
        words = f"{form.command} has no amount that a threshold could be compared with."
        raise Invalid("no-amount", words, "/threshold")
    return form


def approvable(context: Context) -> dict[str, Route]:
    """The routes of the commands that a rule can be put on, by name."""
    every = (each.route for each in context.table.endpoints)
    return {
        each.command.__name__: each for each in every if isinstance(each, Route) and each.approvable
    }


def has_amount(route: Route) -> bool:
    """Whether the command of a route, or what it is about, has an amount in naira."""
    own = issubclass(route.command, Ruled) and route.command.naira is not Ruled.naira
    return own or "amount" in {*route.command.model_fields, *route.kind.__struct_fields__}


async def make_ready(context: Context, request: CommandRequest, form: ApproveProposal) -> Form:
    """Read the command of a proposal, and prepare it as a request of the checker."""

    def see(uow: UnitOfWork) -> tuple[Proposal, dict[str, Any] | None]:
        proposal = target(uow, request)
        assert isinstance(proposal, Proposal), "the path names a proposal"
        if proposal.status is not ProposalStatus.PENDING:
            return proposal, {}
        body = body_of(proposal, uow)
        if body is not None and proposal.secrets:
            body = body | json.decode(uow.unsealed(proposal.id, SECRETS) or "{}")
        return proposal, body

    proposal, body = await look(context, request, see)
    if proposal.status is not ProposalStatus.PENDING:
        return form
    if body is None:
        return form.carrying(Unfit(ERASED))
    return form.carrying(await _ready(context, request, proposal, body))


async def _ready(
    context: Context, request: CommandRequest, proposal: Proposal, body: dict[str, Any]
) -> ProposedCommand:
    if (route := approvable(context).get(proposal.command)) is None:
        words = f"{proposal.command} is no command any more."
        return Unfit(Invalid("unknown-command", words, "/command"))
    try:
        ready = replace(
            request,
            needs=(*request.needs, route.needs),
            route=route,
            parameters=proposal.path,
            command=fill(route, proposal.path, body),
            versions=None,
            body=body,
            creates=proposal.target,
        )
        if route.prepare:
            ready = replace(ready, command=await route.prepare(context, ready, ready.command))
    except Forbidden:
        raise
    except Refused as refusal:
        return Unfit(refusal)
    return Ready(context, ready)


async def go_on(context: Context, request: CommandRequest, receipt: Receipt) -> Receipt:
    """Do what follows the command that was carried out. Raises Refused if that failed instead."""
    proposal = await context.ledger.read(
        partial(UnitOfWork.read, kind=Proposal, id=receipt.id), request.stamp
    )
    if proposal.failure_code:
        raise Refused(
            "proposal-failed",
            f"This cannot be done any more, so the proposal has failed: {proposal.failure_detail}",
            failure=proposal.failure_code,
        )
    form = request.command
    assert isinstance(form, ApproveProposal)
    ready = form.proposed
    if receipt.replayed or not isinstance(ready, Ready) or not ready.request.route.after:
        return receipt
    made = Receipt(proposal.target, None, 0, receipt.position)
    after = await ready.request.route.after(context, ready.request, made)
    return replace(receipt, position=max(receipt.position, after.position))


of_rules = Resource("/v1/approval-rules", ApprovalRuleRow, "approval_rules")
of_proposals = Resource(PROPOSALS, ProposalRow, "proposals", always={"approvable": False})

ROUTES: list[AnyRoute] = [
    *of_rules.reads,
    of_rules("POST", CreateApprovalRule, "Have a command take two people", prepare=know_command),
    of_rules("PATCH /{id}", ChangeApprovalRule, "Change a rule"),
    of_rules("DELETE /{id}", RemoveApprovalRule, "Remove a rule"),
    *of_proposals.reads,
    of_proposals(
        "POST /{id}/approve",
        ApproveProposal,
        "Approve",
        prepare=make_ready,
        after=go_on,
        alone=True,
    ),
    of_proposals("POST /{id}/reject", RejectProposal, "Reject"),
    of_proposals("POST /{id}/withdraw", WithdrawProposal, "Withdraw", action="read"),
]

"""An office of admins, in memory: one proposes, another decides."""

from collections.abc import Callable
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest

from api.pipeline.proposing import effects
from rim_ledger.admin.admin_role import SUPERADMIN
from rim_ledger.approvals.approval_rule import ApprovalRule, require_no_approval
from rim_ledger.approvals.approval_rule_commands import CreateApprovalRule
from rim_ledger.approvals.proposal import CommandProposed, Effect, Proposal
from rim_ledger.approvals.proposal_commands import (
    ApproveProposal,
    RejectProposal,
    WithdrawProposal,
    decided_on,
    lifetime,
    propose,
)
from rim_ledger.engine.aggregate import Aggregate, Event
from rim_ledger.engine.command import Command, Creation, perform
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import RegisterUser, SetCreditLimit
from tests.admin.staff import Staff

ADA = RegisterUser(phone="08031234567", email="ada@example.com", name="Ada")
RAISE = SetCreditLimit(limit=50_000, reason="She pays in time.")


class Waiting:
    """A command that waits in a proposal."""

    def __init__(self, kind: type[Aggregate], id: UUID, command: Command[Any] | Creation[Any]):
        self.kind, self.id, self.command = kind, id, command

    def perform(self, uow: UnitOfWork) -> None:
        perform(uow, self.kind, self.id, self.command)

    def effects(self, before: UnitOfWork, after: UnitOfWork) -> list[Effect]:
        return effects(before, after)


class Admins(Staff):
    """Root, who proposes; Bisi and Chidi, who may decide."""

    def __init__(self) -> None:
        super().__init__()
        self.bisi = self.hire("bisi", SUPERADMIN)
        self.chidi = self.hire("chidi", SUPERADMIN)
        self.waiting: dict[UUID, Waiting] = {}

    def uow_of(self, by: UUID, **actor: Any) -> UnitOfWork:
        """A decision of an admin, who is bound by approval rules."""
        uow = self.book_of(by)
        uow.guard = require_no_approval
        return uow

    def rule(self, command: str, **more: Any) -> UUID:
        """A rule that the system makes, before anybody is bound by one."""
        rule = self.environment.new_id()
        self.perform(ApprovalRule, rule, CreateApprovalRule(command=command, **more))
        return rule

    def do(
        self, by: UUID, kind: type[Aggregate], id: UUID, command: Command[Any] | Creation[Any]
    ) -> list[Event]:
        """Decide and commit, bound by approval rules."""
        uow = self.uow_of(by)
        perform(uow, kind, id, command)
        return self.keep(uow)

    def proposed(
        self,
        by: UUID,
        command: Command[Any] | Creation[Any],
        kind: type[Aggregate],
        target: UUID,
        **more: Any,
    ) -> UUID:
        """A proposal of a command."""
        uow, proposal = self.uow_of(by), self.environment.new_id()
        trial = uow.trial()
        perform(trial, kind, target, command)
        event = CommandProposed(
            command=type(command).__name__,
            permission=more.pop("permission", "users.credit:write"),
            entity=kind.__name__,
            target=target,
            expires_at=uow.stamp.at + lifetime(uow),
            decided_on=decided_on(target, uow, trial),
            effects=effects(uow, trial),
            **more,
        )
        propose(uow, proposal, event, more.get("secrets") and '{"apiKey":"a secret"}')
        self.keep(uow)
        self.waiting[proposal] = Waiting(kind, target, command)
        return proposal

    def approve(self, by: UUID, proposal: UUID, **more: Any) -> list[Event]:
        command = ApproveProposal(**more).carrying(self.waiting[proposal])
        return self.do(by, Proposal, proposal, command)

    def reject(self, by: UUID, proposal: UUID) -> list[Event]:
        return self.do(by, Proposal, proposal, RejectProposal(reason="Too much for her."))

    def withdraw(self, by: UUID, proposal: UUID) -> list[Event]:
        return self.do(by, Proposal, proposal, WithdrawProposal())

    def known_proposal(self, proposal: UUID) -> Proposal:
        return self.uow().read(Proposal, proposal)

    @contextmanager
    def nothing_written(self) -> Any:
        before = dict(self.streams)
        yield
        assert self.streams == before


class Office(Admins):
    """The admins, and a borrower whose limit they propose to raise."""

    def __init__(self) -> None:
        super().__init__()
        self.ada = self.environment.new_id()
        self.perform(User, self.ada, ADA)
        self.pass_time(days=1)

    def pass_time(self, days: float) -> None:
        self.environment.pass_days(days)

    def proposed(
        self,
        by: UUID,
        command: Command[Any] | Creation[Any] = RAISE,
        kind: type[Aggregate] = User,
        target: UUID | None = None,
        **more: Any,
    ) -> UUID:
        """A proposal about the borrower, unless a target is named."""
        return super().proposed(by, command, kind, target or self.ada, **more)


def refusal_of(ask: Callable[[], Any]) -> Refused:
    with pytest.raises(Refused) as refusal:
        ask()
    return refusal.value

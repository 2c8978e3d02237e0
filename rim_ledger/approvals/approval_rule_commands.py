"""Commands on approval rules. While any rule is enabled, they take two people themselves."""

from collections.abc import Iterable
from typing import Annotated
from uuid import UUID

from pydantic import Field

from rim_ledger.approvals.approval_rule import (
    RULE,
    ApprovalRule,
    ApprovalRuleChanged,
    ApprovalRuleCreated,
    ApprovalRuleRemoved,
    ChangesRules,
)
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command, Creation
from rim_ledger.engine.patch import Patch
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.values import Limit

CommandName = Annotated[
    str,
    Field(max_length=64, pattern="^[A-Z][A-Za-z]+$", examples=["ReverseTransaction"]),
]
"""A command by the name of its operation, in the spelling of its class."""
Above = Annotated[
    Limit | None,
    Field(description="Naira above which the rule holds; for any amount, when left out."),
]


class CreateApprovalRule(ChangesRules, Creation[ApprovalRule]):
    """Have a command take two people: always, or when its amount is above a threshold. A command
    has one rule."""

    command: CommandName
    threshold: Above = None
    enabled: bool = True

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        taken = Refused("approval-rule-exists", f"There is a rule for {self.command} already.")
        uow.claim(RULE, self.command, id, taken)
        yield ApprovalRuleCreated.of(self)


class ChangeApprovalRule(ChangesRules, Patch[ApprovalRule]):
    """Change the threshold of a rule, enable or disable it; omitted fields stay as they are."""

    CLEARS = frozenset({"threshold"})

    threshold: Above = None
    enabled: bool | None = None

    def decide(self, aggregate: ApprovalRule, uow: UnitOfWork) -> Iterable[Event]:
        if changes := self.changes(aggregate):
            yield ApprovalRuleChanged(**changes)


class RemoveApprovalRule(ChangesRules, Command[ApprovalRule]):
    """Remove a rule. What was proposed under it still waits for approval."""

    def decide(self, aggregate: ApprovalRule, uow: UnitOfWork) -> Iterable[Event]:
        uow.release(RULE, aggregate.command)
        yield ApprovalRuleRemoved()

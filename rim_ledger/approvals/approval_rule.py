"""An approval rule: a command that takes two people, from an amount on or always."""

from datetime import datetime
from decimal import Decimal
from typing import Any, Final, Self, assert_never

from msgspec import UNSET, UnsetType

from rim_ledger.engine.aggregate import NOWHERE, Aggregate, Event, Stamp
from rim_ledger.engine.command import Ruled
from rim_ledger.engine.refusals import NeedsApproval, require
from rim_ledger.engine.unit_of_work import UnitOfWork

RULE: Final = "approval-rule"
"""The kind of claim that a rule has on the name of its command."""
ENABLED: Final = "approval-rules"
"""The list of the rules that are enabled."""


class ApprovalRuleCreated(Event):
    """A command may take two people from now on."""

    command: str
    threshold: Decimal | None = None
    enabled: bool = True


class ApprovalRuleChanged(Event):
    """Holds changed fields only. A threshold of null was removed: the rule holds for any amount."""

    threshold: Decimal | UnsetType | None = UNSET
    enabled: bool | None = None


class ApprovalRuleRemoved(Event):
    """The rule is kept for the record; another may be made for its command."""


ApprovalRuleEvent = ApprovalRuleChanged | ApprovalRuleRemoved


class ApprovalRule(Aggregate):
    command: str
    threshold: Decimal | None
    """Naira; the rule holds for amounts above it. None: for all."""
    enabled: bool
    created_at: datetime
    archived: bool = False

    def require_present(self) -> None:
        require(not self.archived, "already-done", "The rule was removed.")

    @property
    def claims(self) -> frozenset[tuple[str, str]]:
        return NOWHERE if self.archived else frozenset([(RULE, self.command)])

    @property
    def lists(self) -> frozenset[tuple[str, str]]:
        if self.archived or not self.enabled:
            return NOWHERE
        return frozenset([(ENABLED, self.command)])

    def evolve(self, event: ApprovalRuleEvent, stamp: Stamp) -> Self:
        match event:
            case ApprovalRuleChanged():
                return self.but(**event.changes)
            case ApprovalRuleRemoved():
                return self.but(archived=True)
            case _:
                assert_never(event)


class ChangesRules(Ruled):
    """A form that makes, changes or removes a rule. It takes two people while any is enabled."""


def require_no_approval(uow: UnitOfWork, command: Ruled, aggregate: Any) -> None:
    """Raise NeedsApproval if a rule binds the command, or one whose effect it has."""
    if any(_binds(uow, name, command, aggregate) for name in command.ruled_as):
        raise NeedsApproval(command)
    if isinstance(command, ChangesRules) and uow.listed(ENABLED, 1):
        raise NeedsApproval(command)


def _binds(uow: UnitOfWork, name: str, command: Ruled, aggregate: Any) -> bool:
    holder = uow.holder(RULE, name)
    rule = uow.find(ApprovalRule, holder) if holder else None
    if rule is None or not rule.enabled:
        return False
    naira = command.naira(aggregate, uow)  # Without an amount, no threshold exempts it.
    return rule.threshold is None or naira is None or naira > rule.threshold

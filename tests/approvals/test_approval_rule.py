"""Rules: which commands take two people, and from which amount on."""

from decimal import Decimal
from functools import partial
from typing import Any

import pytest

from rim_ledger.admin.admin_role import AdminRole, CreateRole
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.approvals.approval_rule import (
    ApprovalRule,
    ApprovalRuleChanged,
    ApprovalRuleCreated,
    ApprovalRuleRemoved,
)
from rim_ledger.approvals.approval_rule_commands import (
    ChangeApprovalRule,
    CreateApprovalRule,
    RemoveApprovalRule,
)
from rim_ledger.lending.float_commands import AdjustFloat
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import SetCreditLimit, SuspendUser
from rim_ledger.payments.payment_commands import RecordTransaction
from rim_ledger.payments.transaction import PaymentMethod, Transaction, TransactionType
from rim_ledger.system.config import ResetConfig, SetConfig, SystemConfig, config_id
from rim_ledger.values import Network
from tests.admin.staff import hashed
from tests.approvals.office import ADA, RAISE, Office, refusal_of
from tests.spec import given

NEEDED = "needs-approval"
REVERSALS = CreateApprovalRule(command="ReverseTransaction", threshold=1000)


def test_a_rule_is_made_changed_and_removed() -> None:
    made = given(ApprovalRule, REVERSALS)
    change = ChangeApprovalRule.filled_in({"threshold": None, "enabled": False})
    made.when(change).then(ApprovalRuleChanged(threshold=None, enabled=False))
    given(ApprovalRule, REVERSALS).when(ChangeApprovalRule(threshold=1000)).then()
    given(ApprovalRule, REVERSALS).when(RemoveApprovalRule()).then(ApprovalRuleRemoved())


def test_a_rule_that_was_removed_takes_no_command() -> None:
    gone = given(ApprovalRule, REVERSALS, RemoveApprovalRule())
    gone.when(ChangeApprovalRule(enabled=True)).refused("already-done")
    gone.when(RemoveApprovalRule()).refused("already-done")


def test_a_command_has_one_rule() -> None:
    office = Office()
    first = office.rule("ReverseTransaction")
    again = refusal_of(lambda: office.rule("ReverseTransaction"))
    assert again.code == "approval-rule-exists"
    office.perform(ApprovalRule, first, RemoveApprovalRule())
    events = office.perform(ApprovalRule, office.environment.new_id(), REVERSALS)
    assert events == [ApprovalRuleCreated(command="ReverseTransaction", threshold=Decimal(1000))]


@pytest.mark.parametrize(
    ("rule", "limit", "code"),
    [
        ({}, 1, NEEDED),
        ({"threshold": 20_000}, 20_000, None),
        ({"threshold": 20_000}, 20_000.01, NEEDED),
        ({"enabled": False}, 50_000, None),
    ],
)
def test_a_rule_holds_above_its_threshold_while_it_is_enabled(
    rule: dict[str, Any], limit: float, code: str | None
) -> None:
    office = Office()
    office.rule("SetCreditLimit", **rule)
    command = SetCreditLimit(limit=limit, reason="why not")

    def ask() -> None:
        office.do(office.root, User, office.ada, command)

    if code is None:
        ask()
        return
    with office.nothing_written():
        refusal = refusal_of(ask)
    assert (refusal.code, refusal.more) == (code, {"command": "SetCreditLimit"})


def test_other_commands_and_callers_without_an_account_are_not_bound() -> None:
    office = Office()
    office.rule("SetCreditLimit")
    office.do(office.root, User, office.ada, SuspendUser(reason="for now"))
    office.perform(User, office.ada, RAISE)  # a decision of the system itself


def test_a_command_with_the_effect_of_another_is_bound_by_its_rule() -> None:
    office = Office()
    for name in ("SetCreditLimit", "AssignRole", "SetConfig"):
        office.rule(name)
    office.do(office.root, User, office.environment.new_id(), other_phone())
    rated = other_phone(phone="08031234569", email="c@example.com", credit_limit=1)
    stream, uow = config_id("lending", "lateFee"), office.uow()
    SetConfig(category="lending", key="lateFee", value=10).work(uow)
    office.keep(uow)
    for kind, id_, command in (
        (User, office.environment.new_id(), rated),
        (AdminUser, office.environment.new_id(), hashed("dayo")),
        (SystemConfig, stream, ResetConfig()),
    ):
        ask = partial(office.do, office.root, kind, id_, command)
        assert refusal_of(ask).code == NEEDED, command


def other_phone(**more: Any) -> Any:
    fields = {"phone": "08031234568", "email": "b@example.com", "name": "Bola"}
    return type(ADA)(**{**fields, **more})


def test_cash_counts_by_its_amount_and_nothing_else_that_is_recorded() -> None:
    office = Office()
    office.rule("RecordTransaction", threshold=1000)

    def record(method: PaymentMethod, amount: float) -> None:
        payment = RecordTransaction(
            type=TransactionType.REPAYMENT,
            user_id=office.ada,
            amount=amount,
            payment_method=method,
        )
        office.do(office.root, Transaction, office.environment.new_id(), payment)

    record(PaymentMethod.CASH, 1000)
    record(PaymentMethod.CARD, 1001)
    assert refusal_of(lambda: record(PaymentMethod.CASH, 1001)).code == NEEDED


@pytest.mark.parametrize("amount", [-10.5, 10.5])
def test_an_adjustment_counts_by_its_size(amount: float) -> None:
    adjust = AdjustFloat(network=Network.MTN, amount=amount, reason="counted again")
    assert adjust.naira(None, Office().uow()) == Decimal("10.5")


def test_rules_are_changed_by_two_people_while_any_is_enabled() -> None:
    office = Office()
    rule, other = office.environment.new_id(), office.environment.new_id()
    office.do(office.root, ApprovalRule, rule, CreateApprovalRule(command="EraseUser"))
    for id_, command in (
        (rule, ChangeApprovalRule(enabled=False)),
        (rule, RemoveApprovalRule()),
        (other, REVERSALS),
    ):
        ask = partial(office.do, office.root, ApprovalRule, id_, command)
        assert refusal_of(ask).code == NEEDED
    office.perform(ApprovalRule, rule, ChangeApprovalRule(enabled=False))
    office.do(office.root, ApprovalRule, other, REVERSALS)


def test_a_role_has_no_amount_so_that_a_rule_holds_for_all() -> None:
    office = Office()
    office.rule("CreateRole")
    command = CreateRole(name="clerk", permissions=[])
    ask = partial(office.do, office.root, AdminRole, office.environment.new_id(), command)
    assert refusal_of(ask).code == NEEDED

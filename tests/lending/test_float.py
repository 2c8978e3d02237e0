"""The airtime float of a network: bought, in transit, spent, taken back, and never overdrawn."""

from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import pytest
from pydantic import ValidationError

from rim_ledger.admin.admin_role import AdminRole, AdminRoleGranted, CreateRole
from rim_ledger.admin.admin_user import AdminCreated, AdminUser
from rim_ledger.delivery.port import Verdict
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.airtime_float import (
    OPENING,
    AirtimeFloat,
    FloatAdjusted,
    FloatBecameLow,
    FloatMoved,
    FloatOpened,
    FloatToppedUp,
    float_id,
)
from rim_ledger.lending.attempt import DisputeOutcome
from rim_ledger.lending.disbursement import DisburseLoan, SettleDisbursement
from rim_ledger.lending.dispute import ResolveDispute
from rim_ledger.lending.float_commands import AdjustFloat, TopUpFloat, open_float
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import ApproveLoan, RevokeApproval
from rim_ledger.notifications.notification import NotificationHistory
from rim_ledger.payments.payment_commands import (
    CompleteTransaction,
    FailTransaction,
    RecordTransaction,
)
from rim_ledger.payments.reversal import ReverseDisbursement, ReverseTransaction
from rim_ledger.payments.transaction import PaymentMethod, Transaction, TransactionType
from rim_ledger.values import Network
from tests.lending.desk import Desk, refused
from tests.spec import names

MTN: Final = float_id(Network.MTN)
BACK: Final = ReverseDisbursement(reason="wrong number", telco_reference="R-1")


def top_up(desk: Desk, amount: float = 1000, cost: float | None = None, **more: Any) -> list[Event]:
    """Buy airtime, of MTN if nothing is said; the first time, the opening follows as the clock does
    it."""
    said: dict[str, Any] = {"network": "MTN", "amount": amount, "reference": "B-1"}
    command = TopUpFloat(**(said | {"cost": amount if cost is None else cost} | more))
    before = desk.journal()[f"1100.{command.network}"]
    events = desk.run(command.work)
    if OPENING in {what for (what, _), at in desk.reminders.items() if at}:
        desk.run(open_float(float_id(command.network), before))
    return events


def adjust(desk: Desk, amount: float) -> list[Event]:
    return desk.run(AdjustFloat(network="MTN", amount=amount, reason="as the telco says").work)  # type: ignore[arg-type]


def held(desk: Desk) -> AirtimeFloat:
    return desk.uow().read(AirtimeFloat, MTN)


def figures(desk: Desk) -> tuple[Decimal, Decimal]:
    """Balance and transit, which the journal has as well."""
    accounts = desk.journal()
    flying = sum(
        (
            attempt.reserved
            for entry in desk.streams.values()
            if isinstance(entry.aggregate, Loan)
            for attempt in entry.aggregate.attempts
        ),
        Decimal(),
    )
    assert accounts["1100.MTN"] == held(desk).balance
    assert accounts["1150.MTN"] == flying
    return held(desk).balance, flying


def sold(desk: Desk, amount: float = 100, method: PaymentMethod = PaymentMethod.CARD) -> UUID:
    """A sale of airtime, which is complete at once for cash."""
    sale = desk.environment.new_id()
    command = RecordTransaction(
        type=TransactionType.AIRTIME,
        user_id=desk.ada,
        amount=amount,  # type: ignore[arg-type]
        network=Network.MTN,
        payment_method=method,
    )
    desk.perform(Transaction, sale, command)
    return sale


def test_a_top_up_is_bought_for_its_amount_less_a_discount() -> None:
    desk = Desk()
    (topped_up,) = top_up(desk, 1000, 970)
    assert topped_up == FloatToppedUp(
        network=Network.MTN, amount=Decimal(1000), cost=Decimal(970), reference="B-1"
    )
    accounts = desk.journal()
    assert (accounts["1100.MTN"], accounts["1310"], accounts["4300"]) == (1000, -970, -30)
    assert figures(desk) == (1000, 0)


@pytest.mark.parametrize(
    ("more", "code"),
    [({"cost": 1000.01}, "cost-above-amount"), ({"reference": "b-1"}, "reference-taken")],
)
def test_a_top_up_is_refused(more: dict[str, Any], code: str) -> None:
    desk = Desk()
    top_up(desk)
    assert refused(lambda: top_up(desk, **more)) == code


@pytest.mark.parametrize("more", [{"amount": 0}, {"cost": -1}, {"amount": 1.001}, {"network": "X"}])
def test_a_top_up_that_cannot_be_is_no_command(more: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        top_up(Desk(), **more)


def test_references_of_two_networks_are_apart() -> None:
    desk = Desk()
    top_up(desk)
    top_up(desk, network="Glo")
    assert desk.journal()["1100.Glo"] == 1000


def test_an_adjustment_sets_the_float_right_and_never_below_zero() -> None:
    desk = Desk()
    assert refused(lambda: adjust(desk, 5)) == "float-not-tracked"
    top_up(desk, 100)
    (adjusted,) = adjust(desk, -40)
    assert adjusted == FloatAdjusted(amount=Decimal(-40), reason="as the telco says")
    adjust(desk, 5)
    assert refused(lambda: adjust(desk, -65.01)) == "float-exhausted"
    assert figures(desk) == (65, 0)
    assert desk.journal()["5300"] == 35
    with pytest.raises(ValidationError):
        adjust(desk, 0)


def test_untracked_networks_lend_as_before() -> None:
    desk = Desk()
    top_up(desk, network="Glo")
    desk.disbursed(100)
    accounts = desk.journal()
    assert (accounts["1100.MTN"], accounts["1150.MTN"]) == (-100, 0)
    assert desk.uow().find(AirtimeFloat, MTN) is None


def test_airtime_is_in_transit_until_it_is_delivered() -> None:
    desk = Desk()
    top_up(desk, 250)
    loan = desk.approved(100)
    events = desk.perform(Loan, loan, DisburseLoan())
    assert FloatMoved(amount=Decimal(-100), loan_id=loan) in events
    assert figures(desk) == (150, 100)
    reference = desk.loan(loan).reference
    assert reference
    events = desk.reply(loan, reference, Verdict.DELIVERED)
    assert "FloatMoved" not in names(events)
    assert figures(desk) == (150, 0)
    assert desk.journal()["1200.MTN"] == 100


@pytest.mark.parametrize("verdict", [Verdict.FAILED, Verdict.ABSENT])
def test_what_failed_is_back_in_the_float(verdict: Verdict) -> None:
    desk = Desk()
    top_up(desk, 100)
    loan = desk.approved(100)
    desk.reply(loan, desk.ask(loan), verdict)
    assert figures(desk) == (100, 0)
    desk.reply(loan, desk.ask(loan), Verdict.DELIVERED)
    assert figures(desk) == (0, 0)


def test_an_unknown_outcome_stays_in_transit_until_it_is_settled() -> None:
    desk = Desk()
    top_up(desk, 100)
    loan = desk.approved(100)
    desk.reply(loan, desk.ask(loan), Verdict.UNKNOWN)
    assert figures(desk) == (0, 100)
    desk.perform(Loan, loan, SettleDisbursement(outcome="failed", evidence="the portal"))
    assert figures(desk) == (100, 0)


def test_a_disbursement_that_the_float_does_not_cover_is_refused() -> None:
    desk = Desk(limit=5000)
    desk.configure("maxOpenLoans", value=9)
    top_up(desk, 199.99)
    first, second = desk.approved(100), desk.approved(100)
    reference = desk.ask(first)
    assert refused(lambda: desk.ask(second)) == "float-exhausted"
    desk.reply(first, reference, Verdict.FAILED)
    desk.ask(second)
    assert refused(lambda: desk.ask(first)) == "float-exhausted"
    top_up(desk, 0.01, reference="B-2")
    desk.ask(first)
    assert figures(desk) == (0, 200)


def test_a_reversal_returns_the_airtime() -> None:
    desk = Desk()
    top_up(desk, 100)
    loan = desk.disbursed(100)
    desk.perform(Loan, loan, BACK)
    assert figures(desk) == (100, 0)


def disputed() -> tuple[Desk, UUID, str]:
    """A loan of 100 from a float of 150 whose airtime came after it was given up."""
    desk = Desk()
    top_up(desk, 150)
    loan = desk.approved(100)
    reference = desk.ask(loan)
    desk.reply(loan, reference, Verdict.FAILED)
    desk.perform(Loan, loan, RevokeApproval(reason="no answer"))
    desk.reply(loan, reference, Verdict.DELIVERED)
    assert figures(desk) == (50, 0)
    assert desk.journal()["1190"] == 100
    return desk, loan, reference


def test_airtime_that_comes_late_leaves_the_float_though_it_is_no_debt() -> None:
    desk, loan, reference = disputed()
    returned = ResolveDispute(
        reference=reference,
        outcome=DisputeOutcome.RETURNED,
        reason="taken back",
        telco_reference="R-2",
    )
    desk.perform(Loan, loan, returned)
    assert figures(desk) == (150, 0)


def test_airtime_in_dispute_that_is_owed_leaves_the_float_once() -> None:
    desk, loan, _ = disputed()
    desk.perform(Loan, loan, ApproveLoan())
    desk.perform(Loan, loan, DisburseLoan())
    assert figures(desk) == (50, 0)
    assert (desk.journal()["1190"], desk.journal()["1200.MTN"]) == (0, 100)


def test_a_failed_top_up_that_was_delivered_after_all_leaves_the_float() -> None:
    desk = Desk()
    top_up(desk, 150)
    loan = desk.approved(100)
    reference = desk.ask(loan)
    desk.reply(loan, reference, Verdict.FAILED)
    desk.reply(loan, reference, Verdict.DELIVERED)
    assert figures(desk) == (50, 0)


def test_what_was_lent_before_the_tracking_is_set_off() -> None:
    desk = Desk(limit=5000)
    desk.configure("maxOpenLoans", value=9)
    lent, flying = desk.disbursed(100), desk.approved(70)
    reference = desk.ask(flying)
    top_up(desk, 500)
    assert FloatOpened(amount=Decimal(100)) in [each.event for each in desk.log]
    assert figures(desk) == (500, 0)
    assert desk.journal()["5300"] == -100
    desk.reply(flying, reference, Verdict.DELIVERED)
    assert figures(desk) == (430, 0)
    desk.perform(Loan, lent, BACK)
    assert figures(desk) == (530, 0)
    assert desk.run(open_float(MTN, Decimal(-1))) == []


def test_a_top_up_asked_for_before_the_tracking_fails_without_a_trace_in_the_float() -> None:
    desk = Desk()
    loan = desk.approved(70)
    reference = desk.ask(loan)
    top_up(desk, 500)
    desk.reply(loan, reference, Verdict.FAILED)
    assert figures(desk) == (500, 0)


def test_loans_of_the_past_take_no_airtime_of_today() -> None:
    desk = Desk()
    top_up(desk, 10)
    loan = desk.approved(100)
    entry = desk.streams[loan]
    assert isinstance(entry.aggregate, Loan)
    desk.streams[loan] = type(entry)(entry.aggregate.but(historical=True), entry.version)
    desk.folded[loan] = desk.loan(loan)
    desk.posted_up_to = len(desk.log)
    desk.perform(Loan, loan, DisburseLoan())
    assert held(desk).balance == 10
    desk.perform(Loan, loan, BACK)
    assert held(desk).balance == 10


def test_sold_airtime_leaves_the_float_when_the_sale_is_complete() -> None:
    desk = Desk()
    top_up(desk, 150)
    sale = sold(desk)
    assert figures(desk) == (150, 0)
    events = desk.perform(Transaction, sale, CompleteTransaction())
    assert FloatMoved(amount=Decimal(-100), transaction_id=sale) in events
    assert figures(desk) == (50, 0)
    second = sold(desk)
    assert (
        refused(lambda: desk.perform(Transaction, second, CompleteTransaction()))
        == "float-exhausted"
    )
    desk.perform(Transaction, second, FailTransaction(reason="no airtime", funds_captured=True))
    assert refused(lambda: sold(desk, method=PaymentMethod.CASH)) == "float-exhausted"
    sold(desk, 50, PaymentMethod.CASH)
    assert figures(desk) == (0, 0)
    desk.perform(Transaction, sale, ReverseTransaction(reason="a mistake"))
    assert figures(desk) == (100, 0)


def employed(desk: Desk, name: str, *actions: str) -> UUID:
    """An admin whose role has these rights to the float."""
    role, admin = desk.environment.new_id(), desk.environment.new_id()
    permission: Any = {"resource": "float", "actions": [*actions]}
    desk.perform(AdminRole, role, CreateRole(name=name, permissions=[permission]))

    def work(uow: UnitOfWork) -> UUID:
        email = f"{name}@example.com"
        made = AdminCreated(username=name, email=email, email_hash=name, role_id=role, name=name)
        uow.append(AdminRole, role, [AdminRoleGranted(admin_id=admin)])
        uow.open_stream(AdminUser, admin, [made])
        return admin

    desk.run(work)
    return admin


def lows(events: list[Event]) -> list[FloatBecameLow]:
    return [each for each in events if isinstance(each, FloatBecameLow)]


def test_a_float_that_falls_below_its_mark_says_so_once_an_episode() -> None:
    desk = Desk(limit=5000)
    desk.configure("maxOpenLoans", value=9)
    desk.configure("floatLow.MTN", value=100)
    top_up(desk, 250)
    first, second = desk.approved(150), desk.approved(50)
    assert lows(desk.perform(Loan, first, DisburseLoan())) == []
    (low,) = lows(desk.perform(Loan, second, DisburseLoan()))
    assert low == FloatBecameLow(balance=Decimal(50), mark=Decimal(100))
    assert held(desk).low
    assert lows(adjust(desk, -10)) == []
    adjust(desk, 60)
    assert not held(desk).low
    assert len(lows(adjust(desk, -1))) == 1


def test_those_who_buy_airtime_are_notified_on_their_dashboard_once_an_episode() -> None:
    desk = Desk()
    desk.configure("floatLow.MTN", value=100)
    top_up(desk, 100)
    buyer, _reader = employed(desk, "buyer", "read", "write"), employed(desk, "reader", "read")

    def notices() -> list[NotificationHistory]:
        found = (entry.aggregate for entry in desk.streams.values())
        return [each for each in found if isinstance(each, NotificationHistory)]

    adjust(desk, -10)
    adjust(desk, -10)
    (notice,) = notices()
    assert (notice.notice.recipient, notice.notice.channel) == (buyer, "dashboard")
    assert notice.status == "delivered"
    title, message = (desk.uow().reveal(buyer, text) for text in (notice.title, notice.message))
    assert title == "Airtime float of MTN is low"
    assert message == "The airtime float of MTN has 90.00 naira; its low mark is 100.00."
    adjust(desk, 30)
    adjust(desk, -30)
    assert len(notices()) == 2


def test_a_low_mark_of_zero_is_off() -> None:
    desk = Desk()
    top_up(desk, 100)
    assert (
        names(desk.perform(Loan, desk.approved(100), DisburseLoan())).count("FloatBecameLow") == 0
    )

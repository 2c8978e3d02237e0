"""The fee of a loan, beside the amount or out of the airtime, and the VAT in it."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from rim_ledger.engine.aggregate import Actor
from rim_ledger.engine.refusals import Forbidden
from rim_ledger.lending.attempt import LoanDisbursed
from rim_ledger.lending.charges import ChargeFee, WaiveCharges
from rim_ledger.lending.fees import FeeMode, vat_in
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import RequestLoan
from rim_ledger.payments.reversal import ReverseDisbursement, ReverseTransaction
from rim_ledger.payments.transaction import Transaction
from rim_ledger.values import Network
from tests.lending.desk import Desk, Verdict, refused
from tests.lending.test_charges import balances, written

UPFRONT: dict[str, Any] = {"fee_mode": FeeMode.UPFRONT, "interest_rate": 15.36}
BACK = ReverseDisbursement(reason="wrong number", telco_reference="T-9")


def top_up(desk: Desk, loan: UUID) -> Transaction:
    known = desk.loan(loan)
    assert known.transaction_id
    return desk.transaction(known.transaction_id)


@pytest.mark.parametrize(
    ("amount", "rate", "delivered", "owed"),
    [
        ("100", "15.36", "84.64", "100.00"),
        ("100", "15", "85.00", "100.00"),
        ("0.50", "25", "0.38", "0.50"),  # 0.125 is half: to even
        ("1.50", "25", "1.12", "1.50"),  # 0.375 is half: to even
        ("500", "0", "500.00", "500.00"),
        ("100", "99.99", "0.01", "100.00"),
    ],
)
def test_an_upfront_fee_is_deducted_from_the_airtime(
    amount: str, rate: str, delivered: str, owed: str
) -> None:
    desk = Desk()
    loan = desk.disbursed(Decimal(amount), fee_mode=FeeMode.UPFRONT, interest_rate=Decimal(rate))
    known, sent = desk.loan(loan), top_up(desk, loan)
    fee = Decimal(amount) - Decimal(delivered)
    assert (known.airtime, known.amount_due) == (Decimal(delivered), Decimal(owed))
    assert (known.interest, known.upfront_fee) == (0, fee)
    assert sent.amount == Decimal(delivered)
    assert sent.metadata == {"originalAmount": Decimal(amount), "fee": fee}
    assert desk.user.exposure == Decimal(amount), "exposure counts the principal"
    desk.pay(Decimal(owed))
    assert desk.loan(loan).status == "completed"


def test_a_fee_beside_the_amount_is_as_it_was() -> None:
    desk = Desk()
    loan = desk.disbursed(100, interest_rate=15.36)
    known, sent = desk.loan(loan), top_up(desk, loan)
    assert (known.fee_mode, known.amount_due, known.airtime) == ("addon", Decimal("115.36"), 100)
    assert (sent.amount, sent.metadata) == (100, {})
    bodies = b"".join(written(desk))
    assert not [word for word in (b"feeMode", b"upfront", b"vat", b"original") if word in bodies]


@pytest.mark.parametrize("mode", FeeMode)
def test_a_loan_costs_its_fee_however_it_is_taken_and_later_ones_less_what_is_waived(
    mode: FeeMode,
) -> None:
    desk = Desk()
    loan = desk.disbursed(100, fee_mode=mode, interest_rate=15)
    assert desk.loan(loan).cost == 15
    desk.perform(Loan, loan, ChargeFee(amount=10, reason="came late"))  # type: ignore[arg-type]
    assert desk.loan(loan).cost == 25
    desk.perform(Loan, loan, WaiveCharges(amount=4, reason="good will"))  # type: ignore[arg-type]
    assert desk.loan(loan).cost == 21


@pytest.mark.parametrize(("amount", "rate"), [(100, 100), (100, 250), (0.01, 50.1)])
def test_a_fee_that_leaves_no_airtime_is_refused(amount: float, rate: float) -> None:
    desk = Desk()
    terms = {"fee_mode": FeeMode.UPFRONT, "interest_rate": rate}
    assert refused(lambda: desk.request(amount, **terms)) == "fee-exceeds-amount"
    desk.request(amount, interest_rate=rate)


def test_a_borrower_does_not_choose_the_mode() -> None:
    desk = Desk()
    wish = RequestLoan(user_id=desk.ada, amount=100, network=Network.MTN, fee_mode=FeeMode.UPFRONT)  # type: ignore[arg-type]
    uow = desk.uow(Actor(type="admin", id=UUID(int=3), name="ada"))
    uow.rights = frozenset({("loans", "write")})
    with pytest.raises(Forbidden, match=r"loans\.approval"):
        list(wish.begin(UUID(int=9), uow))


@pytest.mark.parametrize(
    ("fee", "rate", "vat"),
    [
        ("15", "7.5", "1.05"),  # 1.0465…
        ("15", "0", "0"),
        ("107.50", "7.5", "7.50"),
        ("0.03", "100", "0.02"),  # 0.015 is half: to even
        ("0.05", "100", "0.02"),  # 0.025 is half: to even
        ("0", "7.5", "0"),
    ],
)
def test_a_fee_contains_its_vat(fee: str, rate: str, vat: str) -> None:
    assert vat_in(Decimal(fee), Decimal(rate)) == Decimal(vat)


@pytest.mark.parametrize(
    ("mode", "books"),
    [
        ("addon", {"1200.MTN": 100, "1210": 15, "1100.MTN": -100}),
        ("upfront", {"1200.MTN": 100, "1100.MTN": -85}),
    ],
)
def test_vat_is_payable_and_no_income_and_a_reversal_mirrors_it(
    mode: str, books: dict[str, float]
) -> None:
    desk = Desk()
    desk.configure("vatRate", value=7.5)
    loan = desk.disbursed(100, fee_mode=FeeMode(mode))
    (event,) = (each.event for each in desk.log if isinstance(each.event, LoanDisbursed))
    assert (event.vat, event.vat_rate) == (Decimal("1.05"), Decimal("7.5"))
    posted = {"4100": Decimal("-13.95"), "2300": Decimal("-1.05")}
    assert balances(desk) == books | posted
    desk.configure("vatRate", value=20)
    assert desk.loan(loan).vat == Decimal("1.05"), "as it was at the disbursement"
    desk.perform(Loan, loan, BACK)
    assert (desk.loan(loan).vat, balances(desk)) == (0, {})
    desk.reply(loan, desk.ask(loan), Verdict.DELIVERED)
    assert (desk.loan(loan).vat, desk.journal()["2300"]) == (Decimal("2.50"), Decimal("-2.50"))


def test_airtime_in_dispute_is_what_was_delivered() -> None:
    desk = Desk()
    loan = desk.approved(100, **UPFRONT)
    first = desk.ask(loan)
    desk.reply(loan, first, Verdict.FAILED)
    desk.reply(loan, desk.ask(loan), Verdict.DELIVERED)
    desk.reply(loan, first, Verdict.DELIVERED)
    assert desk.journal()["1190"] == Decimal("84.64")
    assert desk.journal()["1100.MTN"] == 2 * Decimal("-84.64")


def test_a_late_reversal_and_credit_count_what_is_owed() -> None:
    desk = Desk()
    desk.configure("vatRate", value=7.5)
    loan = desk.disbursed(100, **UPFRONT)
    paid = desk.pay(130)
    assert (desk.loan(loan).status, desk.user.credit_balance) == ("completed", 30)
    second = desk.disbursed(50, **UPFRONT)
    assert desk.loan(second).outstanding_amount == 20
    desk.perform(Transaction, paid, ReverseTransaction(reason="a chargeback"))
    left = [desk.loan(each).outstanding_amount for each in (loan, second)]
    assert (left, desk.user.credit_balance, desk.user.exposure) == ([100, 50], 0, 150)

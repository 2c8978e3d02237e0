"""Loan products: whose terms a loan takes and keeps, and who may take them."""

from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from rim_ledger.admin.bootstrap import BUILT_IN
from rim_ledger.engine.aggregate import Actor, Event
from rim_ledger.engine.refusals import Forbidden, Refused
from rim_ledger.lending.fees import FeeMode
from rim_ledger.lending.loan import Loan, LoanRequested
from rim_ledger.lending.loan_requests import RequestLoan
from rim_ledger.lending.product import (
    LoanProduct,
    LoanProductArchived,
    LoanProductChanged,
    LoanProductCreated,
)
from rim_ledger.lending.product_commands import (
    ArchiveLoanProduct,
    CreateLoanProduct,
    UpdateLoanProduct,
)
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import SetCreditScore
from rim_ledger.values import Network
from tests.lending.desk import Desk, refused
from tests.lending.test_charges import written
from tests.spec import given

TERMS: dict[str, Any] = {
    "name": "Two weeks",
    "networks": ["Glo", "MTN"],
    "min_amount": 50,
    "max_amount": 500,
    "interest_rate": 10,
    "repayment_period": 14,
}
CREATE = CreateLoanProduct(**TERMS)
ADA = Actor(type="user", id=UUID(int=7), name="USR-2026-000001")


class Shop(Desk):
    """A desk with a product."""

    def __init__(self, **terms: Any) -> None:
        super().__init__()
        self.product = self.environment.new_id()
        self.perform(LoanProduct, self.product, CreateLoanProduct(**TERMS | terms))

    def change(self, **changes: Any) -> list[Event]:
        return self.perform(LoanProduct, self.product, UpdateLoanProduct(**changes))

    def take(self, amount: float = 100, *, own: bool = False, **terms: Any) -> Loan:
        """A loan that is requested on the product; by the borrower, if it is their `own` wish."""
        wish = RequestLoan(
            user_id=self.ada,
            amount=amount,  # type: ignore[arg-type]
            product_id=self.product,
            **{"network": Network.MTN} | terms,
        )
        uow = self.uow(Actor(type="user", id=self.ada, name=self.user.user_id) if own else ADMIN)
        loan = uow.new_id()
        uow.open_stream(Loan, loan, wish.begin(loan, uow))
        self.keep(uow)
        return self.loan(loan)


ADMIN = Actor(type="admin", id=UUID(int=2), name="bisi")


def test_a_product_is_created_changed_and_archived() -> None:
    known = LoanProductCreated(
        name="Two weeks",
        networks=(Network.MTN, Network.GLO),
        min_amount=Decimal(50),
        max_amount=Decimal(500),
        interest_rate=Decimal(10),
        repayment_period=14,
        fee_mode=FeeMode.ADDON,
        offered=False,
        min_score=0,
    )
    given(LoanProduct).memory.perform(LoanProduct, UUID(int=5), CREATE)
    assert Shop().log[-1].event == known
    given(LoanProduct, CREATE).when(UpdateLoanProduct(offered=True)).then(
        LoanProductChanged(offered=True)
    )
    given(LoanProduct, CREATE).when(UpdateLoanProduct(**TERMS)).then()
    given(LoanProduct, CREATE).when(ArchiveLoanProduct()).then(LoanProductArchived())
    gone = given(LoanProduct, CREATE, ArchiveLoanProduct())
    gone.when(ArchiveLoanProduct()).refused("already-done")
    gone.when(UpdateLoanProduct(offered=True)).refused("already-done")


@pytest.mark.parametrize("changes", [{"min_amount": 500.01}, {"max_amount": 49.99}])
def test_the_smallest_amount_is_not_above_the_largest(changes: dict[str, Any]) -> None:
    given(LoanProduct, CREATE).when(UpdateLoanProduct(**changes)).refused("min-above-max")
    assert refused(lambda: Shop(**changes)) == "min-above-max"


@pytest.mark.parametrize(
    "wrong",
    [
        {"networks": []},
        {"networks": ["Etisalat"]},
        {"min_amount": 0},
        {"interest_rate": 1001},
        {"repayment_period": 0},
        {"repayment_period": 366},
        {"fee_mode": "later"},
        {"min_score": 1001},
        {"name": " "},
    ],
)
def test_terms_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CreateLoanProduct(**TERMS | wrong)


def test_a_loan_takes_the_terms_of_its_product_and_keeps_them() -> None:
    shop = Shop(fee_mode="upfront")
    shop.change(min_score=10)
    loan = shop.take(200)
    assert (loan.product_id, loan.product_version) == (shop.product, 2)
    assert (loan.interest_rate, loan.repayment_period, loan.fee_mode) == (10, 14, "upfront")
    assert (loan.amount_due, loan.airtime) == (200, 180)
    shop.change(interest_rate=20, repayment_period=7, fee_mode="addon")
    shop.perform(LoanProduct, shop.product, ArchiveLoanProduct())
    assert shop.loan(loan.id) == loan
    (event,) = (each.event for each in shop.log if isinstance(each.event, LoanRequested))
    assert (event.product_id, event.product_version) == (shop.product, 2)


def test_a_loan_without_a_product_is_as_it_was() -> None:
    shop = Shop()
    loan = shop.loan(shop.request(100))
    assert (loan.product_id, loan.product_version, loan.amount_due) == (None, None, 115)
    assert not [body for body in written(shop) if b"roductId" in body or b"ProductV" in body]


@pytest.mark.parametrize(
    ("amount", "terms", "code"),
    [
        (49.99, {}, "amount-not-in-product"),
        (50, {}, None),
        (500, {}, None),
        (500.01, {}, "amount-not-in-product"),
        (100, {"network": Network.AIRTEL}, "network-not-in-product"),
        (100, {"network": Network.GLO}, None),
    ],
)
def test_a_product_is_for_its_networks_and_amounts(
    amount: float, terms: dict[str, Any], code: str | None
) -> None:
    shop = Shop()
    if code:
        assert refused(lambda: shop.take(amount, **terms)) == code
    else:
        shop.take(amount, **terms)


def test_a_product_needs_its_score() -> None:
    shop = Shop(min_score=501)
    assert refused(shop.take) == "score-below-product"
    shop.perform(User, shop.ada, SetCreditScore(score=501, reason="a talk"))
    shop.take()


def test_an_archived_product_and_one_that_is_not_there_are_not_taken() -> None:
    shop = Shop()
    shop.perform(LoanProduct, shop.product, ArchiveLoanProduct())
    assert refused(shop.take) == "product-archived"
    shop.product = shop.ada
    assert refused(shop.take) == "unknown-product"


def test_staff_who_approve_set_terms_of_their_own() -> None:
    shop = Shop(fee_mode="upfront")
    loan = shop.take(interest_rate=5, repayment_period=3, fee_mode=FeeMode.ADDON)
    assert (loan.interest_rate, loan.repayment_period, loan.amount_due) == (5, 3, 105)
    assert loan.product_id == shop.product
    wish = RequestLoan(
        user_id=shop.ada,
        amount=Decimal(100),
        network=Network.MTN,
        product_id=shop.product,
        repayment_period=3,
    )
    uow = shop.uow(ADMIN)
    uow.rights = frozenset({("loans", "write")})
    with pytest.raises(Forbidden, match=r"loans\.approval"):
        list(wish.begin(UUID(int=9), uow))


@pytest.mark.parametrize(
    ("terms", "taken"),
    [
        ({}, False),
        ({"offered": True}, True),
        ({"offered": True, "min_score": 500}, True),
        ({"offered": True, "min_score": 501}, False),
        ({"offered": True, "min_amount": 1000, "max_amount": 1000}, True),
        ({"offered": True, "min_amount": 1000.01, "max_amount": 2000}, False),
    ],
)
def test_a_borrower_takes_what_is_offered_and_score_and_limit_allow(
    terms: dict[str, Any], taken: bool
) -> None:
    shop = Shop(**terms)
    amount = float(terms.get("min_amount", 100))
    if taken:
        assert shop.take(amount, own=True).product_id == shop.product
        shop.perform(LoanProduct, shop.product, ArchiveLoanProduct())
    assert refused(lambda: shop.take(amount, own=True)) == "unknown-product"


def test_a_request_that_the_product_is_not_for_is_evidence_without_a_policy() -> None:
    shop = Shop()
    wish = RequestLoan(
        user_id=shop.ada, amount=Decimal(10), network=Network.MTN, product_id=shop.product
    )
    uow = shop.uow(ADMIN)
    with pytest.raises(Refused):
        list(wish.begin(UUID(int=9), uow))
    (kept,) = uow.refused_requests
    assert (kept.code, kept.policy) == ("amount-not-in-product", None)


def test_who_may_change_products() -> None:
    for action in ("write", "delete"):
        right = "loan_products", action
        may = {role for role, (_, rights) in BUILT_IN.items() if right in rights}
        assert may == {"superadmin"}

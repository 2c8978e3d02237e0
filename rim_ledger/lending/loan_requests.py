"""Commands that request a loan and decide on the request, within the user's limit."""

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Any, ClassVar
from uuid import UUID

from msgspec.structs import asdict, replace
from pydantic import Field

from rim_ledger.admin.admin_role import alert_superadmins
from rim_ledger.admin.same_person import is_caller, require_second_person
from rim_ledger.engine.activity import Asked
from rim_ledger.engine.aggregate import Event, shared
from rim_ledger.engine.command import Creation
from rim_ledger.engine.patch import Patch
from rim_ledger.engine.refusals import Forbidden, Invalid, Refused, require, require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.decision import Terms, decide_request, require_active
from rim_ledger.lending.fees import FeeMode, LoanTerms, Period
from rim_ledger.lending.loan import (
    LEGAL,
    POLICY_VERSION,
    Decision,
    Loan,
    LoanApprovalRevoked,
    LoanApproved,
    LoanMetadataSet,
    LoanRejected,
    LoanRequested,
)
from rim_ledger.lending.product import LoanProduct
from rim_ledger.lending.separation import BorrowerCommand, require_may_lend, require_no_conflict
from rim_ledger.lending.user import CreditReleased, CreditReserved, User, is_historical
from rim_ledger.system.config import setting
from rim_ledger.values import (
    AnyId,
    Id,
    Metadata,
    Money,
    Network,
    Note,
    Rate,
    derived_id,
)


class RequestLoan(Creation[Loan]):
    """Request airtime on credit, on the terms of a product if one is named. Omitted terms are those
    of the product, or else the configured ones; borrowers, who request for themselves, set none,
    and take products that are offered to them. The fee is owed beside the amount or, in the mode
    `upfront`, deducted from the airtime."""

    LATER: ClassVar = frozenset({"product_id", "fee_mode"})

    user_id: AnyId
    amount: Money
    network: Annotated[Network, Field(strict=False)]
    product_id: Id | None = None
    repayment_period: Period | None = None
    interest_rate: Rate | None = None
    fee_mode: Annotated[FeeMode, Field(strict=False)] | None = None
    metadata: Metadata = {}

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        if (self._own_terms or self.metadata) and not uow.may("history.import", "write"):
            uow.need("loans.approval", "write")
        user = uow.known(User, self.user_id)
        product = self._product(user, uow)
        reasons = self._decided(user, product, uow)
        terms = replace(product.terms if product else _configured(uow), **self._own_terms)
        fee, upfront_fee = terms.fees_on(self.amount)
        words = f"A fee of {upfront_fee} naira, deducted from {self.amount}, leaves no airtime."
        require(upfront_fee < self.amount, "fee-exceeds-amount", words)
        historical = is_historical(uow.stamp)
        if historical:
            _alert_to_import(uow)
        decision = Decision(user.credit_score, user.total_loans, user.available, reasons)
        uow.append(User, user.id, [CreditReserved(loan_id=id, amount=self.amount)])
        if not reasons:
            _remind_to_disburse(uow, id)
        yield LoanRequested.of(
            self,
            **asdict(terms),
            loan_id=uow.number("LOAN"),
            user_id=user.id,
            amount_due=self.amount + fee,
            upfront_fee=upfront_fee,
            product_version=uow.version(product.id) if product else None,
            decision=decision,
            historical=historical,
        )
        if not reasons:
            yield LoanApproved(automatic=True)

    def _product(self, user: User, uow: UnitOfWork) -> LoanProduct | None:
        if self.product_id is None:
            return None
        product = uow.find(LoanProduct, self.product_id)
        if product is None or (uow.stamp.customer and not product.is_offered_to(user)):
            raise Invalid("unknown-product", "There is no such loan product.", "/productId")
        return product

    def _decided(self, user: User, product: LoanProduct | None, uow: UnitOfWork) -> tuple[str, ...]:
        """Return why staff must decide it. A refused request is kept as evidence; one that its
        product is not for has no policy, and is not part of back-tests."""
        said = shared(Asked, user) | shared(Asked, self)
        asked = Asked(**said | {"user_id": user.id}, available=user.available)
        policy: str | None = None
        try:
            require_no_conflict(uow, user)
            if product:
                product.require_fits(self.amount, self.network, user.credit_score)
            terms, policy = Terms.of(partial(setting, uow, "lending")), POLICY_VERSION
            return decide_request(user, self.amount, terms, uow.now)
        except Refused as refusal:
            uow.refused_requests.append(asked.refused(refusal, policy))
            raise

    @property
    def _own_terms(self) -> dict[str, Any]:
        """The terms that the request sets."""
        wishes = ((field, getattr(self, field)) for field in LoanTerms.__struct_fields__)
        return {field: wish for field, wish in wishes if wish is not None}


class ApproveLoan(BorrowerCommand[Loan]):
    """Approve a pending loan that another person requested."""

    def decide(self, aggregate: Loan, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "approve", LEGAL)
        if is_caller(uow, aggregate.requested_by):
            raise Forbidden("self-approval", "Whoever requested a loan does not approve it.")
        user = uow.read(User, aggregate.user_id)
        require_may_lend(uow, aggregate, user)
        require_active(user)
        if not any(each.given_up_by for each in aggregate.attempts):  # Else an admin must send it.
            _remind_to_disburse(uow, aggregate.id)
        yield LoanApproved()


class RejectLoan(BorrowerCommand[Loan]):
    """Reject a pending loan, for a reason. It takes another person than those who gave up airtime
    of the loan, so that no one ends a debt alone."""

    reason: Note

    def decide(self, aggregate: Loan, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "reject", LEGAL)
        words = "You said that airtime of this loan is gone; another person rejects the loan."
        require_second_person(uow, words, *(each.given_up_by for each in aggregate.attempts))
        uow.append(User, aggregate.user_id, [CreditReleased(loan_id=aggregate.id)])
        yield LoanRejected(reason=self.reason)


class RevokeApproval(BorrowerCommand[Loan]):
    """Revoke an approval, for a reason; the loan is pending again."""

    reason: Note

    def decide(self, aggregate: Loan, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "revoke-approval", LEGAL)
        require_grounded(aggregate)
        yield LoanApprovalRevoked(reason=self.reason)


class SetLoanMetadata(BorrowerCommand[Loan], Patch[Loan]):
    """Replace the free fields of a loan."""

    CLEARS = frozenset({"metadata"})

    metadata: Metadata | None

    def decide(self, aggregate: Loan, uow: UnitOfWork) -> Iterable[Event]:
        metadata = self.metadata or {}
        if uow.reveal(aggregate.person, aggregate.notes) != metadata:
            yield LoanMetadataSet(metadata=metadata)


def _configured(uow: UnitOfWork) -> LoanTerms:
    rate, period = (setting(uow, "lending", key) for key in ("interestRate", "repaymentPeriod"))
    return LoanTerms(rate, period)


def require_grounded(loan: Loan) -> None:
    """Refuse while a disbursement is in flight, which may still be delivered."""
    if loan.in_flight:
        words = f"The disbursement {loan.reference} is {loan.disbursement}; wait for its outcome."
        raise Refused("disbursement-in-flight", words)


def require_not_written_off(loan: Loan) -> None:
    """Refuse a loan that is written off. Raises Refused (`loan-written-off`)."""
    words = "The loan was written off; undo that first."
    require(loan.written_off_at is None, "loan-written-off", words)


def _alert_to_import(uow: UnitOfWork) -> None:
    """Alert super-admins of an import of history, once per hour and importing admin."""
    hour = f"{uow.now:%Y-%m-%dT%H}"
    cause = derived_id("history-imported", uow.stamp.admin or "", hour)
    words = f"imports loans of the past, which are lent without airtime (since {hour}:00 UTC)."
    alert_superadmins(uow, "History is imported", words, cause)


def _remind_to_disburse(uow: UnitOfWork, loan: UUID) -> None:
    if setting(uow, "lending", "autoDisburse"):
        uow.remind("disburse", loan, uow.now)

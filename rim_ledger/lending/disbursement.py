"""Disbursement of a loan's airtime: recorded first, then requested from the telco, then settled.

The reference is durable before the telco is called. An open outcome is queried under the same
reference, and the top-up is never sent again.
"""

from collections.abc import Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Final, Literal
from uuid import UUID

from rim_ledger.admin.same_person import require_second_person
from rim_ledger.delivery.kill_switch import require_open
from rim_ledger.delivery.port import Outcome, Verdict
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.refusals import require, require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork, decision
from rim_ledger.lending.airtime_float import FloatMoved, find_float, move, spend
from rim_ledger.lending.attempt import (
    Airtime,
    Attempt,
    Disbursement,
    LoanDisbursed,
    LoanDisbursementAnswered,
    LoanDisbursementDisputed,
    LoanDisbursementFailed,
    LoanDisbursementRequested,
    LoanDisbursementSettled,
    LoanDisbursementUnknown,
)
from rim_ledger.lending.debt import incur
from rim_ledger.lending.decision import require_active, require_no_late_debt
from rim_ledger.lending.fees import FeeMode, vat_in
from rim_ledger.lending.loan import LEGAL, Loan, LoanStatus
from rim_ledger.lending.loan_requests import require_grounded
from rim_ledger.lending.notice_days import look_for_notices
from rim_ledger.lending.separation import BorrowerCommand, require_may_lend
from rim_ledger.lending.user import User
from rim_ledger.payments.payment_callback import quarantine
from rim_ledger.payments.transaction import (
    Transaction,
    TransactionCompleted,
    TransactionFailed,
    TransactionQuarantined,
    TransactionRecorded,
    TransactionStatus,
    TransactionType,
)
from rim_ledger.system.config import setting
from rim_ledger.system.integration import SERVES, ApiIntegration
from rim_ledger.values import ZERO, Note, Reference, day_after, due_date

PREFIX: Final = "DSB-"
"""Prefix of a reference; the loan's business id and the number of the attempt follow."""
FAILED: Final = "top-up.failed"
"""A telco's report that a top-up failed."""
NEVER_CAME: Final = "The telco never received this top-up."
FIRST_QUERY: Final = timedelta(seconds=5)
LAST_WAIT: Final = timedelta(hours=1)


class DisburseLoan(BorrowerCommand[Loan]):
    """Disburse the airtime of an approved loan. After a definite failure it may be repeated; after
    a failure or return that staff recorded, by another person. If airtime of the loan is in
    dispute, nothing is sent: the oldest of it is owed from now on."""

    def decide(self, aggregate: Loan, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "disburse", LEGAL)
        require_grounded(aggregate)
        user = uow.read(User, aggregate.user_id)
        require_may_lend(uow, aggregate, user)
        if aggregate.disputed:
            uow.forget("disburse", aggregate.id)
            came = aggregate.in_dispute[0]
            _deliver(aggregate.id, came.reference, came.telco_reference, uow)
            return ()
        words = "You said that earlier airtime of this loan is gone; another person sends it anew."
        require_second_person(uow, words, *(each.given_up_by for each in aggregate.attempts))
        require_active(user)
        require_no_late_debt(user, uow.now)
        room = f"Loans of {user.exposure} naira exceed the limit of {user.credit_limit} naira."
        require(user.exposure <= user.credit_limit, "credit-limit-exceeded", room)
        most = setting(uow, "lending", "maxOpenLoans")
        full = f"The user has {user.unfinished} unfinished loans; {most} are allowed."
        require(user.unfinished <= most, "too-many-open-loans", full)
        if not aggregate.historical:
            require_open(uow)
        return (_request(aggregate, uow),)

    def follow(self, before: Loan, uow: UnitOfWork) -> None:
        loan = uow.read(Loan, before.id)
        if loan.historical and loan.last and loan.in_flight:
            _deliver(loan.id, loan.last.reference, None, uow)


class SettleDisbursement(BorrowerCommand[Loan]):
    """Settle a top-up whose outcome the telco left open, on evidence from elsewhere, such as the
    telco's portal. A failure takes another person than the one who disbursed. The telco is queried
    until its answer is definite, and may still contradict it."""

    outcome: Literal["delivered", "failed"]
    evidence: Note
    telco_reference: Reference | None = None

    def decide(self, aggregate: Loan, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "settle", LEGAL)
        unknown = aggregate.disbursement is Disbursement.UNKNOWN
        words = f"The disbursement is {aggregate.disbursement}; only an unknown one is settled."
        require(unknown, "disbursement-not-unknown", words)
        attempt = aggregate.last
        assert attempt, "what is unknown was asked for"
        if self.outcome == "failed":
            words = "You disbursed this loan; another person says that it failed."
            require_second_person(uow, words, attempt.requested_by)
        yield LoanDisbursementSettled(reference=attempt.reference, evidence=self.evidence)

    def follow(self, before: Loan, uow: UnitOfWork) -> None:
        assert before.last, "what is unknown was asked for"
        words = "Staff found that it failed."
        outcome = Outcome(Verdict(self.outcome), words, self.telco_reference)
        _take(before, before.last.reference, outcome, uow)
        uow.remind("query-top-up", before.id, uow.now + FIRST_QUERY)


@decision
def record_outcome(uow: UnitOfWork, id: UUID, reference: str, outcome: Outcome) -> UUID:
    """Record a telco's answer about a reference. Repeated, it has no effect."""
    uow.act_upon(id)
    with uow.dated(id):
        _take(uow.read(Loan, id), reference, outcome, uow)
    return id


def find_attempt(uow: UnitOfWork, reference: str) -> tuple[Loan, Attempt] | None:
    """Return the loan and the attempt of a reference; None if there are none."""
    loan = uow.find(Loan, reference.removeprefix(PREFIX).rpartition("-")[0])
    attempt = loan.attempt(reference) if loan else None
    return (loan, attempt) if loan and attempt else None


def provider_of(uow: UnitOfWork, attempt: Attempt) -> str | None:
    """Return the provider of a top-up; None for the installation's telco."""
    return uow.read(ApiIntegration, attempt.integration).provider if attempt.integration else None


def contradict(
    loan: Loan, attempt: Attempt, claim: TransactionQuarantined, uow: UnitOfWork
) -> None:
    """Record a telco's report against delivered airtime: nothing changes, staff must check it."""
    keep_claim(attempt, claim, uow)
    if attempt.unconfirmed:
        with uow.dated(loan.id):
            uow.append(Loan, loan.id, [_answered(loan, attempt, uow, delivered=False)])


def keep_claim(attempt: Attempt, claim: TransactionQuarantined, uow: UnitOfWork) -> None:
    """Record a telco's report in quarantine, with the transaction of an attempt."""
    transaction = uow.read(Transaction, attempt.transaction_id)
    with uow.dated(transaction.id):
        uow.append(Transaction, transaction.id, quarantine(transaction, claim))


def _take(loan: Loan, reference: str, outcome: Outcome, uow: UnitOfWork) -> None:
    """Record what follows from an outcome, be it the telco's answer or staff's finding."""
    attempt = loan.attempt(reference)
    assert attempt, "a telco tells of what it was asked for"
    match outcome.verdict:
        case Verdict.DELIVERED:
            _came(loan, attempt, outcome.reference, uow)
        case Verdict.FAILED:
            uow.append(Loan, loan.id, _failed(loan, attempt, outcome.reason, uow))
        case Verdict.ABSENT:
            uow.append(Loan, loan.id, _failed(loan, attempt, NEVER_CAME, uow))
        case _ if attempt in loan.to_ask:
            _ask_on(loan, None, uow)
            if attempt == loan.last and loan.disbursement is Disbursement.REQUESTED:
                uow.append(Loan, loan.id, [LoanDisbursementUnknown(reference=reference)])


def _came(loan: Loan, attempt: Attempt, told: str | None, uow: UnitOfWork) -> None:
    returned = attempt.unconfirmed and attempt.airtime is Airtime.RETURNED
    if attempt.delivered and not returned:
        if attempt.unconfirmed:
            uow.append(Loan, loan.id, [_answered(loan, attempt, uow, delivered=True)])
    elif attempt == loan.last and loan.status is LoanStatus.APPROVED and not returned:
        _deliver(loan.id, attempt.reference, told, uow)
    else:
        _ask_on(loan, attempt, uow)
        _leave(loan, attempt, uow)
        disputed = LoanDisbursementDisputed(reference=attempt.reference, telco_reference=told)
        uow.append(Loan, loan.id, [disputed])


def _failed(loan: Loan, attempt: Attempt, reason: str, uow: UnitOfWork) -> Iterable[Event]:
    if attempt == loan.last and loan.in_flight:
        _ask_on(loan, attempt, uow)
        uow.append(Transaction, attempt.transaction_id, [TransactionFailed(reason=reason)])
        if attempt.reserved:
            move(uow, loan.network, FloatMoved(amount=attempt.reserved, loan_id=loan.id))
        yield LoanDisbursementFailed(reference=attempt.reference, reason=reason)
    elif attempt.unconfirmed and attempt.airtime is Airtime.OWED:
        name = provider_of(uow, attempt) or uow.stamp.actor.name
        claim = TransactionQuarantined(type=FAILED, amount=None, provider=name, message_id="")
        contradict(loan, attempt, claim, uow)
    elif attempt.unconfirmed:
        yield _answered(loan, attempt, uow, delivered=False)


def _answered(
    loan: Loan, attempt: Attempt, uow: UnitOfWork, *, delivered: bool
) -> LoanDisbursementAnswered:
    _ask_on(loan, attempt, uow)
    return LoanDisbursementAnswered(reference=attempt.reference, delivered=delivered)


def _ask_on(loan: Loan, answered: Attempt | None, uow: UnitOfWork) -> None:
    """Schedule the next query for attempts that are open, other than the answered one."""
    waited = [uow.now - each.asked_at for each in loan.to_ask if each != answered]
    if waited:  # As long as so far, from 5 seconds to an hour.
        wait = min(max(FIRST_QUERY, min(waited)), LAST_WAIT)
        uow.remind("query-top-up", loan.id, uow.now + wait)
    else:
        uow.forget("query-top-up", loan.id)


def _request(loan: Loan, uow: UnitOfWork) -> LoanDisbursementRequested:
    attempt = len(loan.attempts) + 1
    reference = f"{PREFIX}{loan.loan_id}-{attempt}"
    past, network = loan.historical, loan.network
    reserved = (
        ZERO if past else spend(uow, network, FloatMoved(amount=-loan.airtime, loan_id=loan.id))
    )
    uow.remind("query-top-up", loan.id, uow.now + FIRST_QUERY)
    uow.forget("disburse", loan.id)
    return LoanDisbursementRequested(
        transaction_id=_record(loan, reference, uow),
        reference=reference,
        attempt=attempt,
        asked_at=uow.now,
        integration=None if past else uow.holder(SERVES, network),
        reserved=reserved,
        earlier=past and find_float(uow, network) is not None,
    )


def _deliver(id: UUID, reference: str, telco_reference: str | None, uow: UnitOfWork) -> None:
    loan = uow.read(Loan, id)
    attempt = loan.attempt(reference)
    assert attempt, "what was delivered was asked for"
    if attempt.airtime is not Airtime.DISPUTED:
        _leave(loan, attempt, uow)
    due = due_date(uow.stamp.at, loan.repayment_period)
    rate: Decimal = setting(uow, "lending", "vatRate")
    transaction = attempt.transaction_id
    if uow.read(Transaction, transaction).status is not TransactionStatus.PENDING:
        transaction = _record(loan, reference, uow)  # after all: what failed or went back stays so
    uow.append(Transaction, transaction, [TransactionCompleted()])
    _ask_on(loan, attempt, uow)
    if not loan.historical:
        uow.remind("overdue", id, day_after(due))
    disbursed = LoanDisbursed(
        reference=reference,
        transaction_id=transaction,
        telco_reference=telco_reference,
        due_date=due,
        vat=vat_in(loan.agreed_fee, rate),
        vat_rate=rate or ZERO,
    )
    uow.append(Loan, id, [disbursed])
    incur(uow, uow.read(Loan, id), due)
    look_for_notices(uow, id)


def _leave(loan: Loan, attempt: Attempt, uow: UnitOfWork) -> None:
    """Take airtime that was delivered out of a tracked float, unless it was in transit."""
    if not attempt.reserved and not attempt.earlier:
        move(uow, loan.network, FloatMoved(amount=-loan.airtime, loan_id=loan.id))


def _record(loan: Loan, reference: str, uow: UnitOfWork) -> UUID:
    transaction = uow.new_id()
    upfront = loan.fee_mode is FeeMode.UPFRONT
    recorded = TransactionRecorded.of(
        loan,
        amount=loan.airtime,
        original_amount=loan.amount if upfront else None,
        fee=loan.upfront_fee if upfront else None,
        transaction_id=uow.number("TXN"),
        type=TransactionType.AIRTIME,
        reference=reference,
        loan_id=loan.id,
    )
    uow.open_stream(Transaction, transaction, [recorded])
    return transaction

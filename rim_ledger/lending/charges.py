"""Late fees and waivers: charges beyond the agreed fee of a loan."""

from collections.abc import Iterable
from datetime import timedelta
from decimal import ROUND_DOWN, Decimal
from typing import Final
from uuid import UUID

from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.refusals import require, require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork, decision
from rim_ledger.lending.debt import charge, waive
from rim_ledger.lending.lateness import PAYING
from rim_ledger.lending.loan import LEGAL, Loan
from rim_ledger.lending.loan_requests import require_not_written_off
from rim_ledger.lending.owed import FEE_FIRST, Charges
from rim_ledger.lending.restatement import LoanChargesWaived, LoanFeeCharged
from rim_ledger.lending.separation import BorrowerCommand
from rim_ledger.lending.user import User
from rim_ledger.system.config import setting
from rim_ledger.values import KOBO, ZERO, Money, Note

POLICY_VERSION: Final = "late-fee-v1"
LATER: Final = timedelta(days=1)
"""Time until a late fee that is due but cannot be charged is checked again: none is configured any
more, or the cap is reached."""


class ChargeFee(BorrowerCommand[Loan]):
    """Charge a fee to an open loan, for a reason. All fees of a loan together, including the
    automatic late fee, are at most `lending.lateFeeMaxPercent` of its amount."""

    amount: Money
    reason: Note

    def decide(self, aggregate: Loan, uow: UnitOfWork) -> Iterable[Event]:
        user = uow.read(User, aggregate.user_id)
        require_legal(aggregate.status, "charge-fee", LEGAL)
        require_not_written_off(aggregate)
        past = "The loan was brought in from the past; no fees are charged to it."
        require(not aggregate.historical, "historical-loan", past)
        room = _room(uow, aggregate)
        words = f"{self.amount} naira is more than the {room} naira that may still be charged."
        require(self.amount <= room, "fee-above-cap", words)
        reason = user.words(self.reason)
        event = LoanFeeCharged(amount=self.amount, policy=POLICY_VERSION, reason=reason)
        charge(uow, aggregate, event)
        return ()


class WaiveCharges(BorrowerCommand[Loan]):
    """Waive unpaid charges of a loan, for a reason: fees first, then interest, never principal; all
    of them if no amount is given. If nothing else is owed, the loan is completed."""

    amount: Money | None = None
    reason: Note

    def naira(self, aggregate: Loan, uow: UnitOfWork) -> Decimal:
        debt = uow.read(User, aggregate.user_id).debts.get(aggregate.id)
        unpaid = debt.fee + debt.interest if debt else ZERO
        return self.amount or unpaid

    def decide(self, aggregate: Loan, uow: UnitOfWork) -> Iterable[Event]:
        user = uow.read(User, aggregate.user_id)
        require_legal(aggregate.status, "waive-charges", LEGAL)
        require_not_written_off(aggregate)
        debt = user.debts[aggregate.id]
        unpaid = debt.fee + debt.interest
        require(unpaid > ZERO, "no-charges-left", "No charges of this loan are left to be waived.")
        amount = self.amount or unpaid
        words = f"{unpaid} naira of charges are not paid; {amount} naira is more than that."
        require(amount <= unpaid, "waiver-too-large", words)
        part = debt.part(aggregate.id).share(amount, FEE_FIRST)
        charges = Charges(fee=part.fee, interest=part.interest)
        waive(uow, aggregate, LoanChargesWaived(charges=charges, reason=user.words(self.reason)))
        return ()


@decision
def check_late_fee(uow: UnitOfWork, id: UUID) -> None:
    """Run the reminder for the late fee of an overdue loan."""
    uow.act_upon(id)
    loan = uow.read(Loan, id)
    uow.forget("late-fee", id)
    if loan.late_fee_at is None or loan.status not in PAYING or loan.left_alone:
        return
    amount = min(setting(uow, "lending", "lateFee"), _room(uow, loan))
    if uow.stamp.at < loan.late_fee_at:
        uow.remind("late-fee", id, loan.late_fee_at)
    elif amount > ZERO:
        event = LoanFeeCharged(amount=amount, policy=POLICY_VERSION, automatic=True)
        with uow.dated(id):
            charge(uow, loan, event)
    else:
        uow.remind("late-fee", id, uow.stamp.at + LATER)


def _room(uow: UnitOfWork, loan: Loan) -> Decimal:
    """Return the fees that a loan may still be charged, in naira."""
    percent: Decimal = setting(uow, "lending", "lateFeeMaxPercent")
    most = (loan.amount * percent / 100).quantize(KOBO, ROUND_DOWN)
    return max(ZERO, most - loan.fees_charged)

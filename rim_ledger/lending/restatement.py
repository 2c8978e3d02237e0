"""What restates a debt without money: fees, waivers, write-offs; on the loan and on its user."""

from decimal import Decimal
from uuid import UUID

from rim_ledger.engine.aggregate import Event, Personal
from rim_ledger.lending.owed import Charges, Completion
from rim_ledger.values import ZERO

# Of the loan.


class LoanFeeCharged(Event):
    """More is due: a late fee, once by the clock, or by hand with a reason."""

    amount: Decimal
    policy: str
    automatic: bool = False
    reason: Personal = None


class LoanChargesWaived(Event):
    """Less is due: charges that were not paid are not to be."""

    charges: Charges
    reason: Personal


class LoanWrittenOff(Event):
    """The lender takes what is outstanding, of which these are the parts, for lost; the borrower
    owes it as before. By the clock, or by hand with a reason."""

    principal: Decimal
    interest: Decimal
    fee: Decimal = ZERO
    reason: Personal = None


class LoanWriteOffUndone(Event):
    """What is outstanding, of which these are the parts, is not lost after all."""

    principal: Decimal
    interest: Decimal
    reason: Personal
    fee: Decimal = ZERO


# Of its user.


class DebtFeeCharged(Event):
    """A fee was charged: more is owed on the loan."""

    loan_id: UUID
    amount: Decimal


class DebtChargesWaived(Event):
    """Charges of a loan were waived: less is owed on it, or nothing any more."""

    loan_id: UUID
    charges: Charges
    completed: tuple[Completion, ...] = ()


class DebtWrittenOff(Event):
    """The lender takes the debt for lost. It is owed as before."""

    loan_id: UUID


class DebtWriteOffUndone(Event):
    loan_id: UUID

"""Events that restate a debt without money: fees, waivers, write-offs, later due days."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from rim_ledger.engine.aggregate import Event, Personal
from rim_ledger.lending.owed import Charges, Completion
from rim_ledger.values import ZERO

# Of the loan.


class LoanFeeCharged(Event):
    """More is due: a late fee, once and automatic, or a fee by hand with a reason."""

    amount: Decimal
    policy: str
    automatic: bool = False
    reason: Personal = None


class LoanChargesWaived(Event):
    """Less is due: unpaid charges were waived."""

    charges: Charges
    reason: Personal


class LoanWrittenOff(Event):
    """The outstanding amount, in these parts, is written off: automatically, or by hand with a
    reason. The borrower still owes it."""

    principal: Decimal
    interest: Decimal
    fee: Decimal = ZERO
    reason: Personal = None


class LoanWriteOffUndone(Event):
    """The outstanding amount, in these parts, is an asset again."""

    principal: Decimal
    interest: Decimal
    reason: Personal
    fee: Decimal = ZERO


class LoanRescheduled(Event):
    """The loan is due on a later day than before, and not overdue any more."""

    due_date: datetime
    former_due_date: datetime
    policy: str
    reason: Personal


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
    """The debt was written off; the borrower still owes it."""

    loan_id: UUID


class DebtWriteOffUndone(Event):
    loan_id: UUID


class DebtRescheduled(Event):
    """The debt is due later, and not overdue any more."""

    loan_id: UUID
    due_at: datetime

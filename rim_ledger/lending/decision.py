"""The rule for loan requests, as one pure function that the ledger and back-tests share."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from msgspec import Struct

from rim_ledger.engine.refusals import require
from rim_ledger.lending.user import User, UserStatus
from rim_ledger.values import is_past


class Terms(Struct, frozen=True, kw_only=True):
    """The settings by which a request is decided."""

    auto_approve: bool
    auto_approve_min_score: int
    auto_approve_max_amount: Decimal
    max_open_loans: int

    @classmethod
    def of(cls, setting: Callable[[str], Any]) -> Self:
        """Return the terms, from a function that returns a setting by its key."""
        return cls(
            auto_approve=setting("autoApprove"),
            auto_approve_min_score=setting("autoApproveMinScore"),
            auto_approve_max_amount=setting("autoApproveMaxAmount"),
            max_open_loans=setting("maxOpenLoans"),
        )


def decide_request(user: User, amount: Decimal, terms: Terms, now: datetime) -> tuple[str, ...]:
    """Return the reasons why staff must decide a request; without any, it is approved at once.

    Raises Refused if it cannot be approved (domain §2).
    """
    require_active(user)
    room = f"{amount} naira is more than the {user.available} naira that the limit leaves."
    require(amount <= user.available, "credit-limit-exceeded", room)
    require_no_late_debt(user, now)
    most = terms.max_open_loans
    full = f"The user has {user.unfinished} unfinished loans; {most} are allowed."
    require(user.unfinished < most, "too-many-open-loans", full)
    reasons = []
    if not terms.auto_approve:
        reasons.append("automatic approval is off")
    if user.credit_score < (least := terms.auto_approve_min_score):
        reasons.append(f"the score {user.credit_score} is below {least}")
    if amount > (largest := terms.auto_approve_max_amount):
        reasons.append(f"the amount {amount} is above {largest}")
    return tuple(reasons)


def require_active(user: User) -> None:
    """Refuse a user who is gone or not active."""
    user.require_present()
    status = f"The user is {user.status}; only an active user borrows."
    require(user.status is UserStatus.ACTIVE, "user-not-active", status)


def require_no_late_debt(user: User, now: datetime) -> None:
    """Refuse a user with a loan past due or defaulted by now, or with negative credit."""
    late = any(debt.defaulted or is_past(debt.due_at, now) for debt in user.debts.values())
    require(not late, "outstanding-debt", "The user has a loan that is past due or defaulted.")
    owed = f"The user's credit is {user.credit_balance} naira: that must be repaid first."
    require(not user.overdrawn, "outstanding-debt", owed)

"""Limits of a role, in naira."""

from decimal import Decimal

from msgspec import Struct

from rim_ledger.engine.refusals import Forbidden


class RoleLimits(Struct, frozen=True):
    """The largest loan that a role approves or disburses, and the largest credit limit that it
    grants, in naira. None is unlimited."""

    max_amount: Decimal | None = None
    max_limit: Decimal | None = None

    def require_amount(self, amount: Decimal) -> None:
        """Refuse a larger loan, in naira. Raises Forbidden (`above-role-limit`)."""
        _require_within(self.max_amount, amount, "approves and disburses loans of")

    def require_limit(self, limit: Decimal) -> None:
        """Refuse a larger credit limit, in naira. Raises Forbidden (`above-role-limit`)."""
        _require_within(self.max_limit, limit, "gives credit limits of")


def reaches(most: Decimal | None, other: Decimal | None) -> bool:
    """Return whether one limit, in naira, is at least another; None is unlimited."""
    return most is None or (other is not None and other <= most)


def _require_within(most: Decimal | None, naira: Decimal, does: str) -> None:
    if not reaches(most, naira):
        words = f"Your role {does} {most} naira at most, and this is {naira}."
        raise Forbidden("above-role-limit", words)

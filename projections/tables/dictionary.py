"""The data dictionary: meaning and unit of each column of tables, events and exports."""

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from projections.tables.meanings import MEANINGS

UNITS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "attachments": "files",
        "credit_score": "points",
        "days_past_due": "days",
        "interest_rate": "%",
        "last_value": "of the alert's type",
        "lockout_duration": "minutes",
        "max_login_attempts": "attempts",
        "months_registered": "months",
        "password_min_length": "characters",
        "repayment_period": "days",
        "retention_days": "days",
        "score": "points",
        "segments": "SMS",
        "session_timeout": "minutes",
        "size": "bytes",
        "BroadcastStarted.size": "borrowers",
        "broadcast_chunks.size": "borrowers",
        "step": "steps of 30 seconds",
        "threshold": "of the alert's type",
        "units": "characters",
        "AlertStateChanged.value": "of the alert's type",
        "AlertTriggered.value": "of the alert's type",
        "approval_rules.threshold": "naira",
        "ApprovalRuleCreated.threshold": "naira",
        "ApprovalRuleChanged.threshold": "naira",
    }
)
"""Units that do not follow from a column's type, by name, or by owner and name."""

ORDINALS: Final = frozenset(
    {
        "attempt",
        "audience_position",
        "line",
        "number",
        "position",
        "read_by_agents",
        "read_by_customer",
        "tier",
    }
)
"""Integers that are ordinals, not counts."""


def keys(owner: str, name: str) -> tuple[str, str]:
    """The keys of a column in the dictionary: its owner's own, then the common one."""
    return f"{owner}.{name}", name


def meaning(owner: str, name: str) -> str:
    """The meaning of a column of a table, event or struct. Raises LookupError if it is not
    documented."""
    for key in keys(owner, name):
        if key in MEANINGS:
            return MEANINGS[key]
    raise LookupError(f"projections/tables/meanings does not say what {owner}.{name} means")


def unit(owner: str, name: str, kind: Any) -> str:
    """The unit of a column, empty if it has none. `kind` is its type, in Python or SQL."""
    for key in keys(owner, name):
        if key in UNITS:
            return UNITS[key]
    if kind in (Decimal, "numeric(20, 2)"):
        return "naira"
    if kind in (int, "bigint") and name not in ORDINALS:
        return "count"
    return ""

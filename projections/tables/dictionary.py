"""The data dictionary: meaning and unit of each column of tables, events and exports."""

from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from projections.tables.meanings import MEANINGS

_NAMES: Final = {
    "files": "attachments",
    "points": "credit_score score",
    "days": "days_past_due repayment_period retention_days",
    "%": "interest_rate",
    "of the alert's type": "last_value threshold AlertStateChanged.value AlertTriggered.value",
    "minutes": "lockout_duration session_timeout",
    "attempts": "max_login_attempts",
    "months": "months_registered",
    "characters": "password_min_length units",
    "SMS": "segments",
    "bytes": "size",
    "borrowers": "BroadcastStarted.size broadcast_chunks.size",
    "steps of 30 seconds": "step",
    "naira": "approval_rules.threshold ApprovalRuleCreated.threshold ApprovalRuleChanged.threshold",
}
UNITS: Final = MappingProxyType(
    {name: unit for unit, names in _NAMES.items() for name in names.split()}
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

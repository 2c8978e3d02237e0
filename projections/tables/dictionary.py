"""The data dictionary: what each column of tables, events and exports means, and in which unit."""

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
    }
)
"""The units that the type of a column does not tell, by its name, or by owner and name."""

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
"""Whole numbers that count nothing, but say which."""


def keys(owner: str, name: str) -> tuple[str, str]:
    """Where a column is looked up: as the owner's own, then as one of any owner."""
    return f"{owner}.{name}", name


def meaning(owner: str, name: str) -> str:
    """What a column of a table, an event or a struct means. Raises LookupError where nobody has
    written that down."""
    for key in keys(owner, name):
        if key in MEANINGS:
            return MEANINGS[key]
    raise LookupError(f"projections/meanings does not say what {owner}.{name} means")


def unit(owner: str, name: str, kind: Any) -> str:
    """The unit of a column; empty where its values are none of a measure. `kind` is its type: in
    Python, or in SQL."""
    for key in keys(owner, name):
        if key in UNITS:
            return UNITS[key]
    if kind in (Decimal, "numeric(20, 2)"):
        return "naira"
    if kind in (int, "bigint") and name not in ORDINALS:
        return "count"
    return ""

"""Canonical bytes of an authenticated row that is no event."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

BESIDE: Final = frozenset({"number", "mac"})
"""Columns that are not part of the content."""


def entry(table: str, row: Mapping[str, Any]) -> bytes:
    """Return the canonical bytes of a row, by column: the table's name, a line feed, and the
    columns that are not null as JSON, sorted and without spaces. Times are in UTC, decimals without
    trailing zeros. A column that is added later does not change older rows."""
    said = {
        name: _plain(value)
        for name, value in row.items()
        if value is not None and name not in BESIDE
    }
    return table.encode() + b"\n" + msgspec.json.encode(said, order="sorted")


def _plain(value: Any) -> Any:
    match value:
        case datetime():
            return value.astimezone(UTC)
        case Decimal():
            return f"{value.normalize():f}"
        case _:
            return value

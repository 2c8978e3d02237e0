"""Canonical bytes of an authenticated row that is no event."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

BESIDE: Final = frozenset({"number", "mac"})
"""Columns that are not part of the content."""
_encoder: Final = msgspec.json.Encoder(order="sorted")


def entry(table: str, row: Mapping[str, Any]) -> bytes:
    """Return the canonical bytes of a row, by column: the table's name, a line feed, and the
    columns that are not null as JSON, sorted and without spaces. Times are in UTC, decimals without
    trailing zeros. A column that is added later does not change older rows."""
    said = {
        name: _plain(value) if isinstance(value, datetime | Decimal) else value
        for name, value in row.items()
        if value is not None and name not in BESIDE
    }
    return entry_of(table, said)


def entry_of(table: str, said: Any) -> bytes:
    """Return the canonical bytes of a content that is already plain: times in UTC, no nulls, no
    decimals."""
    return table.encode() + b"\n" + _encoder.encode(said)


def _plain(value: datetime | Decimal) -> datetime | str:
    return value.astimezone(UTC) if isinstance(value, datetime) else f"{value.normalize():f}"

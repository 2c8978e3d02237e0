"""The bytes that stand for a row that is sealed and authenticated, but is no event."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

import msgspec

BESIDE: Final = frozenset({"number", "mac"})
"""Columns that are no part of what a row says."""
_encoder: Final = msgspec.json.Encoder(order="sorted")


def entry(table: str, row: Mapping[str, Any]) -> bytes:
    """The bytes for a row of a table of the ledger, by column: the table's name, a line feed, and
    the columns that are not null as JSON, by name in order and without spaces. Times are in UTC,
    decimals without zeros at their end. A column that is added later changes no older row."""
    said = {
        name: _plain(value) if isinstance(value, datetime | Decimal) else value
        for name, value in row.items()
        if value is not None and name not in BESIDE
    }
    return entry_of(table, said)


def entry_of(table: str, said: Any) -> bytes:
    """The same of what a row says: times in UTC, nothing null, no decimals."""
    return table.encode() + b"\n" + _encoder.encode(said)


def _plain(value: datetime | Decimal) -> datetime | str:
    return value.astimezone(UTC) if isinstance(value, datetime) else f"{value.normalize():f}"

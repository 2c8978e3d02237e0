"""Tables as CSV (RFC 4180), which spreadsheets open without running anything in them."""

import csv
import io
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

CSV: Final = b"text/csv"
CSV_UTF8: Final = b"text/csv; charset=utf-8"
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a text begins with that a spreadsheet takes for a formula, or for space before one."""


def csv_text(rows: Iterable[Iterable[Any]]) -> bytes:
    """Rows as lines of CSV, times in RFC 3339. A text that a spreadsheet would take for a formula
    has an apostrophe before it; numbers are as they are."""
    target = io.StringIO()
    csv.writer(target, lineterminator="\r\n").writerows(map(_cell, row) for row in rows)
    return target.getvalue().encode()


def rfc3339(at: datetime) -> str:
    """A time in UTC with microseconds."""
    return at.isoformat(timespec="microseconds").replace("+00:00", "Z")


def attached(name: str) -> tuple[bytes, bytes]:
    """The header that has a browser save the answer under a name."""
    return b"content-disposition", f'attachment; filename="{name}.csv"'.encode()


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value

"""Tables as CSV (RFC 4180), safe from formula injection."""

import csv
import io
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from rim_ledger.values import rfc3339

CSV: Final = b"text/csv"
CSV_UTF8: Final = b"text/csv; charset=utf-8"
FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""First characters that make a spreadsheet take text for a formula, or skip to one."""


def csv_text(rows: Iterable[Iterable[Any]]) -> bytes:
    """Rows as CSV, times in RFC 3339. Text that a spreadsheet could take for a formula gets an
    apostrophe in front; numbers stay."""
    target = io.StringIO()
    csv.writer(target, lineterminator="\r\n").writerows(map(_cell, row) for row in rows)
    return target.getvalue().encode()


def attached(name: str) -> tuple[bytes, bytes]:
    """The Content-Disposition header for a download under a name."""
    return b"content-disposition", f'attachment; filename="{name}.csv"'.encode()


def _cell(value: Any) -> Any:
    if isinstance(value, datetime):
        return rfc3339(value)
    if isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return value

"""A provider's statement, and the outcome of each of its lines.

The narration of a line is personal and not needed: it is never stored.
"""

from collections import Counter
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self, assert_never
from uuid import UUID

from msgspec import Struct
from pydantic.alias_generators import to_camel

from rim_ledger.engine.aggregate import Aggregate, Event, FrozenMeta, Stamp


class LineOutcome(StrEnum):
    """The outcome of a line: each has one, and is counted under its name."""

    MATCHED = "matched"
    """The payment was found, and is reconciled now; a pending one was completed first."""
    MISMATCHED = "mismatched"
    """The payment has another amount. Nothing was changed."""
    UNKNOWN = "unknown"
    """No payment has this reference at this provider."""
    DUPLICATE = "duplicate"
    """An earlier line of the same file has the same provider and reference."""
    ALREADY_RECONCILED = "alreadyReconciled"
    OWN_RECORD = "own-record"
    """The payment is pending, and was recorded by the uploader: another person must complete it."""
    REFUSED = "refused"
    """A rule forbids it to the caller, such as for a payment of their own."""
    INVALID = "invalid"
    """The line is unreadable: a field is missing, or is no date or no amount."""

    @property
    def counted(self) -> str:
        """The field of the summary that counts it."""
        return to_camel(self.name.lower())


class Finding(Struct, metaclass=FrozenMeta, omit_defaults=True, rename="camel"):
    """A line of a statement, and its outcome. Lines count from 1, below the header."""

    line: int
    outcome: LineOutcome
    date: str | None = None
    reference: str | None = None
    amount: Decimal | None = None
    provider: str | None = None
    transaction_id: UUID | None = None
    expected: Decimal | None = None
    """The amount of the payment, if it differs."""
    reason: str | None = None


class StatementStarted(Event):
    sha256: str


class StatementLinesSettled(Event):
    """The next lines of the file; their payments are settled in the same commit."""

    findings: tuple[Finding, ...]


class StatementFinished(Event):
    """Every line of the file was settled."""


StatementEvent = StatementLinesSettled | StatementFinished


class Statement(Aggregate):
    """One file, identified by the hash of its bytes, and the progress of its lines."""

    sha256: str
    created_at: datetime
    created_by: UUID | None
    lines: int = 0
    matched: int = 0
    mismatched: int = 0
    unknown: int = 0
    duplicate: int = 0
    already_reconciled: int = 0
    own_record: int = 0
    refused: int = 0
    invalid: int = 0
    finished_at: datetime | None = None

    @property
    def claims(self) -> frozenset[tuple[str, str]]:
        return frozenset([("statement", self.sha256)])

    @property
    def summary(self) -> dict[str, Any]:
        """The counts per outcome, as clients see them."""
        counts = {each.counted: getattr(self, each.name.lower()) for each in LineOutcome}
        return {"id": self.id, "lines": self.lines, **counts}

    @classmethod
    def begin(cls, id: UUID, event: StatementStarted, stamp: Stamp) -> Self:
        return cls.made(id, event, created_at=stamp.at, created_by=stamp.admin)

    def evolve(self, event: StatementEvent, stamp: Stamp) -> Self:
        match event:
            case StatementLinesSettled():
                found = Counter(each.outcome.name.lower() for each in event.findings)
                counts = {name: getattr(self, name) + more for name, more in found.items()}
                return self.but(lines=event.findings[-1].line, **counts)
            case StatementFinished():
                return self.but(finished_at=stamp.at)
            case _:
                assert_never(event)

"""Outcomes of commands, stored under idempotency keys and replayed."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final, Self
from uuid import UUID

import msgspec
from msgspec import Struct

from rim_ledger.engine.aggregate import Aggregate
from rim_ledger.engine.codec import Recorded
from rim_ledger.engine.draft import Outcome
from rim_ledger.engine.refusals import (
    Forbidden,
    Invalid,
    NeedsApproval,
    NotFound,
    QuotaExceeded,
    Refused,
    Stale,
    Unauthenticated,
)

REFUSALS: Final = {
    kind.__name__: kind for kind in (Refused, NotFound, Invalid, Stale, NeedsApproval)
}

KEPT: Final = timedelta(days=30)
"""How long an answer is stored, at least."""

NOT_KEPT: Final = (Unauthenticated, Forbidden, QuotaExceeded)
"""Refusals that are not stored, because nothing was decided."""


class Receipt(Struct, frozen=True, omit_defaults=True):
    """What was acknowledged: the stream, its version and the last position, all durable."""

    id: UUID
    business_id: str | None
    version: int
    position: int
    replayed: bool = False
    proposed: bool = False
    """Whether it is of a proposal, which waits for approval, in place of what was asked for."""
    completed: bool = False
    """Whether the command completed the aggregate: see `Event.COMPLETES`."""

    @classmethod
    def of(
        cls,
        aggregate: Aggregate,
        version: int,
        position: int,
        events: Iterable[Recorded],
        *,
        proposed: bool = False,
    ) -> Self:
        """Return the receipt of a decision about an aggregate that appended these events."""
        name, own = aggregate.BUSINESS_ID, aggregate.id
        return cls(
            own,
            getattr(aggregate, name) if name else None,
            version,
            position,
            completed=any(e.event.COMPLETES for e in events if e.originator_id == own),
            proposed=proposed,
        )


class Idempotency(Struct, frozen=True):
    """The key of a request, and a hash of its meaning."""

    caller: str
    """The owner of the key: an id, or empty for the admitted caller."""
    key: str
    request_hash: str
    former_hash: Callable[[], str] = str
    """Returns the hash of its spelling, under which outcomes were stored before."""


class Expired(Struct, frozen=True):
    """A key whose command was carried out, at a time (UTC), and whose answer is stored no more."""

    recorded_at: datetime


class _Kept(Struct, omit_defaults=True):
    """An answer as it is stored under an idempotency key."""

    receipt: Receipt | None = None
    refused: dict[str, Any] | None = None
    value: Any = None


def kept(answer: Receipt | Exception | None, value: Any) -> str | None:
    """Return an answer as it is stored, with a receipt's value; None if nothing was decided, as for
    a caller who was not admitted."""
    if isinstance(answer, Receipt):
        return msgspec.json.encode(_Kept(receipt=answer, value=value)).decode()
    if not isinstance(answer, Refused) or isinstance(answer, NOT_KEPT):
        return None
    kind = type(answer).__name__
    refused = {"kind": kind, "code": answer.code, "detail": answer.detail, "more": answer.more}
    return msgspec.json.encode(_Kept(refused=refused)).decode()


def replayed(before: Outcome | Expired, key: Idempotency) -> tuple[Receipt | Refused, Any]:
    """Return the first answer, and the value stored with it or None; for another request under the
    same key, or a first answer that is stored no more, a refusal."""
    if isinstance(before, Expired):
        expired = (
            f"The key {key.key} was used on {before.recorded_at:%Y-%m-%d}, and its answer was kept "
            f"for {KEPT.days} days; look at what it did before you take a new key."
        )
        return Refused("idempotency-key-expired", expired), None
    stored = before.request_hash
    if stored != key.request_hash and stored != key.former_hash():
        reused = f"The key {key.key} was used for another request; take a new key."
        return Invalid("idempotency-key-reused", reused, "Idempotency-Key"), None
    first = msgspec.json.decode(before.outcome, type=_Kept)
    if first.receipt:
        return msgspec.structs.replace(first.receipt, replayed=True), first.value
    assert first.refused is not None
    again = Refused.__new__(REFUSALS[first.refused["kind"]])
    Refused.__init__(again, first.refused["code"], first.refused["detail"], **first.refused["more"])
    again.replayed = True
    return again, None

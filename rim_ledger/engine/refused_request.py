"""A refused loan request: no event, but stored as evidence of how requests are decided."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from rim_ledger.engine.aggregate import Stamp, shared
from rim_ledger.engine.refusals import Refused


class Asked(Struct, frozen=True, kw_only=True):
    """What was requested (naira, days, percent), the user's state, and why it was refused.

    `policy` is the version of the policy that refused it, None if another rule did. It holds no
    personal data.
    """

    user_id: UUID
    amount: Decimal
    network: str
    repayment_period: int | None
    interest_rate: Decimal | None
    credit_score: int
    credit_limit: Decimal
    available: Decimal
    code: str = ""
    reason: str = ""
    policy: str | None = None

    def refused(self, refusal: Refused, policy: str | None) -> "Asked":
        """Return a copy with the reason of the refusal."""
        return replace(self, code=refusal.code, reason=refusal.detail, policy=policy)


class RefusedRequest(Asked, frozen=True, kw_only=True):
    """The stored line: the position it was decided after, who requested it, and when."""

    id: UUID
    position: int
    actor_type: str
    actor_id: UUID | None
    actor_name: str
    api_key_id: UUID | None
    api_key_name: str | None
    request_id: str | None
    occurred_at: datetime
    timestamp: datetime
    mac: str = ""
    """The MAC of the line, in PostgreSQL's hex format."""


def refused_request(
    asked: Asked, stamp: Stamp, *, id: UUID, position: int, at: datetime
) -> RefusedRequest:
    """Return the line of a request under a stamp, decided after a position and recorded at a time
    (UTC)."""
    actor = stamp.actor
    return RefusedRequest(
        **shared(RefusedRequest, asked),
        id=id,
        position=position,
        actor_type=actor.type,
        actor_id=actor.id,
        actor_name=actor.name,
        api_key_id=actor.api_key,
        api_key_name=actor.api_key_name,
        request_id=stamp.request_id,
        occurred_at=stamp.at,
        timestamp=at,
    )

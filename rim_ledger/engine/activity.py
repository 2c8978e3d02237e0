"""Lines beside the log, on which no state depends: activities, and refused loan requests."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from rim_ledger.engine.aggregate import Stamp, shared
from rim_ledger.engine.refusals import Refused
from rim_ledger.values import BUSINESS_ID, UUID_TEXT

DONE: Final = "done"
PROPOSED: Final = "proposed"
FAILED: Final = "failed"
TRIED: Final = "tried"
"""The outcome of a dry run, unless it is refused."""


class Activity(Struct, frozen=True, kw_only=True):
    """What was requested. Names and ids only: no text that a person or client wrote."""

    action: str
    resource: str
    resource_id: str | None = None
    details: dict[str, Any] = {}
    persons: tuple[UUID, ...] = ()
    """The persons whose data was shown."""


def note_made(activities: list[Activity], id: UUID) -> None:
    """Set the id that the last of these activities created, if any: borrowers leave none."""
    activities[-1:] = [replace(each, resource_id=str(id)) for each in activities[-1:]]


def as_dry_run(activity: Activity) -> Activity:
    """Return the activity of a command that is only tried."""
    return replace(activity, details=activity.details | {"dryRun": True})


def as_tried(activity: Activity) -> Activity:
    """Return the activity of a dry run that is not refused."""
    return replace(activity, details=activity.details | {"outcome": TRIED})


def with_uuids(activity: Activity, holder: Callable[[str, str], UUID | None]) -> Activity:
    """Return the activity with each id as a UUID in lower case; `holder` returns the stream of a
    business id. An unknown business id stays."""

    def uuid(word: str) -> str:
        if UUID_TEXT.fullmatch(word):
            return word.lower()
        return str((BUSINESS_ID.fullmatch(word) and holder("business-id", word)) or word)

    if (said := activity.resource_id) is None:
        return activity
    named = "/".join(map(uuid, said.split("/")))
    return activity if named == said else replace(activity, resource_id=named)


class AdminActivityLog(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was requested, by whom (and by which API key), from where, and the outcome. Its JSON is
    that of `sealed_row.entry`: null is omitted, and the MAC is added later."""

    id: UUID
    admin_id: UUID | None = None
    admin_name: str
    action: str
    resource: str
    resource_id: str | None = None
    details: dict[str, Any]
    ip_address: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    timestamp: datetime
    api_key_id: UUID | None = None
    api_key_name: str | None = None
    persons: tuple[UUID, ...]
    mac: str = ""
    """The MAC of the line, in PostgreSQL's hex format."""


def logged(
    activity: Activity, stamp: Stamp, answer: object, *, id: UUID, at: datetime
) -> AdminActivityLog:
    """Return the line of an activity logged at a time (UTC): `details.outcome` is done, proposed
    where it waits for approval, or the code of the refusal."""
    done = PROPOSED if getattr(answer, "proposed", False) else DONE
    refused = answer.code if isinstance(answer, Refused) else FAILED
    outcome = refused if isinstance(answer, Exception) else done
    said = shared(AdminActivityLog, activity) | {"details": {"outcome": outcome} | activity.details}
    return AdminActivityLog(
        **said,
        **shared(AdminActivityLog, stamp),
        id=id,
        admin_id=stamp.admin,
        admin_name=stamp.actor.name if stamp.admin else "",
        ip_address=stamp.ip,
        timestamp=at,
        api_key_id=stamp.actor.api_key,
        api_key_name=stamp.actor.api_key_name,
    )


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

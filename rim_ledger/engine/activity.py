"""What admins did or tried. It is no event: nothing of the ledger's state follows from it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from rim_ledger.engine.aggregate import Stamp, shared
from rim_ledger.engine.refusals import Refused
from rim_ledger.values import BUSINESS_ID, UUID_TEXT

DONE: Final = "done"
FAILED: Final = "failed"


class Activity(Struct, frozen=True, kw_only=True):
    """What was asked for. Names and ids only: no word that a person or a client wrote."""

    action: str
    resource: str
    resource_id: str | None = None
    details: dict[str, Any] = {}
    persons: tuple[UUID, ...] = ()
    """Whose words were shown."""


def note_made(activities: list[Activity], id: UUID) -> None:
    """Say which id the last of these activities made, if there is one: borrowers leave none."""
    activities[-1:] = [replace(each, resource_id=str(id)) for each in activities[-1:]]


def with_uuids(activity: Activity, holder: Callable[[str, str], UUID | None]) -> Activity:
    """The activity with each id that it names as a UUID in lower case; `holder` finds the stream
    that holds a business id. One that no stream holds stays."""

    def uuid(word: str) -> str:
        if UUID_TEXT.fullmatch(word):
            return word.lower()
        return str((BUSINESS_ID.fullmatch(word) and holder("business-id", word)) or word)

    if (said := activity.resource_id) is None:
        return activity
    named = "/".join(map(uuid, said.split("/")))
    return activity if named == said else replace(activity, resource_id=named)


class AdminActivityLog(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was asked for, by whom (the API key as well, if a machine asked), from where, and how it
    ended. Its JSON is the one of `sealed_row.entry`: null is left out, and the code is to come."""

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
    """The code of the line, in the way of PostgreSQL."""


def logged(
    activity: Activity, stamp: Stamp, answer: object, *, id: UUID, at: datetime
) -> AdminActivityLog:
    """The line for an activity that was logged at a time (UTC): `details.outcome` is done, or the
    code of the refusal."""
    refused = answer.code if isinstance(answer, Refused) else FAILED
    outcome = refused if isinstance(answer, Exception) else DONE
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

"""The activity log of admins, as clients see it."""

from typing import Annotated
from uuid import UUID

from projections.tables.columns import Indexed, Key, Moment, Read, References, Sql
from projections.tables.embedded import ActivityDetails
from projections.tables.table import Row
from rim_ledger.engine.activity import AdminActivityLog
from rim_ledger.values import Word


class AdminActivityLogRow(
    Row,
    table="admin_activity_logs",
    of=AdminActivityLog,
    newest="timestamp",
    view="SELECT *, 1::bigint AS version FROM ledger.activity",
):
    """Something that an admin did or tried: a command, a log-in, a denial, a look at persons.

    `details.outcome` is done, proposed (it waits for approval), or the code of the refusal. adminId
    is null where somebody tried to log in under a name that nobody has. `persons` are those whose
    words were shown, by id; a list is found by each of them, `details.count` says how many rows it
    had, and `details.filters` which were asked for (of free text a keyed hash). It is null in lines
    from before that was kept. apiKeyId and apiKeyName say which API key asked; they are null where
    a person did.
    """

    id: Key
    admin_id: Annotated[UUID | None, Indexed, References("admin_users")]
    admin_name: str
    action: Annotated[str, Indexed, Read(Word)]
    resource: Annotated[str, Indexed, Read(Word)]
    resource_id: str | None
    details: Annotated[ActivityDetails, Sql("json")]
    ip_address: str | None
    user_agent: str | None
    request_id: str | None
    timestamp: Annotated[Moment, Indexed]
    api_key_id: Annotated[UUID | None, Indexed]
    api_key_name: str | None
    persons: Annotated[list[UUID] | None, Sql("uuid[]"), Indexed]

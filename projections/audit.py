"""The audit log: what each event changed, by whom, when and from where."""

from typing import Annotated
from uuid import UUID

from msgspec import Struct

from projections.event_names import EntityName, EventName
from projections.lending import LoanRow
from projections.payments import TransactionRow
from projections.support import TicketRow
from projections.tables.columns import (
    ForOwner,
    Indexed,
    Internal,
    Key,
    Lookup,
    Moment,
    Property,
    Read,
    References,
    Sealed,
    Sql,
    Unique,
)
from projections.tables.embedded import Change
from projections.tables.table import Row, row_of


class AuditLog(Struct, frozen=True, kw_only=True, gc=False):
    """One event, with the old and the new value of every field that it changed.

    apiKeyId and apiKeyName say which API key acted for the admin; they are null where a person did.
    approvedById and approvedByName say who approved what that admin proposed, where it took two.
    Personal values stay sealed in `changes`; whoever may read them opens them.
    """

    id: Key
    position: Annotated[int, Unique]
    action: Annotated[str, Lookup, Read(EventName)]
    entity: Annotated[str, Lookup, Read(EntityName)]
    entity_id: Annotated[UUID, Lookup]
    user_id: Annotated[UUID | None, Indexed, References("admin_users")]
    user_name: str
    user_role: str | None
    actor_type: str
    actor_id: UUID | None
    api_key_id: Annotated[UUID | None, Indexed]
    api_key_name: str | None
    approved_by_id: Annotated[UUID | None, Indexed]
    approved_by_name: str | None
    changes: Annotated[dict[str, Change], Sql("json"), Sealed]
    ip_address: str | None
    user_agent: str | None
    request_id: str | None
    timestamp: Annotated[Moment, Indexed]
    recorded_at: Moment
    version: int


AuditLogRow = row_of(AuditLog, table="audit_logs", newest="timestamp")


def _seen_by_owners(*rows: type[Row]) -> Property:
    """Only changes of columns that borrowers may see."""
    lists = ""
    for row in rows:
        names = ", ".join(f"'{each.wire}'" for each in row.TAKEN if not each.internal)
        lists += f" WHEN '{row.OF.__name__}' THEN ARRAY[{names}]"
    return ForOwner(
        "(SELECT coalesce(json_object_agg(m.key, m.value), '{{}}') FROM json_each({}) m"
        f" WHERE m.key = ANY (CASE t.entity{lists} END))"
    )


class TimelineRow(Row, table="audit_logs", of=AuditLog, newest="position"):
    """One event of what a user has: which, what it changed, who did it, and when."""

    id: Key
    position: Annotated[int, Unique]
    action: Annotated[str, Lookup, Read(EventName)]
    entity: Annotated[str, Lookup, Read(EntityName)]
    entity_id: Annotated[UUID, Lookup]
    changes: Annotated[
        dict[str, Change], Sql("json"), Sealed, _seen_by_owners(LoanRow, TransactionRow, TicketRow)
    ]
    user_name: Annotated[str, Internal]
    actor_type: str
    timestamp: Annotated[Moment, Indexed]

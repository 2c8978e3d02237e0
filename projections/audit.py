"""The audit log: who did what, when and from where, and what it changed."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from msgspec import Struct

from projections.columns import Indexed, Json, Key, Moment, References, Sealed, Unique
from projections.tables import Row


class AuditLog(Struct, frozen=True, kw_only=True, gc=False):
    """What one event did to one object, as it was known when it happened."""

    id: UUID
    position: int
    action: str
    entity: str
    entity_id: UUID
    user_id: UUID | None
    user_name: str
    user_role: str | None
    actor_type: Literal["admin", "user", "system", "integration"]
    actor_id: UUID | None
    changes: dict[str, Any]
    ip_address: str | None
    user_agent: str | None
    request_id: str | None
    timestamp: datetime
    recorded_at: datetime
    version: int


class AuditLogRow(Row, table="audit_logs", of=AuditLog, newest="timestamp"):
    """One event, with the old and the new value of every field that it changed.

    Personal values stay sealed in `changes`; whoever may read them opens them.
    """

    id: Key
    position: Annotated[int, Unique]
    action: Annotated[str, Indexed]
    entity: Annotated[str, Indexed]
    entity_id: Annotated[UUID, Indexed]
    user_id: Annotated[UUID | None, Indexed, References("admin_users")]
    user_name: str
    user_role: str | None
    actor_type: str
    actor_id: UUID | None
    changes: Annotated[Json, Sealed]
    ip_address: str | None
    user_agent: str | None
    request_id: str | None
    timestamp: Annotated[Moment, Indexed]
    recorded_at: Moment


class TimelineRow(Row, table="audit_logs", of=AuditLog, newest="position"):
    """One event of what a user has: which, what it changed, who did it, and when."""

    id: Key
    position: Annotated[int, Unique]
    action: Annotated[str, Indexed]
    entity: Annotated[str, Indexed]
    entity_id: Annotated[UUID, Indexed]
    changes: Annotated[Json, Sealed]
    user_name: str
    actor_type: str
    timestamp: Annotated[Moment, Indexed]

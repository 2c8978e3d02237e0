"""Alerts as clients see them."""

from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import WithJsonSchema

from projections.tables.columns import Indexed, Key, Moment, References, Shown, Sql, Tags
from projections.tables.table import Row
from rim_ledger.notifications.alert import AlertState, AlertType, SystemAlert
from rim_ledger.notifications.notification import NotificationChannel

Value = Annotated[
    Decimal,
    Sql("numeric(20, 2)"),
    Shown("trim_scale({})"),
    WithJsonSchema({"type": "number", "minimum": 0, "examples": [10]}),
]
Channels = Annotated[
    Tags,
    WithJsonSchema(
        {"type": "array", "items": {"type": "string", "enum": [*map(str, NotificationChannel)]}}
    ),
]


class SystemAlertRow(Row, table="system_alerts", of=SystemAlert):
    """What is watched, how it stands, and who is told when it fires."""

    id: Key
    name: str
    type: Annotated[AlertType, Indexed]
    enabled: Annotated[bool, Indexed]
    threshold: Value
    channel: Channels
    recipients: Tags
    state: Annotated[AlertState, Indexed]
    state_since: Moment
    last_value: Value | None
    last_triggered: Moment | None
    trigger_count: int
    acknowledged_at: Moment | None
    acknowledged_by: Annotated[UUID | None, References("admin_users")]
    archived: bool
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment

"""Templates, broadcasts and notifications as clients see them."""

from typing import Annotated
from uuid import UUID

from pydantic import WithJsonSchema

from projections.tables.columns import (
    FreeFields,
    FromAttribute,
    Generated,
    Indexed,
    Json,
    Key,
    Moment,
    References,
    Tags,
    UniqueName,
    UniqueWhile,
    Words,
)
from projections.tables.indexes import Index
from projections.tables.table import Row
from rim_ledger.notifications.broadcast import (
    BroadcastChunk,
    BroadcastMessage,
    BroadcastStatus,
    BroadcastType,
    Phase,
    TargetAudience,
)
from rim_ledger.notifications.contact import Purpose
from rim_ledger.notifications.notification import (
    HandOver,
    NotificationChannel,
    NotificationHistory,
    NotificationStatus,
    NotificationType,
    RecipientType,
)
from rim_ledger.notifications.sms_text import Encoding
from rim_ledger.notifications.template import EmailTemplate, SmsTemplate, TemplateType

_ids = {"type": "array", "items": {"type": "string", "format": "uuid"}}
_users = {"anyOf": [_ids, {"type": "null"}]}


class EmailTemplateRow(Row, table="email_templates", of=EmailTemplate):
    """A template of e-mails; its body is HTML or text."""

    id: Key
    name: Annotated[UniqueName, UniqueWhile("NOT archived")]
    subject: str
    body: str
    variables: Tags
    type: Annotated[TemplateType, Indexed]
    enabled: Annotated[bool, Indexed]
    archived: bool
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment


class SmsTemplateRow(Row, table="sms_templates", of=SmsTemplate):
    """A template of SMS, and what its message costs before values are filled in. `offending`
    are the characters that are not in GSM-7."""

    id: Key
    name: Annotated[UniqueName, UniqueWhile("NOT archived")]
    message: str
    variables: Tags
    encoding: Encoding
    units: int
    segments: int
    offending: Tags
    enabled: Annotated[bool, Indexed]
    archived: bool
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment


class BroadcastRow(Row, table="broadcasts", of=BroadcastMessage):
    """A message to many. `phase` is its status more finely; the counts are of its notifications,
    but for `excludedCount`, which are users who may not be written to any more."""

    id: Key
    title: str
    message: str
    type: BroadcastType
    target_audience: Annotated[TargetAudience, Indexed]
    custom_user_ids: Annotated[Json, WithJsonSchema(_users)]
    purpose: Purpose
    scheduled_for: Annotated[Moment | None, Indexed]
    status: Annotated[BroadcastStatus, Indexed]
    phase: Phase
    reason: str | None
    started_at: Moment | None
    audience_position: int | None
    audience_size: int | None
    sent_at: Moment | None
    sent_count: int
    failed_count: int
    unknown_count: int
    excluded_count: int
    created_at: Annotated[Moment, Indexed]
    created_by: Annotated[UUID | None, Indexed, References("admin_users")]
    updated_at: Moment


class BroadcastChunkRow(Row, table="broadcast_chunks", of=BroadcastChunk, newest="number"):
    """A part of the audience of a broadcast: how many of its users were written to, and how many
    are being written to besides."""

    id: Key
    broadcast_id: Annotated[UUID, Indexed, References("broadcasts")]
    number: Annotated[int, Indexed]
    size: int
    settled: int
    taken: int


class NotificationRow(
    Row,
    table="notification_history",
    of=NotificationHistory,
    person="recipient",
    newest="sent_at",
    indexes=(Index(("broadcast_id", "status"), "sent_at", "broadcast_id IS NOT NULL"),),
):
    """A message to one person on one channel. While `handOver` is unknown it may have gone, and is
    not sent again. `providerClaim` is what its provider said against its status afterwards."""

    id: Key
    type: Annotated[NotificationType, FromAttribute("notice.type")]
    title: Words | None
    message: Words | None
    channel: Annotated[NotificationChannel, Indexed, FromAttribute("notice.channel")]
    recipient: Annotated[UUID, Indexed, FromAttribute("notice.recipient")]
    recipient_type: Annotated[RecipientType, Indexed, FromAttribute("notice.recipient_type")]
    user_id: Annotated[
        UUID | None,
        Generated("CASE recipient_type WHEN 'user' THEN recipient END"),
        References("users"),
    ]
    admin_id: Annotated[
        UUID | None,
        Generated("CASE recipient_type WHEN 'admin' THEN recipient END"),
        References("admin_users"),
    ]
    status: Annotated[NotificationStatus, Indexed]
    hand_over: HandOver
    sent_at: Annotated[Moment | None, Indexed]
    delivered_at: Moment | None
    error_message: str | None
    provider_claim: Annotated[NotificationStatus | None, Indexed]
    broadcast_id: Annotated[
        UUID | None, Indexed, References("broadcasts"), FromAttribute("notice.broadcast_id")
    ]
    alert_id: Annotated[
        UUID | None, Indexed, References("system_alerts"), FromAttribute("notice.alert_id")
    ]
    parent_id: Annotated[UUID | None, FromAttribute("notice.parent_id")]
    retried_as: UUID | None
    metadata: Annotated[FreeFields, FromAttribute("notice.metadata")]
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment

"""Settings and integrations as clients see them."""

from typing import Annotated
from uuid import UUID

from pydantic import WithJsonSchema

from projections.tables.columns import (
    FromAttribute,
    Indexed,
    Json,
    Key,
    Lookup,
    Moment,
    Read,
    References,
)
from projections.tables.table import Row
from rim_ledger.system.config import DataType, SystemConfig
from rim_ledger.system.integration import (
    ApiIntegration,
    IntegrationStatus,
    IntegrationType,
    TestResult,
)
from rim_ledger.values import Name, Word

_or_null = {"anyOf": [{"type": "string"}, {"type": "null"}]}
_time_or_null = {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]}
_secret = {
    "set": {"type": "boolean"},
    "last4": _or_null,
    "fingerprint": _or_null,
    "setAt": _time_or_null,
}
_rotated = _secret | {"formerValidUntil": _time_or_null}
Secret = Annotated[
    Json, WithJsonSchema({"type": "object", "properties": _secret, "required": [*_secret]})
]
"""What is shown of a secret."""
CallbackSecret = Annotated[
    Json, WithJsonSchema({"type": "object", "properties": _rotated, "required": [*_rotated]})
]
"""The same for a secret that signs callbacks, and until when the previous one is accepted too."""


class SystemConfigRow(
    Row, table="system_config", of=SystemConfig, newest="updated_at", together=("category", "key")
):
    """A setting by its category and key; its value is null when it was reset to nothing."""

    id: Key
    category: Annotated[str, Lookup, Read(Word)]
    key: Annotated[str, Lookup, Read(Word)]
    value: Annotated[Json, FromAttribute("shown")]
    description: str
    data_type: DataType
    updated_at: Moment
    updated_by: Annotated[UUID | None, References("admin_users")]


class ApiIntegrationRow(Row, table="api_integrations", of=ApiIntegration):
    """A provider outside. Of its secrets one learns whether they are set, and which they are."""

    id: Key
    name: str
    type: Annotated[IntegrationType, Indexed]
    provider: Annotated[str, Indexed, Read(Name)]
    status: Annotated[IntegrationStatus, Indexed]
    api_key: Secret
    api_secret: CallbackSecret
    base_url: str
    last_tested: Moment | None
    last_test_result: TestResult | None
    last_test_reason: str | None
    config: Annotated[Json, WithJsonSchema({"type": "object"})]
    archived: bool
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment

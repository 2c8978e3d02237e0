"""Settings as clients see them."""

from typing import Annotated
from uuid import UUID

from projections.columns import Indexed, Json, Key, Moment, References, Taken
from projections.tables import Row
from rim_ledger.system.config import DataType, SystemConfig


class SystemConfigRow(
    Row, table="system_config", of=SystemConfig, newest="updated_at", together=("category", "key")
):
    """A setting by its category and key; its value is null when it was reset to nothing."""

    id: Key
    category: Annotated[str, Indexed]
    key: Annotated[str, Indexed]
    value: Annotated[Json, Taken("shown")]
    description: str
    data_type: DataType
    updated_at: Moment
    updated_by: Annotated[UUID | None, References("admin_users")]

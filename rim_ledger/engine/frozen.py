"""The metaclass of immutable structs: stamps, events and aggregates."""

from __future__ import annotations

from typing import Any, dataclass_transform

import msgspec
from msgspec import StructMeta


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class FrozenMeta(StructMeta):
    """Makes every class of a family frozen, keyword-only, and cheap to cache."""

    def __new__(
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any
    ) -> FrozenMeta:
        defaults = {"frozen": True, "kw_only": True, "gc": False}
        return super().__new__(mcls, name, bases, namespace, **(defaults | options))

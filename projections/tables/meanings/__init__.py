"""Meanings of columns by name, or as `Owner.name` where an owner's differs."""

from types import MappingProxyType
from typing import Final

from projections.tables.meanings import approvals, books, common, lending, operations, support

_PARTS: Final = (
    books.MEANINGS,
    common.MEANINGS,
    lending.MEANINGS,
    support.MEANINGS,
    operations.MEANINGS,
    approvals.MEANINGS,
)
_NAMED: Final = [(name, part[key]) for part in _PARTS for key in part for name in key.split()]
MEANINGS: Final = MappingProxyType(dict(_NAMED))
"""An owner is a table, an event, or a struct inside of one. Names of one meaning stand together."""
assert len(MEANINGS) == len(_NAMED), "a meaning stands in one place"

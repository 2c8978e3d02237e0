"""Meanings of columns by name, or as `Owner.name` where an owner's differs."""

from types import MappingProxyType
from typing import Final

from projections.tables.meanings import common, lending, operations, support

_PARTS: Final = (common.MEANINGS, lending.MEANINGS, support.MEANINGS, operations.MEANINGS)
MEANINGS: Final = MappingProxyType({name: part[name] for part in _PARTS for name in part})
"""An owner is a table, an event, or a struct inside of one."""
assert len(MEANINGS) == sum(map(len, _PARTS)), "a meaning stands in one place"

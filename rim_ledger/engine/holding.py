"""Rows beside the log that follow from an aggregate's state: names, lists, a personal key."""

from typing import ClassVar, Final

from msgspec import Struct

from rim_ledger.engine.frozen import FrozenMeta

NOWHERE: Final[frozenset[tuple[str, str]]] = frozenset()


class Holding(Struct, metaclass=FrozenMeta):
    """The rows that follow from a state, stored in the same commit as its events; a row that
    contradicts the state is rejected."""

    BUSINESS_ID: ClassVar[str | None] = None

    @property
    def lists(self) -> frozenset[tuple[str, str]]:
        """The lists that it is on, and its entry on each, for `UnitOfWork.listed`."""
        return NOWHERE

    @property
    def claims(self) -> frozenset[tuple[str, str]]:
        """The unique names that it holds: kind and name of each."""
        return NOWHERE

    @property
    def business_id(self) -> str | None:
        """Its business id, if its kind has one."""
        return getattr(self, self.BUSINESS_ID) if self.BUSINESS_ID else None

    def holds(self, kind: str, name: str) -> bool:
        """Return whether it holds a name, or has it as an entry on a list."""
        if kind == "business-id":
            return self.business_id == name
        return (kind, name) in self.claims or (kind, name) in self.lists

    @property
    def key_destroyed(self) -> bool:
        """Whether the key of its personal data was destroyed."""
        return False

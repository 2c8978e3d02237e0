"""What an aggregate has beside its events, as its state tells: names, lists, and a personal key."""

from typing import ClassVar, Final

from msgspec import Struct

from rim_ledger.engine.frozen import FrozenMeta

NOWHERE: Final[frozenset[tuple[str, str]]] = frozenset()


class Holding(Struct, metaclass=FrozenMeta):
    """The rows beside the log that follow from a state, and are kept together with the events; a
    row that says otherwise is not believed."""

    BUSINESS_ID: ClassVar[str | None] = None

    @property
    def lists(self) -> frozenset[tuple[str, str]]:
        """The lists it stands on, and under which name: `Book.listed` finds it there."""
        return NOWHERE

    @property
    def claims(self) -> frozenset[tuple[str, str]]:
        """The names that only it may have, and has: a kind and a name of each."""
        return NOWHERE

    @property
    def business_id(self) -> str | None:
        """Its business id, if it is of a kind that has one."""
        return getattr(self, self.BUSINESS_ID) if self.BUSINESS_ID else None

    def holds(self, kind: str, name: str) -> bool:
        """Whether it has a name, or stands under it on a list."""
        if kind == "business-id":
            return self.business_id == name
        return (kind, name) in self.claims or (kind, name) in self.lists

    @property
    def key_destroyed(self) -> bool:
        """Whether the key of its personal words was destroyed."""
        return False

"""What a caller may do, as it was looked up for one answer."""

from collections.abc import Container, Mapping
from typing import Final
from uuid import UUID

from msgspec import Struct

from rim_ledger.engine.aggregate import SYSTEM, Actor
from rim_ledger.engine.unit_of_work import Right

SEES_PERSONS: Final[Right] = ("users.pii", "read")


class Rights(Struct, frozen=True):
    """An admitted caller and their rights."""

    actor: Actor
    given: Container[Right]
    entities: Mapping[str, Right]
    """The right that each entity is read by, by its name."""
    unlogged: Exception | None = None
    """Why nothing can be logged; meanwhile nobody sees personal data but their own."""

    @property
    def id(self) -> UUID:
        """The id of a caller who was admitted."""
        assert self.actor.id is not None, "whoever is admitted is somebody"
        return self.actor.id

    def may(self, resource: str, action: str) -> bool:
        if self.unlogged and (resource, action) == SEES_PERSONS:
            return False
        return (resource, action) in self.given

    @property
    def own(self) -> bool:
        """Whether it is a borrower, who sees what is their own, and nothing else."""
        return self.actor.type == "user"

    @property
    def sees_persons(self) -> bool:
        """Whether they may see who a person is."""
        return self.own or self.may(*SEES_PERSONS)

    @property
    def reads(self) -> frozenset[str]:
        """The entities that they may read, and so the events and audit rows about them."""
        return frozenset(name for name, right in self.entities.items() if right in self.given)


NOBODY: Final = Rights(SYSTEM, (), {})
"""Those of a caller who was not admitted, as a route is public."""

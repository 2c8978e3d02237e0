"""Names that are unique within a kind: claimed, changed and released."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

from msgspec import Struct

from rim_ledger.engine.aggregate import NOWHERE, Aggregate
from rim_ledger.engine.refusals import Refused, require
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.text import folded


class UniqueNames(Struct, frozen=True):
    """The names of one kind, such as departments. Two spellings of one name are equal.

    They are claims in the unit of work. A name from an earlier release may be held in its spelling
    of that time.
    """

    claim: str
    """The kind of claim."""
    code: str
    """The code of the refusal for a taken name."""
    thing: str

    def holder(self, uow: UnitOfWork, name: str) -> UUID | None:
        """Return the stream that holds a name, in any spelling."""
        return uow.holder(self.claim, name.casefold()) or uow.holder(self.claim, folded(name))

    def take(self, uow: UnitOfWork, name: str, stream: UUID) -> None:
        """Claim a name for a stream. Raises Refused if another stream holds it."""
        taken = Refused(self.code, f"Another {self.thing} is named {name}.")
        if self.holder(uow, name) not in (None, stream):
            raise taken
        uow.claim(self.claim, folded(name), stream, taken)

    def change(self, uow: UnitOfWork, before: str, name: str, stream: UUID) -> None:
        """Claim a name in place of another, unless both are spellings of one."""
        if folded(before) != folded(name):
            self.take(uow, name, stream)
            self.release(uow, before, stream)

    def release(self, uow: UnitOfWork, name: str, stream: UUID) -> None:
        """Release a name that a stream holds."""
        for spelling in (name.casefold(), folded(name)):
            if uow.holder(self.claim, spelling) == stream:
                uow.release(self.claim, spelling)


class Named(Aggregate, kw_only=True):
    """An aggregate with a unique name until it is archived."""

    UNIQUE: ClassVar[UniqueNames]
    """The set in which its name is unique."""

    name: str
    created_at: datetime
    archived: bool = False

    def require_present(self) -> None:
        require(not self.archived, "already-done", f"The {self.UNIQUE.thing} is archived.")

    @property
    def claims(self) -> frozenset[tuple[str, str]]:
        if self.archived:
            return NOWHERE
        return frozenset([(self.UNIQUE.claim, folded(self.name))])

    def holds(self, kind: str, name: str) -> bool:
        # A name may still be held as an earlier release spelled it.
        return (kind, folded(name)) in self.claims or super().holds(kind, name)

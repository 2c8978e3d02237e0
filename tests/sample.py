"""A small entity to try the store with: a jar that holds coins, and belongs to a person."""

from datetime import UTC, datetime
from typing import Any, ClassVar, Self, assert_never
from uuid import UUID

from rim_ledger.engine.aggregate import NOWHERE, SYSTEM, Aggregate, Event, Personal, Stamp
from rim_ledger.engine.ledger import Work
from rim_ledger.engine.refusals import Refused, require
from rim_ledger.engine.unit_of_work import UnitOfWork

EMPTY = "empty-jar"
"""The list of the jars without coins, by number."""
STAMP = Stamp(at=datetime(2026, 1, 1, tzinfo=UTC), actor=SYSTEM)


class JarOpened(Event):
    number: str
    owner: Personal = None


class CoinAdded(Event):
    coins: int = 1


class OwnerErased(Event):
    pass


JarEvent = CoinAdded | OwnerErased


class Jar(Aggregate):
    BUSINESS_ID: ClassVar[str | None] = "number"
    ROOM: ClassVar[int] = 10

    number: str
    owner: str | None = None
    coins: int = 0
    erased: bool = False

    @property
    def key_destroyed(self) -> bool:
        return self.erased

    @property
    def lists(self) -> frozenset[tuple[str, str]]:
        return frozenset([(EMPTY, self.number)]) if self.coins == 0 else NOWHERE

    @classmethod
    def begin(cls, id: UUID, event: Any, stamp: Stamp) -> Self:
        return cls(id=id, number=event.number, owner=event.owner)

    def evolve(self, event: JarEvent, stamp: Stamp) -> Self:
        match event:
            case CoinAdded():
                return self.but(coins=self.coins + event.coins)
            case OwnerErased():
                return self.but(owner=None, erased=True)
            case _:
                assert_never(event)


JARS: dict[type[Event], type[Aggregate]] = {JarOpened: Jar, CoinAdded: Jar, OwnerErased: Jar}


def open_jar(id: UUID, owner: str | None = None, label: str | None = None) -> Work:
    def work(uow: UnitOfWork) -> UUID:
        if label:
            uow.claim("label", label, id, Refused("label-taken", f"{label} is taken"))
        uow.open_stream(Jar, id, [JarOpened(number=uow.number("JAR"), owner=owner)])
        return id

    return work


def add_coin(id: UUID, coins: int = 1) -> Work:
    def work(uow: UnitOfWork) -> UUID:
        jar = uow.read(Jar, id)
        require(jar.coins + coins <= Jar.ROOM, "jar-full", f"{jar.number} is full")
        uow.append(Jar, id, [CoinAdded(coins=coins)])
        return id

    return work


def erase_owner(id: UUID) -> Work:
    def work(uow: UnitOfWork) -> UUID:
        uow.append(Jar, id, [OwnerErased()])
        uow.erase(id)
        return id

    return work

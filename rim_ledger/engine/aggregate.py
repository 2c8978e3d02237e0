"""Events with their stamps, and the aggregates that are folded from them."""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from functools import cache
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    Literal,
    Protocol,
    Self,
    TypeVar,
    dataclass_transform,
)
from uuid import UUID

import msgspec
from msgspec import Struct, StructMeta
from msgspec.structs import replace
from pydantic import BaseModel


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(msgspec.field,))
class FrozenMeta(StructMeta):
    """Makes every class of a family frozen, keyword-only, and cheap to cache."""

    def __new__(
        mcls, name: str, bases: tuple[type, ...], namespace: dict[str, Any], **options: Any
    ) -> FrozenMeta:
        defaults = {"frozen": True, "kw_only": True, "gc": False}
        return super().__new__(mcls, name, bases, namespace, **(defaults | options))


NOWHERE: Final[frozenset[tuple[str, str]]] = frozenset()


Personal = Annotated[str | None, msgspec.Meta(extra={"personal": True})]
"""Personal data. Sealed under the person's key before it is stored, null once erased."""

PersonalMap = Annotated[dict[str, Any], msgspec.Meta(extra={"personal": True})]
"""Free fields about a person: the names stay readable, each value is sealed."""


class Actor(Struct, metaclass=FrozenMeta, omit_defaults=True, rename="camel"):
    """Who acted, with name and role at that time. A machine acts as the owner of its API key, and
    the key is recorded by id and name."""

    type: Literal["admin", "user", "system", "integration"]
    id: UUID | None = None
    name: str = ""
    role: str | None = None
    api_key: UUID | None = None
    api_key_name: str | None = None


SYSTEM = Actor(type="system", name="system")


class Stamp(Struct, metaclass=FrozenMeta, omit_defaults=True, rename="camel"):
    """Who did it, when and from where. Stored with every event, so that payloads stay small.

    `at` is the business time (UTC); the time of recording belongs to the log. `said_at` is the
    provider's own time: stored, and not used by any decision.
    """

    at: datetime
    actor: Actor
    ip: str | None = None
    user_agent: str | None = None
    request_id: str | None = None
    key: str | None = None
    causation: UUID | None = None
    said_at: datetime | None = None
    approved_by: Actor | None = None
    """The admin who approved it, where it took two: `actor` proposed it."""
    recorded_at: datetime | None = None
    """When the log recorded it (UTC); stored beside the event, not in its body."""

    def taken_in(self, at: datetime) -> Self:
        """Return the stamp of an event that is recorded at a time."""
        return replace(self, recorded_at=at)

    @property
    def noted_at(self) -> datetime:
        """When it was recorded, which no command can choose; the business time if unknown."""
        return self.recorded_at or self.at

    @property
    def admin(self) -> UUID | None:
        """The admin who acted, if it was one."""
        return self.actor.id if self.actor.type == "admin" else None

    @property
    def customer(self) -> UUID | None:
        """The borrower who acted, if it was one."""
        return self.actor.id if self.actor.type == "user" else None


class Event(Struct, metaclass=FrozenMeta, omit_defaults=True, rename="camel"):
    """A fact, in the past tense. The class name is the stored name, forever."""

    SCHEMA: ClassVar[int] = 1
    COMPLETES: ClassVar[bool] = False
    """Whether the receipt says that the command completed its aggregate."""

    @classmethod
    def upcast(cls, schema: int, data: dict[str, Any]) -> dict[str, Any]:
        """Return the payload of an older schema in today's shape. A class that changes overrides
        this."""
        raise LookupError(f"{cls.__name__} was never written with schema {schema}: {sorted(data)}")

    @classmethod
    def of(cls, source: Struct | BaseModel, **more: Any) -> Self:
        """Return the event with the fields that a source has under the same names, and more."""
        return cls(**shared(cls, source) | more)

    @property
    def changes(self) -> dict[str, Any]:
        """The fields that are set, of an event that sets only what it changes."""
        fields = zip(self.__struct_fields__, self.__struct_defaults__, strict=True)
        values = ((name, getattr(self, name), default) for name, default in fields)
        return {name: value for name, value, default in values if value is not default}


def shared(kind: type[Struct], source: Struct | BaseModel) -> dict[str, Any]:
    """Return the fields of a kind that a source has under the same names."""
    return {name: getattr(source, name) for name in _shared_names(kind, type(source))}


@cache
def _shared_names(kind: type[Struct], source: type[Struct | BaseModel]) -> tuple[str, ...]:
    of_source = source.__struct_fields__ if issubclass(source, Struct) else source.model_fields
    return tuple(name for name in kind.__struct_fields__ if name in of_source)


A = TypeVar("A", bound="Aggregate")


class Reader(Protocol):
    """The part of a unit of work that visibility depends on: who reads, with which rights."""

    stamp: Stamp

    def may(self, resource: str, action: str) -> bool: ...
    def find(self, kind: type[A], id: UUID | str) -> A | None: ...


class Aggregate(Struct, metaclass=FrozenMeta):
    """The state folded from one stream's events. The events are authoritative; the state of a long
    stream is also stored as a snapshot, to save work.

    Its `id` is that of its stream, unless it is a profile of another aggregate and shares its id.
    """

    BUSINESS_ID: ClassVar[str | None] = None
    RELEASES: ClassVar[bool] = True
    """Whether a name is released once the state holds it no longer."""

    id: UUID

    @classmethod
    def begin(cls, id: UUID, event: Any, stamp: Stamp) -> Self:
        """Return the aggregate after its first event."""
        return cls.made(id, event, created_at=stamp.at)

    @classmethod
    def made(cls, id: UUID, event: Event, **more: Any) -> Self:
        """Return an aggregate with the fields that an event has under the same names, and with
        more."""
        return cls(**shared(cls, event) | {"id": id} | more)

    @abstractmethod
    def evolve(self, event: Any, stamp: Stamp) -> Self:
        """Return the aggregate after one more event. Total: no rule is checked here."""

    @classmethod
    def stream_of(cls, id: UUID) -> UUID:
        """Return the stream of an id: the id itself, unless another kind shares it."""
        return id

    @property
    def person(self) -> UUID:
        """The person whose data this stream's events hold, sealed under that person's key."""
        return self.id

    @property
    def ended(self) -> bool:
        """Whether it hardly changes any more: it is not cached then."""
        return False

    @property
    def lists(self) -> frozenset[tuple[str, str]]:
        """The lists that it is on, and its entry on each, for `UnitOfWork.listed`."""
        return NOWHERE

    @property
    def claims(self) -> frozenset[tuple[str, str]]:
        """The unique names that it holds: kind and name of each. A decision claims them; once the
        state holds one no longer, it is released."""
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

    def known_to(self, reader: Reader) -> bool:
        """Return whether the caller may see it; for others it does not exist. Borrowers see what is
        about themselves."""
        return reader.stamp.customer in (None, self.person)

    def require_present(self) -> None:
        """Raise Refused if it was deleted, archived or revoked, and is kept for the record only."""

    def but(self, **changes: Any) -> Self:
        return replace(self, **changes)

    def taking(self, event: Event, **more: Any) -> Self:
        """Return it with the fields that an event has under the same names, and with more."""
        return replace(self, **shared(type(self), event), **more)

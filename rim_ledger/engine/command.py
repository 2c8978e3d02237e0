"""Commands: requests of clients, in the imperative, each with its rule."""

from abc import abstractmethod
from collections.abc import Iterable
from decimal import Decimal
from typing import Annotated, Any, ClassVar, Generic, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from rim_ledger.engine.aggregate import A, Aggregate, Event
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.engine.view import Claim
from rim_ledger.values import NewId, Time
from rim_ledger.vault.personal_keys import Vault


class Form(BaseModel):
    """A request body: camelCase outside, snake_case inside, unknown fields forbidden."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="forbid",
        frozen=True,
        strict=True,
    )

    LATER: ClassVar[frozenset[str]] = frozenset()
    """The fields that a later release added. At their defaults the request means what it meant
    without them, so that its idempotency key is known after an update."""

    @classmethod
    def filled_in(cls, said: Any) -> Self:
        """Return the form of a client's body, by external names only. Raises ValidationError."""
        return cls.model_validate(said, by_name=False)

    def looks_up(self, vault: Vault) -> Iterable[Claim]:
        """Return unique names that deciding on it surely looks up, so that they are loaded
        before."""
        return ()

    def prepared(self, **values: Any) -> Self:
        """Return a copy with private values that were prepared before the decision."""
        ready = self.model_copy()
        for name, value in values.items():
            setattr(ready, name, value)
        return ready


class Ruled(Form):
    """A form that approval rules may bind."""

    @property
    def ruled_as(self) -> tuple[str, ...]:
        """The commands whose rules bind it: itself, and others whose effect it has as well."""
        return (type(self).__name__,)

    def naira(self, aggregate: Any, uow: UnitOfWork) -> Decimal | None:
        """Return the amount that the threshold of a rule is compared with, in naira: the command's,
        or that of what it is about (None for a creation). None if there is none."""
        own: Decimal | None = getattr(self, "amount", None)
        return getattr(aggregate, "amount", None) if own is None else own


class Timed(Ruled):
    """A form with an optional business time."""

    occurred_at: Annotated[
        Time | None,
        Field(
            description="When it happened: at most 5 minutes ahead, and not before what this "
            "entity has already; more than 7 days back needs the permission history.import. "
            "Now, when left out."
        ),
    ] = None


class Command(Timed, Generic[A]):
    """A request to change an aggregate, with the rule that decides on it."""

    WHEN_GONE: ClassVar[bool] = False
    """Whether it may target a deleted, archived or revoked aggregate as well."""

    def reaches(self, aggregate: A, uow: UnitOfWork) -> bool:
        """Return whether the caller may target this aggregate; for others it does not exist."""
        return aggregate.known_to(uow)

    def decided(self, aggregate: A, uow: UnitOfWork) -> Iterable[Event]:
        """Decide, after checking that the aggregate is present."""
        if not self.WHEN_GONE:
            aggregate.require_present()
        return self.decide(aggregate, uow)

    @abstractmethod
    def decide(self, aggregate: A, uow: UnitOfWork) -> Iterable[Event]:
        """Return the events to append, or raise Refused. Reads the unit of work before the first
        event, as events are appended only after the last is decided."""

    def follow(self, before: A, uow: UnitOfWork) -> None:
        """Write to other streams and reminders, once the events are in the unit of work; `before`
        is the aggregate before them."""


class Creation(Timed, Generic[A]):
    """A request to create an aggregate. The client may choose the id."""

    id: NewId | None = None

    @property
    def stream(self) -> UUID | None:
        """The stream to create, if the command determines it."""
        return self.id

    @abstractmethod
    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        """Return the first events of stream `id`, or raise Refused; see `Command.decide`."""

    def follow(self, id: UUID, uow: UnitOfWork) -> None:
        """Write what follows, once these events are in the unit of work."""


def perform(
    uow: UnitOfWork, kind: type[Aggregate], id: UUID | None, command: Command[Any] | Creation[Any]
) -> UUID:
    """Apply a command to the unit of work; return the id of its stream. Raises NeedsApproval for
    one that its caller does not do alone."""
    if isinstance(command, Creation):
        if uow.guard:
            uow.guard(uow, command, None)
        stream = command.stream or id or uow.new_id()
        uow.open_stream(kind, stream, command.begin(stream, uow))
        command.follow(stream, uow)
        return stream
    assert id is not None, "a command is about a stream"
    aggregate = uow.read(kind, id)
    if uow.guard:
        uow.guard(uow, command, aggregate)
    with uow.dated(id, command.occurred_at):
        uow.append(kind, id, list(command.decided(aggregate, uow)))
        command.follow(aggregate, uow)
    return id

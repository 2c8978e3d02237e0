"""Commands: what a client asks for, in the imperative, with the rule that decides on it."""

from abc import abstractmethod
from collections.abc import Iterable
from typing import Annotated, Any, ClassVar, Generic, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from rim_ledger.engine.aggregate import A, Aggregate, Event
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.values import NewId, Time


class Form(BaseModel):
    """What a client fills in: camelCase outside, snake_case inside, nothing unknown."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
        extra="forbid",
        frozen=True,
        strict=True,
    )

    @classmethod
    def filled_in(cls, said: Any) -> Self:
        """The form that a client sent, under the names outside alone. Raises ValidationError."""
        return cls.model_validate(said, by_name=False)


class Timed(Form):
    """A form that may say when the thing happened, if that was not now."""

    occurred_at: Annotated[
        Time | None,
        Field(
            description="When it happened: at most 5 minutes ahead, and not before what this "
            "entity has already; more than 7 days back needs the permission history.import. "
            "Now, when left out."
        ),
    ] = None


class Command(Timed, Generic[A]):
    """A wish, in the imperative, with the rule it must meet."""

    WHEN_GONE: ClassVar[bool] = False
    """Whether it may be asked of what was deleted, archived or revoked as well."""

    def reaches(self, aggregate: A, uow: UnitOfWork) -> bool:
        """Whether the caller may ask it of this; to others it is as if it were not there."""
        return aggregate.known_to(uow)

    def decided(self, aggregate: A, uow: UnitOfWork) -> Iterable[Event]:
        """The same as `decide`, for what is still there."""
        if not self.WHEN_GONE:
            aggregate.require_present()
        return self.decide(aggregate, uow)

    @abstractmethod
    def decide(self, aggregate: A, uow: UnitOfWork) -> Iterable[Event]:
        """The events to add to the aggregate's stream, or Refused. It reads the unit of work before
        the first event: none of them is in it before the last is decided."""

    def follow(self, before: A, uow: UnitOfWork) -> None:
        """Write what follows in other streams, and the reminders: the events are in the unit of
        work by now; `before` is the aggregate as it was."""


class Creation(Timed, Generic[A]):
    """A wish for something new. A client may name it before it is made."""

    id: NewId | None = None

    @property
    def stream(self) -> UUID | None:
        """The stream that it begins, where the wish says which."""
        return self.id

    @abstractmethod
    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        """The first events of stream `id`, or Refused; see `Command.decide`."""

    def follow(self, id: UUID, uow: UnitOfWork) -> None:
        """Write what follows, once these events are in the unit of work."""


def perform(
    uow: UnitOfWork, kind: type[Aggregate], id: UUID | None, command: Command[Any] | Creation[Any]
) -> UUID:
    """Write what a command decides into the book; the id of the stream it is about."""
    if isinstance(command, Creation):
        stream = command.stream or id or uow.new_id()
        uow.open_stream(kind, stream, command.begin(stream, uow))
        command.follow(stream, uow)
        return stream
    assert id is not None, "a command is about a stream"
    aggregate = uow.read(kind, id)
    with uow.dated(id, command.occurred_at):
        uow.append(kind, id, list(command.decided(aggregate, uow)))
        command.follow(aggregate, uow)
    return id

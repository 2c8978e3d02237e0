"""A template of SMS: the message, the variables that stand in it, and what it costs to send."""

from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, ClassVar, Final, Self, assert_never
from uuid import UUID

from pydantic import AfterValidator, Field

from rim_ledger.engine.core import Command, Creation, Event, Stamp, require
from rim_ledger.engine.patch import Patch
from rim_ledger.engine.unique_names import Named, UniqueNames
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.sms_text import Encoding, OneLine, measured, on_one_line
from rim_ledger.notifications.template_text import (
    FillIn,
    Values,
    Variables,
    check,
    filled,
    worded,
)
from rim_ledger.values import Name, Phone

NAMES: Final = UniqueNames("sms-template-name", "template-name-taken", "template")


# Events: what can happen to a template.


class SmsTemplateCreated(Event):
    name: str
    message: str
    variables: tuple[str, ...]


class SmsTemplateChanged(Event):
    """Only what changed is set."""

    message: str | None = None
    variables: tuple[str, ...] | None = None


class SmsTemplateEnabled(Event):
    pass


class SmsTemplateDisabled(Event):
    pass


class SmsTemplateArchived(Event):
    """The template is kept for the record; its name is free again."""


SmsTemplateEvent = (
    SmsTemplateChanged | SmsTemplateEnabled | SmsTemplateDisabled | SmsTemplateArchived
)


# The aggregate: what those events add up to.


class SmsTemplate(Named):
    UNIQUE: ClassVar[UniqueNames] = NAMES

    name: str
    message: str
    variables: tuple[str, ...]
    created_at: datetime
    enabled: bool = True
    archived: bool = False

    @property
    def unique_name(self) -> str | None:
        return None if self.archived else self.name

    @property
    def encoding(self) -> Encoding:
        """How the message travels, as long as no value asks for more."""
        return measured(self.message).encoding

    @property
    def units(self) -> int:
        return measured(self.message).units

    @property
    def segments(self) -> int:
        return measured(self.message).segments

    @property
    def offending(self) -> tuple[str, ...]:
        """The characters that are not in GSM-7."""
        return measured(self.message).offending

    def require_present(self) -> None:
        require(not self.archived, "already-done", "The template is archived.")

    @classmethod
    def begin(cls, id: UUID, event: SmsTemplateCreated, stamp: Stamp) -> Self:
        return cls(
            id=id,
            name=event.name,
            message=event.message,
            variables=event.variables,
            created_at=stamp.at,
        )

    def evolve(self, event: SmsTemplateEvent, stamp: Stamp) -> Self:
        match event:
            case SmsTemplateChanged():
                return self.but(
                    message=event.message or self.message,
                    variables=self.variables if event.variables is None else event.variables,
                )
            case SmsTemplateEnabled():
                return self.but(enabled=True)
            case SmsTemplateDisabled():
                return self.but(enabled=False)
            case SmsTemplateArchived():
                return self.but(archived=True)
            case _:
                assert_never(event)

    def filled(self, values: Values) -> str:
        """The message with these values, on one line."""
        return on_one_line(filled(self.message, self.variables, values))


# Commands: what one may ask of a template, and the rule each must meet.

Message = Annotated[OneLine, Field(min_length=1, max_length=160), AfterValidator(worded)]


class CreateSmsTemplate(Creation[SmsTemplate]):
    """Keep a template under a name that no other has, for good. A variable is `{{name}}`: each one
    is declared, and each that is declared stands somewhere."""

    name: Name
    message: Message
    variables: Variables = ()

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        check({"message": self.message}, self.variables)
        NAMES.take(uow, self.name, id)
        yield SmsTemplateCreated(name=self.name, message=self.message, variables=self.variables)


class UpdateSmsTemplate(Patch[SmsTemplate]):
    """Change what is given; what is left out stays, and the name always does."""

    message: Message | None = None
    variables: Variables | None = None

    def decide(self, aggregate: SmsTemplate, uow: UnitOfWork) -> Iterable[Event]:
        changes = self.changes(aggregate, "message", "variables")
        if changes:
            changed = SmsTemplateChanged(**changes)
            after = aggregate.evolve(changed, uow.stamp)
            check({"message": after.message}, after.variables)
            yield changed


class EnableSmsTemplate(Command[SmsTemplate]):
    """Let a template be used again."""

    def decide(self, aggregate: SmsTemplate, uow: UnitOfWork) -> Iterable[Event]:
        require(not aggregate.enabled, "already-done", "The template is enabled.")
        yield SmsTemplateEnabled()


class DisableSmsTemplate(Command[SmsTemplate]):
    """Have nothing sent from a template."""

    def decide(self, aggregate: SmsTemplate, uow: UnitOfWork) -> Iterable[Event]:
        require(aggregate.enabled, "already-done", "The template is disabled.")
        yield SmsTemplateDisabled()


class ArchiveSmsTemplate(Command[SmsTemplate]):
    """Put a template away; its name is free again."""

    def decide(self, aggregate: SmsTemplate, uow: UnitOfWork) -> Iterable[Event]:
        NAMES.release(uow, aggregate.name, aggregate.id)
        yield SmsTemplateArchived()


class PreviewSms(FillIn):
    """See what an SMS would be, and what it would cost."""


class TrySms(FillIn):
    """Send one SMS, to see how it arrives."""

    to: Phone

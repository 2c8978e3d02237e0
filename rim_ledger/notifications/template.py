"""Templates of e-mails and SMS: named texts with variables."""

from collections.abc import Iterable
from enum import StrEnum
from html import escape
from typing import Annotated, Any, ClassVar, Generic, Self, TypeVar, assert_never
from uuid import UUID

from msgspec import Struct
from pydantic import Field

from rim_ledger.engine.aggregate import Event, Stamp
from rim_ledger.engine.command import Command, Creation
from rim_ledger.engine.patch import Patch
from rim_ledger.engine.refusals import require
from rim_ledger.engine.unique_names import Named, UniqueNames
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.sms_text import Encoding, OneLine, Title, measured, on_one_line
from rim_ledger.notifications.template_text import (
    WORDED,
    FillIn,
    Values,
    Variables,
    check,
    filled,
)
from rim_ledger.text import Lines
from rim_ledger.values import Email, Name, Phone


class TemplateType(StrEnum):
    """What e-mails of a template are for."""

    TRANSACTIONAL = "transactional"
    MARKETING = "marketing"
    NOTIFICATION = "notification"


class EmailTemplateCreated(Event):
    name: str
    subject: str
    body: str
    variables: tuple[str, ...]
    type: TemplateType


class EmailTemplateChanged(Event):
    """Holds changed fields only."""

    subject: str | None = None
    body: str | None = None
    variables: tuple[str, ...] | None = None
    type: TemplateType | None = None


class EmailTemplateEnabled(Event):
    pass


class EmailTemplateDisabled(Event):
    pass


class EmailTemplateArchived(Event):
    """The template is kept for the record; its name is free again."""


class SmsTemplateCreated(Event):
    name: str
    message: str
    variables: tuple[str, ...]


class SmsTemplateChanged(Event):
    """Holds changed fields only."""

    message: str | None = None
    variables: tuple[str, ...] | None = None


class SmsTemplateEnabled(Event):
    pass


class SmsTemplateDisabled(Event):
    pass


class SmsTemplateArchived(Event):
    """The template is kept for the record; its name is free again."""


EmailTemplateEvent = (
    EmailTemplateChanged | EmailTemplateEnabled | EmailTemplateDisabled | EmailTemplateArchived
)
SmsTemplateEvent = (
    SmsTemplateChanged | SmsTemplateEnabled | SmsTemplateDisabled | SmsTemplateArchived
)


class Template(Named, kw_only=True):
    """What both kinds have in common."""

    TEXTS: ClassVar[tuple[str, ...]]
    """The fields that may contain variables."""

    variables: tuple[str, ...]
    enabled: bool = True

    def evolve(self, event: EmailTemplateEvent | SmsTemplateEvent, stamp: Stamp) -> Self:
        match event:
            case EmailTemplateChanged() | SmsTemplateChanged():
                return self.but(**event.changes)
            case EmailTemplateEnabled() | SmsTemplateEnabled():
                return self.but(enabled=True)
            case EmailTemplateDisabled() | SmsTemplateDisabled():
                return self.but(enabled=False)
            case EmailTemplateArchived() | SmsTemplateArchived():
                return self.but(archived=True)
            case _:
                assert_never(event)


class RenderedEmail(Struct, frozen=True):
    """An e-mail ready to send; its body is HTML."""

    subject: str
    body: str


class EmailTemplate(Template):
    UNIQUE: ClassVar = UniqueNames("email-template-name", "template-name-taken", "template")
    TEXTS: ClassVar = ("subject", "body")

    subject: str
    body: str
    type: TemplateType

    def filled(self, values: Values) -> RenderedEmail:
        """Return the e-mail with these values, escaped in the body; the subject is one line."""
        return RenderedEmail(
            subject=on_one_line(filled(self.subject, self.variables, values)),
            body=filled(self.body, self.variables, values, escape),
        )


class SmsTemplate(Template):
    UNIQUE: ClassVar = UniqueNames("sms-template-name", "template-name-taken", "template")
    TEXTS: ClassVar = ("message",)

    message: str

    @property
    def encoding(self) -> Encoding:
        """The encoding of the message, if no value requires another one."""
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

    def filled(self, values: Values) -> str:
        """Return the message with these values, on one line."""
        return on_one_line(filled(self.message, self.variables, values))


T = TypeVar("T", bound=Template)
Body = Annotated[Lines, Field(min_length=1, max_length=50_000), WORDED]
Type = Annotated[TemplateType, Field(strict=False)]
Message = Annotated[OneLine, Field(min_length=1, max_length=160), WORDED]


def _create(form: Any, kind: type[Template], id: UUID, uow: UnitOfWork) -> None:
    """Check a new template, and claim its name."""
    _require_agreement(form, kind)
    kind.UNIQUE.take(uow, form.name, id)


def _require_agreement(of: Any, kind: type[Template]) -> None:
    check({field: getattr(of, field) for field in kind.TEXTS}, of.variables)


class _Update(Patch[T], Generic[T]):
    CHANGED: ClassVar[type[Event]]

    def decide(self, aggregate: T, uow: UnitOfWork) -> Iterable[Event]:
        if changes := self.changes(aggregate):
            _require_agreement(aggregate.but(**changes), type(aggregate))
            yield self.CHANGED(**changes)


class _Switch(Command[T], Generic[T]):
    SWITCHED: ClassVar[type[Event]]

    def decide(self, aggregate: T, uow: UnitOfWork) -> Iterable[Event]:
        on = self.SWITCHED in (EmailTemplateEnabled, SmsTemplateEnabled)
        words = f"The template is {'enabled' if on else 'disabled'}."
        require(aggregate.enabled is not on, "already-done", words)
        yield self.SWITCHED()


class _Archive(Command[T], Generic[T]):
    ARCHIVED: ClassVar[type[Event]]

    def decide(self, aggregate: T, uow: UnitOfWork) -> Iterable[Event]:
        aggregate.UNIQUE.release(uow, aggregate.name, aggregate.id)
        yield self.ARCHIVED()


class CreateEmailTemplate(Creation[EmailTemplate]):
    """Create a template under a unique, permanent name. A variable is `{{name}}`: each is declared,
    and each declared one is used."""

    name: Name
    subject: Title
    body: Body
    variables: Variables = ()
    type: Type

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        _create(self, EmailTemplate, id, uow)
        yield EmailTemplateCreated.of(self)


class UpdateEmailTemplate(_Update[EmailTemplate]):
    """Change a template; omitted fields and the name stay as they are."""

    CHANGED: ClassVar = EmailTemplateChanged

    subject: Title | None = None
    body: Body | None = None
    variables: Variables | None = None
    type: Type | None = None


class EnableEmailTemplate(_Switch[EmailTemplate]):
    """Enable a template."""

    SWITCHED: ClassVar = EmailTemplateEnabled


class DisableEmailTemplate(_Switch[EmailTemplate]):
    """Disable a template: nothing is sent from it."""

    SWITCHED: ClassVar = EmailTemplateDisabled


class ArchiveEmailTemplate(_Archive[EmailTemplate]):
    """Archive a template; its name is free again."""

    ARCHIVED: ClassVar = EmailTemplateArchived


class PreviewEmail(FillIn):
    """Preview an e-mail."""


class TryEmail(FillIn):
    """Send one e-mail as a test."""

    to: Email


class CreateSmsTemplate(Creation[SmsTemplate]):
    """Create a template under a unique, permanent name. A variable is `{{name}}`: each is declared,
    and each declared one is used."""

    name: Name
    message: Message
    variables: Variables = ()

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        _create(self, SmsTemplate, id, uow)
        yield SmsTemplateCreated.of(self)


class UpdateSmsTemplate(_Update[SmsTemplate]):
    """Change a template; omitted fields and the name stay as they are."""

    CHANGED: ClassVar = SmsTemplateChanged

    message: Message | None = None
    variables: Variables | None = None


class EnableSmsTemplate(_Switch[SmsTemplate]):
    """Enable a template."""

    SWITCHED: ClassVar = SmsTemplateEnabled


class DisableSmsTemplate(_Switch[SmsTemplate]):
    """Disable a template: nothing is sent from it."""

    SWITCHED: ClassVar = SmsTemplateDisabled


class ArchiveSmsTemplate(_Archive[SmsTemplate]):
    """Archive a template; its name is free again."""

    ARCHIVED: ClassVar = SmsTemplateArchived


class PreviewSms(FillIn):
    """Preview an SMS, and its cost in segments."""


class TrySms(FillIn):
    """Send one SMS as a test."""

    to: Phone

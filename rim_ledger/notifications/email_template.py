"""A template of e-mails: subject, body, and the variables that stand in them."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Self, assert_never
from uuid import UUID

from msgspec import Struct
from pydantic import AfterValidator, Field

from rim_ledger.engine.core import Command, Creation, Event, Stamp, require
from rim_ledger.engine.patch import Patch
from rim_ledger.engine.unique_names import Named, UniqueNames
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.sms_text import Title, on_one_line
from rim_ledger.notifications.template_text import (
    FillIn,
    Values,
    Variables,
    as_html,
    check,
    filled,
    worded,
)
from rim_ledger.text import Lines
from rim_ledger.values import Email, Name

NAMES: Final = UniqueNames("email-template-name", "template-name-taken", "template")


class TemplateType(StrEnum):
    """What e-mails of a template are for."""

    TRANSACTIONAL = "transactional"
    MARKETING = "marketing"
    NOTIFICATION = "notification"


# Events: what can happen to a template.


class EmailTemplateCreated(Event):
    name: str
    subject: str
    body: str
    variables: tuple[str, ...]
    type: TemplateType


class EmailTemplateChanged(Event):
    """Only what changed is set."""

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


EmailTemplateEvent = (
    EmailTemplateChanged | EmailTemplateEnabled | EmailTemplateDisabled | EmailTemplateArchived
)


# The aggregate: what those events add up to.


class Letter(Struct, frozen=True):
    """An e-mail, ready to be sent; its body is HTML."""

    subject: str
    body: str


class EmailTemplate(Named):
    UNIQUE: ClassVar[UniqueNames] = NAMES

    name: str
    subject: str
    body: str
    variables: tuple[str, ...]
    type: TemplateType
    created_at: datetime
    enabled: bool = True
    archived: bool = False

    @property
    def unique_name(self) -> str | None:
        return None if self.archived else self.name

    def require_present(self) -> None:
        require(not self.archived, "already-done", "The template is archived.")

    @classmethod
    def begin(cls, id: UUID, event: EmailTemplateCreated, stamp: Stamp) -> Self:
        return cls(
            id=id,
            name=event.name,
            subject=event.subject,
            body=event.body,
            variables=event.variables,
            type=event.type,
            created_at=stamp.at,
        )

    def evolve(self, event: EmailTemplateEvent, stamp: Stamp) -> Self:
        match event:
            case EmailTemplateChanged():
                return self.but(
                    subject=event.subject or self.subject,
                    body=event.body or self.body,
                    variables=self.variables if event.variables is None else event.variables,
                    type=event.type or self.type,
                )
            case EmailTemplateEnabled():
                return self.but(enabled=True)
            case EmailTemplateDisabled():
                return self.but(enabled=False)
            case EmailTemplateArchived():
                return self.but(archived=True)
            case _:
                assert_never(event)

    def filled(self, values: Values) -> Letter:
        """The e-mail with these values. In a body they are escaped, a subject is one line."""
        return Letter(
            subject=on_one_line(filled(self.subject, self.variables, values)),
            body=filled(self.body, self.variables, values, as_html),
        )


# Commands: what one may ask of a template, and the rule each must meet.

Body = Annotated[Lines, Field(min_length=1, max_length=50_000), AfterValidator(worded)]
Type = Annotated[TemplateType, Field(strict=False)]


class CreateEmailTemplate(Creation[EmailTemplate]):
    """Keep a template under a name that no other has, for good. A variable is `{{name}}`: each one
    is declared, and each that is declared stands somewhere."""

    name: Name
    subject: Title
    body: Body
    variables: Variables = ()
    type: Type

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        check({"subject": self.subject, "body": self.body}, self.variables)
        NAMES.take(uow, self.name, id)
        yield EmailTemplateCreated(
            name=self.name,
            subject=self.subject,
            body=self.body,
            variables=self.variables,
            type=self.type,
        )


class UpdateEmailTemplate(Patch[EmailTemplate]):
    """Change what is given; what is left out stays, and the name always does."""

    subject: Title | None = None
    body: Body | None = None
    variables: Variables | None = None
    type: Type | None = None

    def decide(self, aggregate: EmailTemplate, uow: UnitOfWork) -> Iterable[Event]:
        changes = self.changes(aggregate, "subject", "body", "variables", "type")
        if changes:
            changed = EmailTemplateChanged(**changes)
            after = aggregate.evolve(changed, uow.stamp)
            check({"subject": after.subject, "body": after.body}, after.variables)
            yield changed


class EnableEmailTemplate(Command[EmailTemplate]):
    """Let a template be used again."""

    def decide(self, aggregate: EmailTemplate, uow: UnitOfWork) -> Iterable[Event]:
        require(not aggregate.enabled, "already-done", "The template is enabled.")
        yield EmailTemplateEnabled()


class DisableEmailTemplate(Command[EmailTemplate]):
    """Have nothing sent from a template."""

    def decide(self, aggregate: EmailTemplate, uow: UnitOfWork) -> Iterable[Event]:
        require(aggregate.enabled, "already-done", "The template is disabled.")
        yield EmailTemplateDisabled()


class ArchiveEmailTemplate(Command[EmailTemplate]):
    """Put a template away; its name is free again."""

    def decide(self, aggregate: EmailTemplate, uow: UnitOfWork) -> Iterable[Event]:
        NAMES.release(uow, aggregate.name, aggregate.id)
        yield EmailTemplateArchived()


class PreviewEmail(FillIn):
    """See what an e-mail would be."""


class TryEmail(FillIn):
    """Send one e-mail, to see how it arrives."""

    to: Email

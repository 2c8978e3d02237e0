"""What one may ask of an alert, and what a value that was measured leads to."""

from collections.abc import Container, Iterable, Iterator
from decimal import Decimal
from typing import Annotated, Any, Final
from uuid import UUID

from pydantic import AfterValidator, Field

from rim_ledger.admin.admin_role import AdminRole
from rim_ledger.admin.admin_user import AdminStatus, AdminUser
from rim_ledger.book import Book, Work
from rim_ledger.core import Command, Creation, Event, Invalid, require
from rim_ledger.notifications.alert import (
    AlertAcknowledged,
    AlertArchived,
    AlertChanged,
    AlertChannel,
    AlertCreated,
    AlertDisabled,
    AlertEnabled,
    AlertMessage,
    AlertStateChanged,
    AlertTriggered,
    AlertType,
    SystemAlert,
)
from rim_ledger.notifications.episode import EPISODE, AlertState
from rim_ledger.sending import Channel
from rim_ledger.values import Name, Threshold

OTHER: Final = {Channel.SMS: Channel.EMAIL, Channel.EMAIL: Channel.SMS}


def _once(values: list[Any]) -> list[Any]:
    return list(dict.fromkeys(values))


Channels = Annotated[
    list[Annotated[AlertChannel, Field(strict=False)]],
    Field(min_length=1, max_length=20),
    AfterValidator(_once),
]
Recipients = Annotated[list[Name], Field(min_length=1, max_length=200), AfterValidator(_once)]
"""Admins by id; roles by id or name, which means whoever has the role when the alert fires."""


class CreateAlert(Creation[SystemAlert]):
    """Watch a value, and tell people when it reaches the threshold. It fires once an episode: again
    only after ten minutes below nine tenths of it, and fifteen minutes after it fired last."""

    name: Name
    type: Annotated[AlertType, Field(strict=False)]
    threshold: Threshold
    channel: Channels
    recipients: Recipients
    enabled: bool = True

    def begin(self, id: UUID, book: Book) -> Iterable[Event]:
        _require_known(self.recipients, book)
        yield AlertCreated(
            name=self.name,
            type=self.type,
            threshold=self.threshold,
            channel=tuple(self.channel),
            recipients=tuple(self.recipients),
            enabled=self.enabled,
        )


class UpdateAlert(Command[SystemAlert]):
    """Change what is given; what is left out stays, and what is watched never changes."""

    name: Name | None = None
    threshold: Threshold | None = None
    channel: Channels | None = None
    recipients: Recipients | None = None

    def decide(self, aggregate: SystemAlert, book: Book) -> Iterable[Event]:
        _require_present(aggregate)
        _require_known(self.recipients or [], book)
        wishes: dict[str, Any] = {
            "name": self.name,
            "threshold": self.threshold,
            "channel": tuple(self.channel or ()) or None,
            "recipients": tuple(self.recipients or ()) or None,
        }
        changes = {
            field: wish
            for field, wish in wishes.items()
            if wish not in (None, getattr(aggregate, field))
        }
        if changes:
            yield AlertChanged(**changes)


class EnableAlert(Command[SystemAlert]):
    """Watch again."""

    def decide(self, aggregate: SystemAlert, book: Book) -> Iterable[Event]:
        _require_present(aggregate)
        require(not aggregate.enabled, "already-done", "The alert is enabled.")
        yield AlertEnabled()


class DisableAlert(Command[SystemAlert]):
    """Watch no more; what was seen so far no longer counts."""

    def decide(self, aggregate: SystemAlert, book: Book) -> Iterable[Event]:
        _require_present(aggregate)
        require(aggregate.enabled, "already-done", "The alert is disabled.")
        yield AlertDisabled()


class ArchiveAlert(Command[SystemAlert]):
    """Put an alert away. It is kept for the record."""

    def decide(self, aggregate: SystemAlert, book: Book) -> Iterable[Event]:
        _require_present(aggregate)
        yield AlertArchived()


class AcknowledgeAlert(Command[SystemAlert]):
    """Say that you look after an alert that fires. It fires on until its value has calmed down."""

    def decide(self, aggregate: SystemAlert, book: Book) -> Iterable[Event]:
        _require_present(aggregate)
        require(aggregate.state in EPISODE, "not-firing", "The alert does not fire.")
        done = aggregate.acknowledged_at is not None
        require(not done, "already-done", "Somebody looks after it already.")
        yield AlertAcknowledged()


def observe(id: UUID, value: Decimal | None, failing: Container[Channel]) -> Work:
    """The clock's decision on a value that was measured, or on there being none."""

    def work(book: Book) -> UUID:
        alert = book.read(SystemAlert, id)
        if alert.enabled:
            book.append(SystemAlert, id, _observed(alert, value, failing, book))
        return id

    return work


def _observed(
    alert: SystemAlert, value: Decimal | None, failing: Container[Channel], book: Book
) -> Iterator[Event]:
    state = alert.watch.next(value, alert.threshold, book.stamp.at)
    if state is alert.state:
        return
    if state is AlertState.FIRING and alert.state not in EPISODE and value is not None:
        yield AlertTriggered(value=value, messages=tuple(_messages(alert, failing, book)))
    else:
        yield AlertStateChanged(state=state, value=value)


def _messages(
    alert: SystemAlert, failing: Container[Channel], book: Book
) -> Iterator[AlertMessage]:
    """One for each recipient and channel, however many of the roles they have."""
    wanted = [Channel(each) for each in alert.channel if each is not AlertChannel.DASHBOARD]
    for admin in _told(alert, book):
        ways = (way_to(admin, each, failing) for each in wanted)
        for channel in _once([each for each in ways if each]):
            yield AlertMessage(admin_id=admin.id, channel=channel)


def way_to(admin: AdminUser, wanted: Channel, failing: Container[Channel]) -> Channel | None:
    """The channel that is wanted, or else the other one where that one fails, or where the admin
    has no phone. A failing one is better than none."""
    there = [each for each in (wanted, OTHER[wanted]) if each is Channel.EMAIL or admin.phone]
    return next((each for each in there if each not in failing), there[0] if there else None)


def _told(alert: SystemAlert, book: Book) -> list[AdminUser]:
    """The active admins among the recipients, each once."""
    ids = dict.fromkeys(each for text in alert.recipients for each in _admins(text, book))
    admins = (book.find(AdminUser, each) for each in ids)
    return [each for each in admins if each and each.status is AdminStatus.ACTIVE]


def _admins(recipient: str, book: Book) -> list[UUID]:
    match _find(recipient, book):
        case AdminUser(id=admin):
            return [admin]
        case AdminRole(members=members):
            return sorted(members)
        case _:
            return []


def _find(recipient: str, book: Book) -> AdminUser | AdminRole | None:
    try:
        id_: UUID | None = UUID(recipient)
    except ValueError:
        id_ = book.holder("role-name", recipient.casefold())
    if id_ is None:
        return None
    role = book.find(AdminRole, id_)
    return (role if role and not role.archived else None) or book.find(AdminUser, id_)


def _require_known(recipients: Iterable[str], book: Book) -> None:
    for place, recipient in enumerate(recipients):
        if _find(recipient, book) is None:
            words = "There is no such admin and no such role."
            raise Invalid("unknown-recipient", words, f"/recipients/{place}")


def _require_present(alert: SystemAlert) -> None:
    require(not alert.archived, "already-done", "The alert is archived.")

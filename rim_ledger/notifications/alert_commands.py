"""Commands on alerts, and the decision on a measured value."""

from collections.abc import Container, Iterable
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, Field

from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command, Creation
from rim_ledger.engine.patch import Patch
from rim_ledger.engine.refusals import Invalid, require
from rim_ledger.engine.unit_of_work import UnitOfWork, decision
from rim_ledger.notifications.alert import (
    EPISODE,
    AlertAcknowledged,
    AlertArchived,
    AlertChanged,
    AlertCreated,
    AlertDisabled,
    AlertEnabled,
    AlertState,
    AlertStateChanged,
    AlertTriggered,
    AlertType,
    SystemAlert,
)
from rim_ledger.notifications.alert_recipients import find_recipient, notify
from rim_ledger.notifications.notification import NotificationChannel
from rim_ledger.values import UUID_TEXT, Name, Threshold


def _once(values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(dict.fromkeys(values))


Channels = Annotated[
    tuple[Annotated[NotificationChannel, Field(strict=False)], ...],
    Field(strict=False, min_length=1, max_length=20),
    AfterValidator(_once),
]
Recipients = Annotated[
    tuple[Name, ...], Field(strict=False, min_length=1, max_length=200), AfterValidator(_once)
]
"""Admins by id; roles by id or name, which stand for their members when the alert fires."""


class CreateAlert(Creation[SystemAlert]):
    """Watch a value, and notify the recipients when it reaches the threshold. An alert fires once
    per episode: again only after ten minutes below nine tenths of the threshold, and fifteen
    minutes after it fired last."""

    name: Name
    type: Annotated[AlertType, Field(strict=False)]
    threshold: Threshold
    channel: Channels
    recipients: Recipients
    enabled: bool = True

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        _require_known(self.recipients, uow)
        yield AlertCreated.of(self)


class UpdateAlert(Patch[SystemAlert]):
    """Change an alert; omitted fields stay as they are, and its type never changes."""

    name: Name | None = None
    threshold: Threshold | None = None
    channel: Channels | None = None
    recipients: Recipients | None = None

    def decide(self, aggregate: SystemAlert, uow: UnitOfWork) -> Iterable[Event]:
        _require_known(self.recipients or [], uow)
        if changes := self.changes(aggregate):
            yield AlertChanged(**changes)


class EnableAlert(Command[SystemAlert]):
    """Enable an alert."""

    def decide(self, aggregate: SystemAlert, uow: UnitOfWork) -> Iterable[Event]:
        require(not aggregate.enabled, "already-done", "The alert is enabled.")
        yield AlertEnabled()


class DisableAlert(Command[SystemAlert]):
    """Disable an alert, and reset its state."""

    def decide(self, aggregate: SystemAlert, uow: UnitOfWork) -> Iterable[Event]:
        require(aggregate.enabled, "already-done", "The alert is disabled.")
        yield AlertDisabled()


class ArchiveAlert(Command[SystemAlert]):
    """Archive an alert. It is kept for the record."""

    def decide(self, aggregate: SystemAlert, uow: UnitOfWork) -> Iterable[Event]:
        yield AlertArchived()


class AcknowledgeAlert(Command[SystemAlert]):
    """Acknowledge an alert that fires. It fires until its value is back to normal."""

    def decide(self, aggregate: SystemAlert, uow: UnitOfWork) -> Iterable[Event]:
        require(aggregate.state in EPISODE, "not-firing", "The alert does not fire.")
        done = aggregate.acknowledged_at is not None
        require(not done, "already-done", "Somebody looks after it already.")
        yield AlertAcknowledged()


@decision
def observe(uow: UnitOfWork, id: UUID, value: Decimal | None, failing: Container[str]) -> None:
    """Decide on a measured value, or on missing data. Notifications are in the same commit, so
    concurrent observers notify once per episode."""
    alert = uow.read(SystemAlert, id)
    state = alert.watch.next(value, alert.threshold, uow.stamp.at)
    if not alert.enabled or state is alert.state:
        return
    if state is AlertState.FIRING and alert.state not in EPISODE and value is not None:
        uow.append(SystemAlert, id, [AlertTriggered(value=value)])
        uow.act_upon(id)
        notify(uow.read(SystemAlert, id), value, failing, uow)
    else:
        uow.append(SystemAlert, id, [AlertStateChanged(state=state, value=value)])


def _is_canonical(recipient: str) -> bool:
    """Return whether an id has its one spelling; True for the name of a role."""
    try:
        UUID(recipient)
    except ValueError:
        return True
    return UUID_TEXT.fullmatch(recipient) is not None


def _require_known(recipients: Iterable[str], uow: UnitOfWork) -> None:
    for place, recipient in enumerate(recipients):
        if not _is_canonical(recipient) or find_recipient(recipient, uow) is None:
            words = "There is no such admin and no such role."
            raise Invalid("unknown-recipient", words, f"/recipients/{place}")

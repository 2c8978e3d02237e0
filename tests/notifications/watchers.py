"""A staff, alerts that they are told of, and messages that are handed over, in memory."""

from collections.abc import Container, Iterable
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from rim_ledger.delivery.port import Channel, Outcome, Verdict
from rim_ledger.engine.aggregate import Actor, Event
from rim_ledger.engine.command import Command
from rim_ledger.notifications.alert import AlertTriggered, SystemAlert
from rim_ledger.notifications.alert_commands import CreateAlert, observe
from rim_ledger.notifications.delivery_rules import Intake, settle, take_waiting
from rim_ledger.notifications.notification import NotificationHistory, NotificationQueued, waiting
from tests.admin.staff import Staff
from tests.notifications.desk import Through

SMS, EMAIL = Channel.SMS, Channel.EMAIL
WORDS = "Overdue loans: 10 at 10:01 on 2026-01-05; the alert's threshold is 10."


class Watchers(Staff):
    """A staff, and alerts that they are told of."""

    def add(self, *recipients: str, **more: Any) -> UUID:
        fields: dict[str, Any] = {
            "name": "Too many overdue",
            "type": "overdue_loans",
            "threshold": 10,
            "channel": ["email"],
            "recipients": [*recipients] or ["superadmin"],
        }
        id_ = self.environment.new_id()
        self.perform(SystemAlert, id_, CreateAlert.model_validate(fields | more))
        return id_

    def wish(self, id: UUID, command: Command[Any], by: UUID | None = None) -> list[Event]:
        actor = Actor(type="admin", id=by or self.root, name="root")
        return self.perform(SystemAlert, id, command, actor)

    def see(
        self, id: UUID, value: int | None, failing: Container[Channel] = (), minutes: float = 1
    ) -> list[Event]:
        """A look, a minute after the last."""
        self.environment.time += timedelta(minutes=minutes)
        uow = self.uow()
        observe(id, None if value is None else Decimal(value), failing)(uow)
        return self.keep(uow)

    def told(
        self, id: UUID, failing: Container[Channel] = (), minutes: float = 1
    ) -> list[tuple[UUID, str]]:
        """Whom a firing tells, and how."""
        fired, *queued = self.see(id, 10, failing, minutes)
        assert fired == AlertTriggered(value=Decimal(10))
        return whom(queued)

    def ada(self, **more: Any) -> UUID:
        """The one member of the role that watches."""
        return self.hire("ada", self.role("watchers", ("alerts", "read")), **more)

    def waiting(self) -> list[UUID]:
        return [id_ for each in (SMS, EMAIL) for id_ in self.uow().listed(waiting(each), 99)]

    def hand_over(self, heard: Verdict = Verdict.ACCEPTED) -> list[Event]:
        """Carry what waits, as the courier does; what came of it."""
        intake, uow = Intake(Through()), self.uow()
        take_waiting(self.waiting(), intake)(uow)
        self.keep(uow)
        down = Outcome(heard, "it is down")
        outcomes = {each.id: each.withheld or down for each in intake.deliveries}
        uow = self.uow()
        settle(outcomes)(uow)
        return self.keep(uow)

    def rows(self) -> list[NotificationHistory]:
        entries = (each.aggregate for each in self.streams.values())
        return [each for each in entries if isinstance(each, NotificationHistory)]

    def alert(self, id: UUID) -> SystemAlert:
        return self.uow().read(SystemAlert, id)


def whom(events: Iterable[Event]) -> list[tuple[UUID, str]]:
    """Who is told by these events, and how."""
    notices = [each.notice for each in events if isinstance(each, NotificationQueued)]
    return [(each.recipient, each.channel.value) for each in notices]

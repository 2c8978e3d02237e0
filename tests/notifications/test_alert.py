"""Alerts: what may be asked of them, and who is told when they fire."""

from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from rim_ledger.admin.admin_commands import SuspendAdmin
from rim_ledger.admin.admin_role import SUPERADMIN
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.delivery.port import Channel
from rim_ledger.notifications.alert import (
    WATCHED,
    AlertAcknowledged,
    AlertChanged,
    AlertCreated,
    AlertStateChanged,
    AlertTriggered,
)
from rim_ledger.notifications.alert_commands import (
    AcknowledgeAlert,
    ArchiveAlert,
    DisableAlert,
    EnableAlert,
    UpdateAlert,
)
from rim_ledger.notifications.notification import NotificationQueued
from tests.lending.desk import refused
from tests.notifications.watchers import WORDS, Watchers, whom
from tests.spec import names

SMS, EMAIL = Channel.SMS, Channel.EMAIL


def test_an_alert_begins_enabled_and_knows_nothing() -> None:
    desk = Watchers()
    alert = desk.alert(desk.add(threshold=2.5, channel=["sms", "dashboard", "sms"]))
    assert (alert.state, alert.enabled, alert.trigger_count) == ("unknown", True, 0)
    assert (alert.threshold, alert.channel) == (Decimal("2.50"), ("sms", "dashboard"))
    assert isinstance(desk.log[-1].event, AlertCreated)


@pytest.mark.parametrize(
    "wrong",
    [
        {"threshold": 0},
        {"threshold": -1},
        {"threshold": 0.001},
        {"threshold": "10"},
        {"threshold": True},
        {"channel": []},
        {"channel": ["pigeon"]},
        {"recipients": []},
        {"type": "weather"},
        {"triggerCount": 1},
        {"name": " "},
    ],
)
def test_what_is_no_alert_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Watchers().add(**wrong)


def test_recipients_are_admins_or_roles_that_there_are() -> None:
    desk = Watchers()
    for wrong in ("nobody", str(desk.environment.new_id()), f"{{{SUPERADMIN}}}", SUPERADMIN.hex):
        assert refused(lambda name=wrong: desk.add("superadmin", name)) == "unknown-recipient"
        change = UpdateAlert(recipients=[wrong])
        alert = desk.add()
        assert refused(lambda a=alert, c=change: desk.wish(a, c)) == "unknown-recipient"


def test_it_fires_once_and_says_what_it_saw() -> None:
    desk = Watchers()
    alert = desk.add()
    assert desk.see(alert, 5) == [AlertStateChanged(state="normal", value=Decimal(5))]  # type: ignore[arg-type]
    fired, queued = desk.see(alert, 12)
    assert fired == AlertTriggered(value=Decimal(12))
    assert isinstance(queued, NotificationQueued)
    assert queued.title == "Alert: Too many overdue"
    assert queued.message == WORDS.replace(": 10 at 10:01", ": 12 at 10:02")
    assert queued.notice.alert_id == alert
    assert desk.see(alert, 12) == desk.see(alert, 13) == desk.see(alert, None) == []
    seen = desk.alert(alert)
    assert (seen.trigger_count, seen.last_value, seen.state) == (1, 12, "firing")
    fired, queued = desk.log[-2:]
    assert desk.waiting() == [queued.originator_id]
    assert queued.stamp.causation == fired.id


def test_each_episode_tells_anew() -> None:
    desk = Watchers()
    alert = desk.add()
    for _ in range(2):
        assert desk.told(alert) == [(desk.root, "email")]
        desk.see(alert, 0, minutes=5)
        desk.see(alert, 0, minutes=10)
    assert len(desk.rows()) == 2


def test_a_recipient_is_told_once_however_many_of_the_roles_match() -> None:
    desk = Watchers()
    role = desk.role("watchers", ("alerts", "read"))
    ada, bola = (desk.hire(name, role) for name in ("ada", "bola"))
    alert = desk.add("watchers", str(role), "WATCHERS", str(ada), "superadmin", str(desk.root))
    told = desk.told(alert)
    assert sorted(told) == sorted([(ada, "email"), (bola, "email"), (desk.root, "email")])


def test_who_is_not_active_is_not_told_and_who_joined_the_role_is() -> None:
    desk = Watchers()
    role = desk.role("watchers", ("alerts", "read"))
    ada = desk.hire("ada", role)
    alert = desk.add("watchers")
    bola = desk.hire("bola", role)
    desk.ask(desk.root, AdminUser, ada, SuspendAdmin(reason="on leave"))
    assert desk.told(alert) == [(bola, "email")]


def test_on_the_dashboard_the_row_itself_tells() -> None:
    desk = Watchers()
    ada = desk.ada()
    alert = desk.add("watchers", "superadmin", channel=["dashboard"])
    events = desk.see(alert, 10, failing={SMS, EMAIL})
    assert whom(events) == [(ada, "dashboard"), (desk.root, "dashboard")]
    assert names(events).count("NotificationDelivered") == 2
    assert desk.waiting() == []


def test_who_has_no_phone_is_told_by_email_and_once() -> None:
    desk = Watchers()
    role = desk.role("watchers", ("alerts", "read"))
    ada = desk.hire("ada", role, phone="08031234567")
    bola = desk.hire("bola", role)
    alert = desk.add("watchers", channel=["sms", "email"])
    told = [(ada, "sms"), (ada, "email"), (bola, "email")]
    assert sorted(desk.told(alert)) == sorted(told)


@pytest.mark.parametrize(
    ("wanted", "failing", "used"),
    [
        ("sms", {SMS}, "email"),
        ("email", {EMAIL}, "sms"),
        ("sms", {EMAIL}, "sms"),
        ("email", {EMAIL, SMS}, "email"),
    ],
)
def test_the_channel_that_fails_is_not_the_one_used(
    wanted: str, failing: set[Channel], used: str
) -> None:
    desk = Watchers()
    ada = desk.ada(phone="08031234567")
    alert = desk.add("watchers", channel=[wanted])
    assert desk.told(alert, failing) == [(ada, used)]


def test_nobody_watches_what_is_disabled_and_what_was_seen_is_forgotten() -> None:
    desk = Watchers()
    alert = desk.add()
    desk.see(alert, 12)
    desk.wish(alert, DisableAlert())
    assert refused(lambda: desk.wish(alert, DisableAlert())) == "already-done"
    assert (desk.alert(alert).state, desk.see(alert, 12)) == ("unknown", [])
    assert desk.uow().listed(WATCHED, 9) == []
    desk.wish(alert, EnableAlert())
    assert refused(lambda: desk.wish(alert, EnableAlert())) == "already-done"
    assert desk.uow().listed(WATCHED, 9) == [alert]
    assert desk.see(alert, 12)[0] == AlertStateChanged(state="normal", value=Decimal(12))  # type: ignore[arg-type]
    assert isinstance(desk.see(alert, 12, minutes=15)[0], AlertTriggered)


def test_somebody_looks_after_an_alert_that_fires_once_an_episode() -> None:
    desk = Watchers()
    alert = desk.add()
    assert refused(lambda: desk.wish(alert, AcknowledgeAlert())) == "not-firing"
    desk.see(alert, 12)
    assert desk.wish(alert, AcknowledgeAlert()) == [AlertAcknowledged()]
    assert desk.alert(alert).acknowledged_by == desk.root
    assert refused(lambda: desk.wish(alert, AcknowledgeAlert())) == "already-done"
    desk.see(alert, 0)
    desk.see(alert, 0, minutes=10)
    desk.see(alert, 12, minutes=5)
    assert (desk.alert(alert).trigger_count, desk.alert(alert).acknowledged_by) == (2, None)


def test_changing_to_the_same_is_no_event() -> None:
    desk = Watchers()
    alert = desk.add()
    same = UpdateAlert(name="Too many overdue", threshold=Decimal(10))
    assert desk.wish(alert, same) == []
    other = UpdateAlert(threshold=Decimal(20), recipients=["superadmin"])
    assert desk.wish(alert, other) == [AlertChanged(threshold=Decimal(20))]


def test_what_is_archived_watches_nothing_and_takes_no_wish() -> None:
    desk = Watchers()
    alert = desk.add()
    desk.see(alert, 12)
    desk.wish(alert, ArchiveAlert())
    assert desk.uow().listed(WATCHED, 9) == []
    for command in (
        ArchiveAlert(),
        EnableAlert(),
        DisableAlert(),
        AcknowledgeAlert(),
        UpdateAlert(name="Other"),
    ):
        assert refused(lambda wish=command: desk.wish(alert, wish)) == "already-done"

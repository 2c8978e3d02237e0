"""The messages of an alert: told once, on the way that works, and not when all is over."""

import pytest

from rim_ledger.admin.admin_commands import SuspendAdmin
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.delivery.port import Verdict
from rim_ledger.notifications.alert_commands import ArchiveAlert, DisableAlert
from rim_ledger.notifications.contact import GONE
from rim_ledger.notifications.delivery_rules import OVER
from rim_ledger.notifications.notification import (
    NotificationFailed,
    NotificationHistory,
    NotificationQueued,
    NotificationSent,
    NotificationWithheld,
    RetryNotification,
    mark,
)
from tests.notifications.watchers import WORDS, Watchers, whom
from tests.spec import names


def test_what_certainly_failed_is_told_on_the_other_channel_once() -> None:
    desk = Watchers()
    ada = desk.ada(phone="08031234567")
    desk.told(desk.add("watchers", channel=["sms"]))
    failed, other = desk.hand_over(Verdict.FAILED)
    assert failed == NotificationFailed(reason="it is down")
    assert whom([other]) == [(ada, "email")]
    assert isinstance(other, NotificationQueued)
    assert (other.title, other.message) == ("Alert: Too many overdue", WORDS)
    assert desk.hand_over(Verdict.FAILED) == [failed]
    assert desk.waiting() == []
    assert len({each.id for each in desk.rows()}) == 2


def test_what_failed_after_the_provider_took_it_is_told_on_the_other_channel_too() -> None:
    desk = Watchers()
    ada = desk.ada(phone="08031234567")
    desk.told(desk.add("watchers", channel=["email"]))
    assert desk.hand_over() == [NotificationSent()]
    uow = desk.uow()
    mark(uow, desk.rows()[0].id, NotificationFailed(reason="bounced"))
    assert whom(desk.keep(uow)) == [(ada, "sms")]


def test_what_is_told_on_both_channels_needs_nothing_else_when_one_fails() -> None:
    desk = Watchers()
    desk.ada(phone="08031234567")
    desk.told(desk.add("watchers", channel=["sms", "email"]))
    failed = NotificationFailed(reason="it is down")
    assert desk.hand_over(Verdict.FAILED) == [failed, failed]
    assert desk.waiting() == []


def test_who_has_no_phone_is_not_told_by_sms_when_email_fails() -> None:
    desk = Watchers()
    desk.ada()
    desk.told(desk.add("watchers"))
    assert desk.hand_over(Verdict.FAILED) == [NotificationFailed(reason="it is down")]
    assert desk.waiting() == []


def test_what_may_have_gone_is_not_told_on_the_other_channel() -> None:
    desk = Watchers()
    desk.ada(phone="08031234567")
    desk.told(desk.add("watchers", channel=["sms"]))
    assert names(desk.hand_over(Verdict.UNKNOWN)) == ["NotificationOutcomeUnknown"]
    assert desk.waiting() == []


def test_who_was_deactivated_meanwhile_is_told_nothing_on_any_channel() -> None:
    desk = Watchers()
    ada = desk.ada(phone="08031234567")
    desk.told(desk.add("watchers", channel=["sms"]))
    desk.ask(desk.root, AdminUser, ada, SuspendAdmin(reason="on leave"))
    assert desk.hand_over() == [NotificationWithheld(reason=GONE)]
    assert desk.waiting() == []


def test_a_message_goes_late_while_its_episode_lasts() -> None:
    desk = Watchers()
    alert = desk.add()
    desk.told(alert)
    desk.see(alert, 20, minutes=600)
    desk.see(alert, 0)
    assert desk.hand_over() == [NotificationSent()]


@pytest.mark.parametrize("end", ["calm", "disabled", "archived", "another"])
def test_a_message_is_withheld_when_its_episode_is_over(end: str) -> None:
    desk = Watchers()
    alert = desk.add(channel=["email", "dashboard"])
    desk.told(alert)
    (late,) = desk.waiting()
    match end:
        case "calm" | "another":
            desk.see(alert, 0)
            desk.see(alert, 0, minutes=10)
        case "disabled":
            desk.wish(alert, DisableAlert())
        case "archived":
            desk.wish(alert, ArchiveAlert())
    if end == "another":
        desk.told(alert, minutes=15)
    went = desk.hand_over()
    assert went.count(NotificationWithheld(reason=OVER)) == 1
    assert went.count(NotificationSent()) == (end == "another")
    row = desk.uow().read(NotificationHistory, late)
    assert (row.status, row.error_message) == ("failed", OVER)


def test_what_a_person_repeats_goes_also_when_the_alert_is_over() -> None:
    desk = Watchers()
    ada = desk.ada(phone="08031234567")
    alert = desk.add("watchers", channel=["sms"])
    desk.told(alert)
    desk.wish(alert, DisableAlert())
    desk.hand_over()
    (failed,) = desk.rows()
    repeated = desk.perform(NotificationHistory, failed.id, RetryNotification(parent=failed.id))
    assert whom(repeated) == [(ada, "sms")]
    assert desk.hand_over(Verdict.FAILED) == [NotificationFailed(reason="it is down")]

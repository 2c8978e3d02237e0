"""A notification: once for each cause, recipient and channel, and never sent twice."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from rim_ledger.delivery.port import Outcome, Verdict
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.refusals import NotFound, Refused
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import EraseUser, SuspendUser
from rim_ledger.notifications.delivery_rules import Intake, settle, take_waiting
from rim_ledger.notifications.notification import (
    HandOver,
    Notice,
    NotificationChannel,
    NotificationDelivered,
    NotificationFailed,
    NotificationHistory,
    NotificationSent,
    NotificationStatus,
    NotificationType,
    RecipientType,
    RetryNotification,
    in_flight,
    mark,
    waiting,
)
from tests.notifications.desk import VERDICTS, MessageDesk
from tests.spec import names


def notice(desk: MessageDesk, **more: Any) -> Notice:
    told = Notice(
        type=NotificationType.ALERT,
        channel=NotificationChannel.SMS,
        recipient=desk.users[0],
        recipient_type=RecipientType.USER,
        cause=UUID(int=7),
    )
    return replace(told, **more)


def taken(desk: MessageDesk, *ids: UUID) -> Intake:
    intake = Intake(desk.providers)
    desk.run(take_waiting(ids, intake))
    return intake


def heard(desk: MessageDesk, id: UUID, what: Verdict) -> list[Event]:
    return desk.run(settle({id: Outcome(what, "no such number")}))


def test_the_same_cause_tells_a_person_on_a_channel_once() -> None:
    desk = MessageDesk()
    first = desk.queued(notice(desk))
    count = len(desk.log)
    assert desk.queued(notice(desk)) == first
    assert len(desk.log) == count
    others = {
        desk.queued(notice(desk, channel=NotificationChannel.EMAIL)),
        desk.queued(notice(desk, recipient=desk.users[1])),
        desk.queued(notice(desk, cause=UUID(int=8))),
    }
    assert len(others | {first}) == 4


def test_it_is_in_hand_before_it_is_sent_and_its_address_is_clear_there_alone() -> None:
    desk = MessageDesk()
    row = desk.queued(notice(desk))
    assert desk.uow().listed(waiting("sms"), 9) == [row]
    (delivery,) = taken(desk, row).deliveries
    assert (delivery.order.to, delivery.order.body) == ("+2348030000000", "Message")
    assert desk.row(row).hand_over is HandOver.UNDER_WAY
    assert not any("+234" in str(each.event) or "Message" in str(each.event) for each in desk.log)
    assert names(heard(desk, row, Verdict.ACCEPTED)) == ["NotificationSent"]
    assert desk.row(row).sent_at == desk.environment.now()
    assert desk.uow().listed(waiting("sms"), 9) == []


def test_the_oldest_goes_first_and_no_more_are_in_hand_than_may_go_at_once() -> None:
    desk = MessageDesk()
    desk.pace(12)
    rows = list[UUID]()
    for number in range(7):
        desk.environment.time += timedelta(seconds=1)
        rows.append(desk.queued(notice(desk, cause=UUID(int=number))))
    assert desk.uow().listed(waiting("sms"), 9) == rows
    assert [each.id for each in taken(desk, *rows).deliveries] == rows[:3]
    assert desk.uow().listed(in_flight("sms"), 9) == rows[:3]
    assert desk.uow().listed(waiting("sms"), 9) == rows[3:]


def test_what_somebody_who_died_had_in_hand_is_asked_about() -> None:
    desk = MessageDesk()
    row = desk.queued(notice(desk))
    taken(desk, row)
    count = len(desk.log)
    (doubt,) = taken(desk, row).doubts
    assert (doubt.id, doubt.taken_at) == (row, desk.environment.now())
    assert len(desk.log) == count


@pytest.mark.parametrize(
    ("what", "status", "hand_over"),
    [
        (Verdict.ACCEPTED, "sent", "done"),
        (Verdict.DELIVERED, "delivered", "done"),
        (Verdict.FAILED, "failed", "done"),
        (Verdict.UNKNOWN, "pending", "unknown"),
    ],
)
def test_what_is_heard_is_recorded_once(what: Verdict, status: str, hand_over: str) -> None:
    desk = MessageDesk()
    row = desk.queued(notice(desk))
    taken(desk, row)
    heard(desk, row, what)
    assert (desk.row(row).status, desk.row(row).hand_over) == (status, hand_over)
    assert desk.row(row).error_message == ("no such number" if status == "failed" else None)
    assert heard(desk, row, what) == []
    assert taken(desk, row).deliveries == [], "nothing is ever sent again"


def test_an_unknown_outcome_may_turn_out_later() -> None:
    desk = MessageDesk()
    row = desk.queued(notice(desk))
    taken(desk, row)
    heard(desk, row, Verdict.UNKNOWN)
    assert names(heard(desk, row, Verdict.ACCEPTED)) == ["NotificationSent"]


EVENTS = {
    "mark-sent": NotificationSent(),
    "mark-delivered": NotificationDelivered(),
    "mark-failed": NotificationFailed(reason="no such number"),
}
LEGAL = {
    "pending": {"mark-sent", "mark-failed"},
    "sent": {"mark-delivered", "mark-failed"},
    "delivered": set(),
    "failed": set(),
}


@pytest.mark.parametrize("status", LEGAL)
@pytest.mark.parametrize("command", EVENTS)
def test_a_status_goes_forward_only(status: str, command: str) -> None:
    desk = MessageDesk()
    row = desk.queued(notice(desk))
    if status != "pending":
        heard(desk, row, VERDICTS[status])

    def work(uow: Any) -> UUID:
        mark(uow, row, EVENTS[command])
        return row

    if command in LEGAL[status]:
        assert desk.run(work) == [EVENTS[command]]
    else:
        with pytest.raises(Refused) as refused:
            desk.run(work)
        assert refused.value.code == "invalid-transition"


def test_the_dashboard_shows_a_row_at_once() -> None:
    desk = MessageDesk()
    row = desk.row(desk.queued(notice(desk, channel=NotificationChannel.DASHBOARD)))
    assert (row.status, row.lists) == (NotificationStatus.DELIVERED, frozenset())


def test_nobody_is_written_to_who_is_gone_by_then() -> None:
    desk = MessageDesk()
    row = desk.queued(notice(desk))
    desk.perform(User, desk.users[0], SuspendUser(reason="fraud"))
    (delivery,) = taken(desk, row).deliveries
    assert delivery.order is None
    assert delivery.withheld


def test_a_retry_is_another_one_that_names_the_failed_one_and_there_is_one_of_it() -> None:
    desk = MessageDesk()
    row = desk.queued(notice(desk))
    taken(desk, row)
    wish = RetryNotification(parent=row)
    with pytest.raises(Refused) as refused:
        desk.perform(NotificationHistory, row, wish)
    assert refused.value.code == "invalid-transition"
    heard(desk, row, Verdict.FAILED)
    desk.perform(NotificationHistory, row, wish)
    child = desk.row(row).retried_as
    assert child is not None
    assert desk.row(child).notice.parent_id == row
    with pytest.raises(Refused) as refused:
        desk.perform(NotificationHistory, row, wish)
    assert refused.value.code == "already-done"
    (delivery,) = taken(desk, child).deliveries
    assert (delivery.id, delivery.order.body) == (child, "Message")
    heard(desk, child, Verdict.FAILED)
    desk.perform(NotificationHistory, child, RetryNotification(parent=child))
    with pytest.raises(NotFound):
        desk.perform(NotificationHistory, row, RetryNotification(parent=UUID(int=9)))


def test_nothing_is_repeated_to_a_person_who_was_erased() -> None:
    desk = MessageDesk()
    row = desk.queued(notice(desk))
    taken(desk, row)
    heard(desk, row, Verdict.FAILED)
    desk.perform(User, desk.users[0], EraseUser())
    with pytest.raises(Refused) as refused:
        desk.perform(NotificationHistory, row, RetryNotification(parent=row))
    assert refused.value.code == "erased"

"""What a provider of SMS tells by itself: once, of our messages, and the counts stay exact."""

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from rim_ledger.delivery.callbacks import NotOurs
from rim_ledger.delivery.port import Outcome, Verdict
from rim_ledger.engine.aggregate import Actor, Event
from rim_ledger.engine.refusals import Refused
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import SuspendUser
from rim_ledger.notifications.broadcast import chunk_id
from rim_ledger.notifications.delivery_rules import Intake, advance, settle, take_waiting
from rim_ledger.notifications.message_callback import MessageCallback
from rim_ledger.notifications.notification import (
    Notice,
    NotificationChannel,
    NotificationHistory,
    NotificationType,
    RecipientType,
    RetryNotification,
)
from tests.notifications.desk import VERDICTS, MessageDesk
from tests.spec import examples, names

DELIVERED, FAILED = "message.delivered", "message.failed"


TERMII = UUID(int=3)
"""The integration that messages are handed to."""


def desk_of(users: int = 3) -> MessageDesk:
    desk = MessageDesk(users)
    desk.providers.sms = TERMII
    return desk


def hear(desk: MessageDesk, type_: str, reference: object, speaker: UUID = TERMII) -> list[Event]:
    said = {"type": type_, "data": {"reference": str(reference)}}
    callback = MessageCallback.model_validate(said)
    return desk.run(callback.work, Actor(type="integration", id=speaker, name="Termii"))


ALERT = Notice(
    type=NotificationType.ALERT,
    channel=NotificationChannel.SMS,
    recipient=UUID(int=1),
    recipient_type=RecipientType.USER,
    cause=UUID(int=7),
)


def one(desk: MessageDesk, channel: NotificationChannel = NotificationChannel.SMS) -> UUID:
    return desk.queued(replace(ALERT, recipient=desk.users[0], channel=channel))


def brought_to(desk: MessageDesk, standing: str) -> UUID:
    row = one(desk)
    desk.run(take_waiting([row], Intake(desk.providers)))
    if standing != "under-way":
        desk.run(settle({row: Outcome(VERDICTS[standing], "no such number")}))
    return row


@pytest.mark.parametrize("standing", ["under-way", "unknown", "sent"])
@pytest.mark.parametrize(
    ("type_", "status", "reason"),
    [
        (DELIVERED, "delivered", None),
        (FAILED, "failed", "The provider says that it failed."),
    ],
)
def test_what_is_open_arrives_or_fails_and_the_same_word_again_changes_nothing(
    standing: str, type_: str, status: str, reason: str | None
) -> None:
    desk = desk_of()
    row = brought_to(desk, standing)
    assert hear(desk, type_, row) != []
    after = desk.row(row)
    assert (after.status, after.error_message, after.hand_over) == (status, reason, "done")
    assert after.lists == frozenset(), "nobody hands it over any more"
    assert desk.log[-1].stamp.actor.name == "Termii"
    assert hear(desk, type_, row) == []
    for heard in (Verdict.ACCEPTED, Verdict.DELIVERED, Verdict.FAILED, Verdict.UNKNOWN):
        outcome = Outcome(heard, "no such number")
        assert desk.run(settle({row: outcome})) == [], "who had it in hand tells nothing new"


@pytest.mark.parametrize(("first", "then"), [(DELIVERED, FAILED), (FAILED, DELIVERED)])
def test_a_word_against_what_is_done_moves_nothing_and_is_shown(first: str, then: str) -> None:
    desk = desk_of()
    row = brought_to(desk, "sent")
    hear(desk, first, row)
    before = desk.row(row).status
    assert names(hear(desk, then, row)) == ["NotificationContradicted"]
    after = desk.row(row)
    assert (after.status, after.provider_claim) == (before, then.removeprefix("message."))
    assert hear(desk, then, row) == []
    assert hear(desk, first, row) == []


def test_a_message_that_failed_by_a_callback_is_repeated_like_any_other() -> None:
    desk = desk_of()
    row = brought_to(desk, "sent")
    hear(desk, FAILED, row)
    desk.perform(NotificationHistory, row, RetryNotification(parent=row))
    child = desk.row(row).retried_as
    assert child
    desk.run(take_waiting([child], Intake(desk.providers)))
    hear(desk, DELIVERED, child)
    assert (desk.row(row).status, desk.row(child).status) == ("failed", "delivered")


def test_what_arrived_after_all_is_not_sent_again() -> None:
    desk = desk_of()
    row = brought_to(desk, "sent")
    hear(desk, FAILED, row)
    hear(desk, DELIVERED, row)
    with pytest.raises(Refused) as refused:
        desk.perform(NotificationHistory, row, RetryNotification(parent=row))
    assert refused.value.code == "delivered-since"


def test_what_fails_late_is_told_on_the_channel_that_stands_in() -> None:
    desk = desk_of()
    notice = replace(ALERT, recipient=desk.users[0], otherwise=NotificationChannel.EMAIL)
    row = desk.queued(notice)
    desk.run(take_waiting([row], Intake(desk.providers)))
    desk.run(settle({row: Outcome(Verdict.ACCEPTED)}))
    assert "NotificationQueued" in names(hear(desk, FAILED, row))
    assert hear(desk, FAILED, row) == []


@pytest.mark.parametrize("reference", ["a-code-of-the-log-in", UUID(int=9), "{}", "%"])
def test_other_references_are_none_of_ours_and_never_will_be(reference: object) -> None:
    with pytest.raises(NotOurs):
        hear(desk_of(), DELIVERED, reference)


def test_a_provider_speaks_only_of_what_it_was_handed() -> None:
    desk = desk_of()
    email, waiting, handed = (
        one(desk, NotificationChannel.EMAIL),
        desk.queued(replace(ALERT, recipient=desk.users[1])),
        brought_to(desk, "sent"),
    )
    for reference, speaker in (
        (email, TERMII),
        (waiting, TERMII),
        (desk.users[0], TERMII),
        (handed, UUID(int=4)),
    ):
        with pytest.raises(NotOurs):
            hear(desk, FAILED, reference, speaker)
    assert [desk.row(each).status for each in (email, waiting)] == ["pending", "pending"]
    assert desk.row(handed).status == "sent"


def counts(desk: MessageDesk, broadcast: UUID) -> tuple[int, int, int]:
    known = desk.broadcast(broadcast)
    return known.sent_count, known.failed_count, known.unknown_count


def test_what_fails_after_it_was_accepted_is_counted_among_the_failed_alone() -> None:
    desk = desk_of()
    broadcast = desk.sending()
    intake = desk.take(broadcast)
    first, second, third = (each.id for each in intake.deliveries)
    desk.go_on(broadcast, intake)
    assert counts(desk, broadcast) == (3, 0, 0)
    hear(desk, FAILED, first)
    hear(desk, DELIVERED, second)
    hear(desk, FAILED, first)
    hear(desk, DELIVERED, first)
    assert counts(desk, broadcast) == (2, 1, 0)
    hear(desk, FAILED, second)
    hear(desk, FAILED, third)
    assert counts(desk, broadcast) == (1, 2, 0)
    assert desk.broadcast(broadcast).status == "sent", "what is over stays as it ended"


def test_a_broadcast_that_begins_to_fail_late_is_paused_all_the_same() -> None:
    desk = desk_of(users=40)
    desk.pace(100)
    broadcast = desk.sending()
    intake = desk.take(broadcast)
    rows = [each.id for each in intake.deliveries]
    assert len(rows) == 25
    desk.go_on(broadcast, intake)
    assert desk.broadcast(broadcast).phase == "sending"
    hear(desk, FAILED, rows[0])
    assert desk.broadcast(broadcast).phase == "sending"
    hear(desk, FAILED, rows[1])
    assert desk.broadcast(broadcast).phase == "paused"


WORDS = st.tuples(st.sampled_from([DELIVERED, FAILED]), st.integers(0, 5))
ANSWERS = st.lists(st.sampled_from(["sent", "delivered", "failed", "unknown"]), max_size=6)


@settings(max_examples=examples(60))
@given(early=st.lists(WORDS, max_size=6), answers=ANSWERS, late=st.lists(WORDS, max_size=12))
def test_in_any_order_of_words_and_answers_the_counts_are_what_the_rows_say(
    early: list[tuple[str, int]], answers: list[str], late: list[tuple[str, int]]
) -> None:
    desk = desk_of(users=6)
    broadcast = desk.sending()
    intake = desk.take(broadcast)
    rows = [each.id for each in intake.deliveries]
    desk.perform(User, desk.users[5], SuspendUser(reason="fraud"))

    def check() -> None:
        found = [desk.row(row) for row in rows]
        statuses = [each.status for each in found]
        sent = statuses.count("sent") + statuses.count("delivered")  # type: ignore[arg-type]
        unknown = sum(each.status == "pending" and each.hand_over == "unknown" for each in found)
        assert counts(desk, broadcast) == (sent, statuses.count("failed"), unknown)  # type: ignore[arg-type]

    def tell(words: list[tuple[str, int]]) -> None:
        for type_, nth in words:
            done = desk.row(rows[nth % len(rows)]).status
            hear(desk, type_, rows[nth % len(rows)])
            if done in ("delivered", "failed"):
                assert desk.row(rows[nth % len(rows)]).status == done
            check()

    tell(early)
    pairs: list[Any] = list(zip(rows, answers, strict=False))
    outcomes = {row: Outcome(VERDICTS[each], "no such number") for row, each in pairs}
    desk.run(advance(chunk_id(broadcast, 0), outcomes, intake, intake.seen))
    check()
    tell(late)

"""A broadcast: its life, its audience, and what its failures and the hour of the day do to it."""

from datetime import timedelta
from itertools import product
from typing import Any
from uuid import UUID

import pytest
from pydantic import ValidationError

from rim_ledger.delivery.port import Outcome, Verdict
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Invalid, Refused
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.user import User, UserOptedIn, UserOptedOut
from rim_ledger.lending.user_commands import SuspendUser
from rim_ledger.notifications.broadcast import (
    GOING_OUT,
    BroadcastCancelled,
    BroadcastDrafted,
    BroadcastEdited,
    BroadcastMessage,
    BroadcastPaused,
    BroadcastProgressed,
    BroadcastResumed,
    BroadcastScheduled,
    BroadcastUnscheduled,
    TargetAudience,
    chunks_of,
)
from rim_ledger.notifications.broadcast_commands import (
    CancelBroadcast,
    CloneBroadcast,
    DraftBroadcast,
    EditBroadcast,
    PauseBroadcast,
    ResumeBroadcast,
    ScheduleBroadcast,
    SendBroadcast,
    UnscheduleBroadcast,
    begin_due,
)
from rim_ledger.notifications.contact import OptIn, OptOut
from rim_ledger.notifications.delivery_rules import Intake, check_chunk, progress, settle
from tests.notifications.desk import DRAFT, VERDICTS, MessageDesk
from tests.spec import START, names

SOON = START + timedelta(hours=1)


def at_phase(phase: str) -> tuple[MessageDesk, UUID]:
    """A broadcast in a phase."""
    desk = MessageDesk(1)
    broadcast = desk.draft()
    if phase == "scheduled":
        desk.perform(BroadcastMessage, broadcast, ScheduleBroadcast(scheduled_for=SOON))
    elif phase != "draft":
        desk.send(broadcast)
    if phase == "paused":
        desk.perform(BroadcastMessage, broadcast, PauseBroadcast())
    if phase in ("sent", "failed"):
        intake = desk.take(broadcast)
        desk.go_on(broadcast, intake, VERDICTS[phase])
    assert desk.broadcast(broadcast).phase == phase
    return desk, broadcast


WISHES: dict[str, tuple[Command[Any], Event | None]] = {
    "edit": (EditBroadcast(title="Other"), BroadcastEdited(title="Other")),
    "schedule": (ScheduleBroadcast(scheduled_for=SOON), BroadcastScheduled(scheduled_for=SOON)),
    "unschedule": (UnscheduleBroadcast(), BroadcastUnscheduled()),
    "send": (SendBroadcast(), None),
    "pause": (PauseBroadcast(), BroadcastPaused()),
    "resume": (ResumeBroadcast(), BroadcastResumed()),
    "cancel": (CancelBroadcast(), BroadcastCancelled()),
}
LEGAL = {
    "draft": {"edit", "schedule", "send", "cancel"},
    "scheduled": {"unschedule", "send", "cancel"},
    "sending": {"pause", "cancel"},
    "paused": {"resume", "cancel"},
    "sent": set(),
    "failed": set(),
}
STATUS = {"sending": "scheduled", "paused": "scheduled"}


@pytest.mark.parametrize(("phase", "wish"), [*product(LEGAL, WISHES)])
def test_in_each_phase_what_is_legal_happens_and_the_rest_is_refused(phase: str, wish: str) -> None:
    desk, broadcast = at_phase(phase)
    assert desk.broadcast(broadcast).status == STATUS.get(phase, phase)
    command, event = WISHES[wish]
    if isinstance(command, SendBroadcast):
        command = command.among(desk.frozen(broadcast))
    if wish in LEGAL[phase]:
        events = desk.perform(BroadcastMessage, broadcast, command)
        assert event is None or events == [event]
    else:
        with pytest.raises(Refused) as refused:
            desk.perform(BroadcastMessage, broadcast, command)
        assert refused.value.code == "invalid-transition"
        assert refused.value.more["allowed"] == sorted(LEGAL[phase])


def test_custom_goes_with_users_and_nothing_else_does() -> None:
    desk = MessageDesk(2)
    ids = tuple(desk.users)
    form = DraftBroadcast.model_validate(DRAFT)
    with pytest.raises(Invalid) as refused:
        desk.perform(BroadcastMessage, UUID(int=1), form.to(ids))
    assert refused.value.code == "audience-mismatch"
    custom = DraftBroadcast.model_validate(DRAFT | {"target_audience": "custom"})
    with pytest.raises(Invalid):
        desk.perform(BroadcastMessage, UUID(int=1), custom)
    broadcast = UUID(int=1)
    desk.perform(BroadcastMessage, broadcast, custom.to(ids))
    to_all = EditBroadcast(target_audience=TargetAudience.ALL)
    changed = BroadcastEdited(target_audience=TargetAudience.ALL, custom_user_ids=())
    assert desk.perform(BroadcastMessage, broadcast, to_all) == [changed]
    assert desk.broadcast(broadcast).custom_user_ids is None
    assert desk.perform(BroadcastMessage, broadcast, to_all) == []
    with pytest.raises(ValidationError):
        DraftBroadcast.model_validate(DRAFT | {"custom_user_ids": []})


def test_an_sms_to_many_has_ten_segments_at_most() -> None:
    desk = MessageDesk(0)
    desk.draft(message="a" * 1530)
    desk.draft(message="a" * 1531, type="email")
    with pytest.raises(Invalid) as refused:
        desk.draft(message="a" * 1531)
    assert refused.value.code == "too-many-segments"


def test_a_time_for_sending_lies_ahead() -> None:
    desk = MessageDesk(0)
    with pytest.raises(Invalid) as refused:
        late = ScheduleBroadcast(scheduled_for=desk.environment.now())
        desk.perform(BroadcastMessage, desk.draft(), late)
    assert refused.value.code == "not-in-future"


def test_nobody_to_write_to_is_refused_and_a_changed_audience_too() -> None:
    desk = MessageDesk(0)
    broadcast = desk.draft()
    with pytest.raises(Refused) as refused:
        desk.send(broadcast)
    assert refused.value.code == "empty-audience"
    before = desk.frozen(broadcast)
    edit = EditBroadcast(target_audience=TargetAudience.OVERDUE_USERS)
    desk.perform(BroadcastMessage, broadcast, edit)
    with pytest.raises(Refused) as refused:
        desk.perform(BroadcastMessage, broadcast, SendBroadcast().among(before))
    assert refused.value.code == "changed-meanwhile"


def test_a_clone_is_a_draft_that_says_the_same() -> None:
    desk, broadcast = at_phase("sent")
    (drafted,) = desk.perform(
        BroadcastMessage, UUID(int=5), CloneBroadcast(id=UUID(int=5), source=broadcast)
    )
    source = desk.broadcast(broadcast)
    assert isinstance(drafted, BroadcastDrafted)
    assert (drafted.title, drafted.message, drafted.type, drafted.purpose) == (
        source.title,
        source.message,
        source.type,
        source.purpose,
    )
    assert desk.broadcast(UUID(int=5)).phase == "draft"


def test_a_scheduled_one_begins_when_it_is_due_and_not_before() -> None:
    desk, broadcast = at_phase("scheduled")
    frozen = desk.frozen(broadcast)
    assert desk.uow().listed(GOING_OUT, 9) == [broadcast]
    assert desk.run(begin_due(broadcast, frozen)) == []
    desk.environment.time = SOON
    assert names(desk.run(begin_due(broadcast, frozen))) == ["ChunkFrozen", "BroadcastStarted"]
    assert desk.run(begin_due(broadcast, frozen)) == [], "whoever comes second finds it begun"
    assert desk.broadcast(broadcast).audience_position == frozen.position


def test_a_scheduled_one_that_reaches_nobody_has_failed() -> None:
    desk, broadcast = at_phase("scheduled")
    desk.environment.time, desk.users = SOON, []
    assert names(desk.run(begin_due(broadcast, desk.frozen(broadcast)))) == ["BroadcastFailed"]
    assert desk.broadcast(broadcast).status == "failed"


def test_the_audience_is_cut_into_chunks_that_lose_nobody() -> None:
    desk = MessageDesk(0)
    desk.users = [desk.environment.new_id() for _ in range(2001)]
    broadcast = desk.sending()
    chunks = [desk.chunk(broadcast, number).user_ids for number in range(3)]
    assert [len(each) for each in chunks] == [1000, 1000, 1]
    assert [user for each in chunks for user in each] == desk.users
    assert len(desk.uow().listed(chunks_of(broadcast), 9)) == 3
    assert desk.broadcast(broadcast).audience_size == 2001


def test_everybody_is_written_to_once_on_each_channel_and_counted() -> None:
    desk = MessageDesk(5)
    desk.pace(8)  # So a batch is two users.
    broadcast = desk.sending(type="both")
    intake, told = desk.take(broadcast), list[tuple[str | None, str]]()
    while intake.deliveries:
        assert len(intake.deliveries) <= 4
        told += [(each.order.to, each.order.channel) for each in intake.deliveries]
        desk.go_on(broadcast, intake)
    phones = {(f"+234803{number:07}", "sms") for number in range(5)}
    emails = {(f"u{number}@rim.example", "email") for number in range(5)}
    assert sorted(told) == sorted(phones | emails)
    done = desk.broadcast(broadcast)
    assert (done.status, done.sent_count, done.failed_count) == ("sent", 10, 0)
    assert done.sent_at == desk.environment.now()
    assert desk.uow().listed(chunks_of(broadcast), 9) == []
    assert desk.uow().listed(GOING_OUT, 9) == []


def test_whoever_takes_over_a_chunk_asks_about_what_was_in_hand_and_goes_on() -> None:
    desk = MessageDesk(4)
    desk.pace(8)
    broadcast = desk.sending()
    dead, heir = desk.take(broadcast), Intake(desk.providers)
    desk.run(check_chunk(desk.chunk(broadcast).id, heir))
    lost = [each.id for each in heir.doubts]
    assert lost == [each.id for each in dead.deliveries]
    assert heir.deliveries == []
    desk.run(settle({each: Outcome(Verdict.UNKNOWN) for each in lost}))
    desk.go_on(broadcast, heir)
    assert len(heir.deliveries) == 2
    assert not {each.order.to for each in heir.deliveries} & {
        each.order.to for each in dead.deliveries
    }
    assert heir.doubts == []
    # The first one was not dead, only slow: what it says counts, and it gets nothing more to do.
    assert names(desk.go_on(broadcast, dead)) == [
        "NotificationSent",
        "NotificationSent",
        "BroadcastProgressed",
    ]
    assert dead.deliveries == []
    assert dead.seen[0] == dead.seen[1]
    desk.go_on(broadcast, heir)
    done = desk.broadcast(broadcast)
    assert (done.status, done.sent_count, done.unknown_count) == ("sent", 4, 0)


def test_what_nobody_knows_is_flagged_and_counted_apart() -> None:
    desk = MessageDesk(2)
    broadcast = desk.sending()
    intake = desk.take(broadcast)
    desk.go_on(broadcast, intake, Verdict.UNKNOWN)
    done = desk.broadcast(broadcast)
    counts = (done.sent_count, done.failed_count, done.unknown_count)
    assert (done.status, counts) == ("failed", (0, 0, 2))


@pytest.mark.parametrize(("failed", "phase"), [(1, "sending"), (2, "paused")])
def test_more_than_five_percent_of_failures_pause_it(failed: int, phase: str) -> None:
    desk = MessageDesk(40)
    desk.pace(80)
    broadcast = desk.sending()
    intake = desk.take(broadcast)
    assert len(intake.deliveries) == 20
    outcomes = list(intake.deliveries)
    intake.deliveries = outcomes[:failed]
    begun = Intake(desk.providers, deliveries=outcomes[failed:], seen=intake.seen)
    settle_part(desk, intake)
    desk.go_on(broadcast, begun)
    assert desk.broadcast(broadcast).phase == phase
    assert bool(begun.deliveries) is (phase == "sending")
    if phase == "paused":
        assert desk.broadcast(broadcast).reason
        desk.perform(BroadcastMessage, broadcast, ResumeBroadcast())
        again = desk.take(broadcast)
        assert len(again.deliveries) == 20
        desk.go_on(broadcast, again)
        done = desk.broadcast(broadcast)
        assert (done.status, done.sent_count, done.failed_count) == ("sent", 38, 2)


def settle_part(desk: MessageDesk, intake: Intake) -> None:
    """Let some of a batch fail, as its provider says before the rest is heard of."""
    failed = {each.id: Outcome(Verdict.FAILED, "no such number") for each in intake.deliveries}
    desk.run(settle(failed))


def test_few_failures_among_few_messages_pause_nothing() -> None:
    desk = MessageDesk(3)
    broadcast = desk.sending()
    desk.go_on(broadcast, desk.take(broadcast), Verdict.FAILED)
    assert desk.broadcast(broadcast).status == "failed"


@pytest.mark.parametrize("wish", [PauseBroadcast(), CancelBroadcast()])
def test_what_is_paused_or_cancelled_takes_nobody_else_in_hand(wish: Any) -> None:
    desk = MessageDesk(4)
    desk.pace(8)
    broadcast = desk.sending()
    intake = desk.take(broadcast)
    desk.perform(BroadcastMessage, broadcast, wish)
    desk.go_on(broadcast, intake)
    assert intake.deliveries == []
    stopped = desk.broadcast(broadcast)
    assert stopped.sent_count == 2
    if isinstance(wish, CancelBroadcast):
        assert stopped.status == "sent", "somebody got it after all"
        assert desk.uow().listed(chunks_of(broadcast), 9) == []
    assert desk.uow().listed(GOING_OUT, 9) == []


def test_the_chunks_of_what_was_cancelled_are_closed_by_whoever_comes() -> None:
    desk = MessageDesk(4)
    broadcast = desk.sending()
    desk.perform(BroadcastMessage, broadcast, CancelBroadcast())
    assert desk.uow().listed(GOING_OUT, 9) == [broadcast]
    assert desk.take(broadcast).deliveries == []
    assert desk.uow().listed(GOING_OUT, 9) == []
    assert desk.broadcast(broadcast).status == "failed"


@pytest.mark.parametrize("cancelled", [False, True])
def test_what_somebody_got_after_all_is_sent_and_gives_no_reason_but_its_end(
    *, cancelled: bool
) -> None:
    desk, broadcast = at_phase("sending" if cancelled else "failed")
    if cancelled:
        desk.perform(BroadcastMessage, broadcast, CancelBroadcast())
    assert desk.broadcast(broadcast).status == "failed"

    def heard_later(uow: UnitOfWork) -> UUID:
        progress(uow, broadcast, BroadcastProgressed(sent=1))
        return broadcast

    desk.run(heard_later)
    after = desk.broadcast(broadcast)
    assert (after.status, after.reason) == ("sent", "It was cancelled." if cancelled else None)


@pytest.mark.parametrize(
    ("hour", "purpose", "sent"),
    [
        (7, "marketing", False),
        (8, "marketing", True),
        (19, "marketing", True),
        (20, "marketing", False),
        (3, "notice", True),
    ],
)
def test_marketing_waits_at_night_in_lagos(hour: int, purpose: str, sent: bool) -> None:
    desk = MessageDesk(1)
    broadcast = desk.sending(purpose=purpose)
    desk.environment.time = START.replace(hour=hour - 1, minute=59 if hour in (8, 20) else 0)
    if hour in (8, 20):
        desk.environment.time += timedelta(minutes=1)
    assert bool(desk.take(broadcast).deliveries) is sent


def test_whoever_was_suspended_or_opted_out_meanwhile_is_left_out() -> None:
    desk = MessageDesk(3)
    broadcast = desk.sending(purpose="marketing")
    desk.environment.time = START
    desk.perform(User, desk.users[0], SuspendUser(reason="fraud"))
    assert desk.perform(User, desk.users[1], OptOut()) == [UserOptedOut()]
    intake = desk.take(broadcast)
    assert [each.order.to for each in intake.deliveries] == ["+2348030000002"]
    desk.go_on(broadcast, intake)
    done = desk.broadcast(broadcast)
    assert (done.sent_count, done.excluded_count) == (1, 2)


def test_opting_out_is_for_marketing_and_can_be_taken_back() -> None:
    desk = MessageDesk(1)
    desk.perform(User, desk.users[0], OptOut())
    assert len(desk.take(desk.sending()).deliveries) == 1
    with pytest.raises(Refused):
        desk.perform(User, desk.users[0], OptOut())
    assert desk.perform(User, desk.users[0], OptIn()) == [UserOptedIn()]
    with pytest.raises(Refused):
        desk.perform(User, desk.users[0], OptIn())


def test_every_row_folds_to_the_same_again() -> None:
    desk = MessageDesk(3)
    broadcast = desk.sending(type="both")
    desk.go_on(broadcast, desk.take(broadcast))
    assert desk.replayed() == desk.streams

"""Whom messages go through: the active integration, and for those in hand the one they took."""

import asyncio
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import pytest
from pydantic import SecretStr

from rim_ledger.delivery.egress import Egress
from rim_ledger.delivery.endpoint import endpoint_of
from rim_ledger.delivery.http import SmsGateway
from rim_ledger.delivery.kill_switch import SwitchOutbound
from rim_ledger.delivery.port import Channel, Lane, Outcome, Provider, Verdict
from rim_ledger.delivery.providers import Providers
from rim_ledger.delivery.smtp import SmtpServer
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.refusals import Refused, Unavailable
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import SuspendUser
from rim_ledger.notifications.broadcast import BroadcastMessage
from rim_ledger.notifications.broadcast_commands import (
    CancelBroadcast,
    PauseBroadcast,
    ResumeBroadcast,
)
from rim_ledger.notifications.contact import GONE, OptOut
from rim_ledger.notifications.delivery_rules import (
    CANCELLED,
    UNWANTED,
    Intake,
    check_chunk,
    retake,
    settle,
    take_waiting,
)
from rim_ledger.notifications.notification import (
    HandOver,
    Notice,
    NotificationChannel,
    NotificationHistory,
    NotificationType,
    RecipientType,
    RetryNotification,
    repeat_id,
)
from rim_ledger.system.integration import ApiIntegration, IntegrationTested, TestResult
from rim_ledger.system.integration_commands import (
    ActivateIntegration,
    ArchiveIntegration,
    CreateIntegration,
    DeactivateIntegration,
    TestIntegration,
    UpdateIntegration,
    open_breaker,
)
from tests.lending.desk import refused
from tests.notifications.desk import MessageDesk

FILE = cast("Provider", "the file of a development installation")
GOOD = IntegrationTested(result=TestResult.SUCCESS)
ADDRESS = {"sms": "https://sms.example", "email": "smtp://mail.example"}


class PostOffice(MessageDesk):
    """A desk whose messages go through integrations."""

    def __init__(self, users: int = 3, otherwise: Provider | None = FILE) -> None:
        super().__init__(users)
        ledger, egress = cast("Ledger", None), Egress(development=True)
        self.through = Providers("", ledger, self.environment, egress, outbox=otherwise)
        self.intake = Intake(self.through)

    def connect(self, kind: str = "sms", **config: Any) -> UUID:
        id_ = self.environment.new_id()
        config = {"from": "ledger@rim.example"[:20]} | config
        wish = {"name": "A", "type": kind, "provider": "a", "baseUrl": ADDRESS[kind]}
        form = CreateIntegration.model_validate(wish | {"config": config})
        self.perform(ApiIntegration, id_, form)
        line = endpoint_of(self.uow(), self.uow().read(ApiIntegration, id_))
        self.perform(ApiIntegration, id_, TestIntegration().after(line, GOOD))
        self.perform(ApiIntegration, id_, ActivateIntegration())
        return id_

    def stop(self, integration: UUID) -> None:
        self.perform(ApiIntegration, integration, DeactivateIntegration())

    def lane(self, channel: Channel = Channel.SMS) -> Lane:
        return self.through.lane(channel, self.uow())

    def taken(self, row: UUID) -> Lane:
        self.run(take_waiting([row], self.intake))
        (message,) = [*self.intake.deliveries, *self.intake.doubts]
        return message.lane

    def alone(self, number: int = 0) -> UUID:
        """A message that is not part of a broadcast."""
        notice = Notice(
            type=NotificationType.ALERT,
            channel=NotificationChannel.SMS,
            recipient=self.users[number],
            recipient_type=RecipientType.USER,
            cause=UUID(int=7),
        )
        return self.queued(notice)


def test_without_an_integration_there_is_the_file_or_nobody() -> None:
    lane = PostOffice().lane()
    assert (lane.provider, lane.name, lane.rate, lane.closed) == (FILE, "sms", 50, None)
    nobody = PostOffice(otherwise=None).lane(Channel.EMAIL)
    assert nobody.provider is None
    assert isinstance(nobody.closed, Refused)
    assert nobody.closed.code == "no-sender"


def test_each_channel_goes_through_its_own_integration_at_its_own_rate() -> None:
    desk = PostOffice(otherwise=None)
    sms, mail = desk.connect(perSecond=7), desk.connect("email")
    first, second = desk.lane(), desk.lane(Channel.EMAIL)
    assert (first.integration, first.key, first.rate) == (sms, str(sms), 7)
    assert (second.integration, second.key, second.rate) == (mail, str(mail), 50)
    assert isinstance(first.provider, SmsGateway)
    assert isinstance(second.provider, SmtpServer)
    assert (first.closed, second.closed) == (None, None)


def test_who_is_in_error_gets_nothing_and_nobody_else_does_instead() -> None:
    desk = PostOffice()
    sms = desk.connect()
    desk.run(open_breaker(sms, 5))
    lane = desk.lane()
    assert isinstance(lane.closed, Unavailable)
    assert (lane.integration, lane.closed.code, lane.given_up) == (sms, "sender-out-of-use", False)
    desk.stop(sms)
    assert desk.lane().provider is FILE
    former = desk.through.former(Channel.SMS, sms, desk.uow())
    assert isinstance(former.provider, SmsGateway)
    assert former.closed
    assert former.given_up


def test_what_is_in_hand_is_asked_about_where_it_went() -> None:
    desk = PostOffice()
    first = desk.connect()
    row = desk.alone()
    assert desk.taken(row).integration == first
    assert desk.row(row).integration == first
    desk.stop(first)
    second = desk.connect()
    lane = desk.taken(row)
    assert (lane.integration, lane.given_up) == (first, True)
    assert desk.intake.deliveries == [], "it is asked about, not sent"
    assert desk.taken(desk.alone(1)).integration == second
    desk.stop(second)
    assert desk.taken(desk.alone(2)).integration is None


def test_of_a_chunk_that_somebody_had_in_hand_too() -> None:
    desk = PostOffice()
    desk.providers = desk.through  # type: ignore[assignment]
    first = desk.connect()
    broadcast = desk.sending()
    dead = desk.take(broadcast)
    assert {each.lane.integration for each in dead.deliveries} == {first}
    desk.stop(first)
    desk.connect()
    desk.run(check_chunk(desk.chunk(broadcast).id, desk.intake))
    assert len(desk.intake.doubts) == 3
    assert {each.lane.integration for each in desk.intake.doubts} == {first}


def test_while_messages_are_in_hand_who_has_them_stays_known() -> None:
    desk = PostOffice()
    sms = desk.connect()
    row = desk.alone()
    desk.taken(row)

    def move() -> None:
        wish = UpdateIntegration(base_url="https://elsewhere.example")
        desk.perform(ApiIntegration, sms, wish)

    def archive() -> None:
        desk.perform(ApiIntegration, sms, ArchiveIntegration())

    assert refused(move) == "messages-under-way"
    desk.stop(sms)
    assert refused(archive) == "messages-under-way"
    desk.run(settle({row: Outcome(Verdict.UNKNOWN)}))
    assert desk.row(row).hand_over is HandOver.UNKNOWN
    move()
    archive()


@pytest.mark.parametrize("kind", ["sms", "both"])
def test_a_broadcast_stands_still_while_a_provider_is_out_of_use(kind: str) -> None:
    desk = PostOffice(users=8)
    desk.providers = desk.through  # type: ignore[assignment]
    desk.pace(16)
    sms = desk.connect()
    broadcast = desk.sending(type=kind)
    intake = desk.take(broadcast)
    count = len(intake.deliveries)
    desk.run(open_breaker(sms, 5))
    desk.go_on(broadcast, intake)
    assert intake.deliveries == []
    assert intake.seen == (4, 4)
    assert desk.take(broadcast).deliveries == []
    assert desk.broadcast(broadcast).phase == "sending"
    line = endpoint_of(desk.uow(), desk.uow().read(ApiIntegration, sms))
    desk.perform(ApiIntegration, sms, TestIntegration().after(line, GOOD))
    again = desk.take(broadcast)
    assert len(again.deliveries) == count
    desk.go_on(broadcast, again)
    assert desk.broadcast(broadcast).sent_count == 2 * count


def left_in_hand(desk: PostOffice, **more: Any) -> tuple[UUID, list[UUID]]:
    """A broadcast that somebody died with, whose messages their provider has never heard of."""
    desk.providers = desk.through  # type: ignore[assignment]
    broadcast = desk.sending(**more)
    return broadcast, [each.id for each in desk.take(broadcast).deliveries]


def again(desk: PostOffice, rows: list[UUID]) -> list[str | None]:
    """To whom they are sent again, or None and the reason."""
    desk.run(retake(rows, desk.intake))
    return [
        each.withheld.reason if each.withheld else each.order.to for each in desk.intake.deliveries
    ]


def test_what_came_nowhere_is_in_hand_anew_before_it_is_sent_again() -> None:
    desk = PostOffice(users=1)
    first = desk.connect()
    _, (row,) = left_in_hand(desk)
    desk.stop(first)
    second = desk.connect()
    desk.environment.time += timedelta(minutes=5)
    assert again(desk, [row]) == ["+2348030000000"]
    known = desk.row(row)
    assert (known.integration, known.taken_at) == (second, desk.environment.now())
    assert (known.hand_over, desk.intake.deliveries[0].lane.integration) == ("under-way", second)
    desk.run(settle({row: Outcome(Verdict.ACCEPTED)}))
    assert again(desk, [row]) == [], "somebody was faster"


def test_what_was_cancelled_or_is_not_wanted_any_more_is_not_sent_again() -> None:
    desk = PostOffice(users=3)
    desk.connect()
    broadcast, rows = left_in_hand(desk, purpose="marketing")
    desk.perform(User, desk.users[0], OptOut())
    desk.perform(User, desk.users[1], SuspendUser(reason="fraud"))
    assert again(desk, rows) == [UNWANTED, GONE, "+2348030000002"]
    desk.perform(BroadcastMessage, broadcast, CancelBroadcast())
    assert again(desk, rows) == [CANCELLED] * 3
    desk.run(settle({each: Outcome(Verdict.ABSENT, CANCELLED) for each in rows}))
    assert desk.row(rows[0]).error_message == CANCELLED
    known = desk.broadcast(broadcast)
    assert (known.sent_count, known.failed_count, known.unknown_count) == (0, 3, 0)


def test_what_is_repeated_by_a_person_goes_though_its_broadcast_is_over() -> None:
    desk = PostOffice(users=1)
    desk.providers = desk.through  # type: ignore[assignment]
    broadcast = desk.sending(purpose="marketing")
    intake = desk.take(broadcast)
    (row,) = [each.id for each in intake.deliveries]
    desk.go_on(broadcast, intake, Verdict.FAILED)
    desk.perform(NotificationHistory, repeat_id(row), RetryNotification(parent=row))
    desk.run(take_waiting([repeat_id(row)], desk.intake))
    assert [each.order.to for each in desk.intake.deliveries] == ["+2348030000000"]
    assert again(desk, [repeat_id(row)]) == ["+2348030000000"]
    desk.perform(User, desk.users[0], OptOut())
    assert again(desk, [repeat_id(row)]) == [UNWANTED]


@pytest.mark.parametrize("still", ["error", "paused", "outbound"])
def test_a_broadcast_that_stands_still_loses_nobody_it_had_in_hand(still: str) -> None:
    desk = PostOffice(users=2)
    sms = desk.connect()
    broadcast, rows = left_in_hand(desk)
    line = endpoint_of(desk.uow(), desk.uow().read(ApiIntegration, sms))
    switch = {
        "error": lambda: desk.run(open_breaker(sms, 5)),
        "paused": lambda: desk.perform(BroadcastMessage, broadcast, PauseBroadcast()),
        "outbound": lambda: desk.run(SwitchOutbound(enabled=False).work),
    }
    back = {
        "error": lambda: desk.perform(ApiIntegration, sms, TestIntegration().after(line, GOOD)),
        "paused": lambda: desk.perform(BroadcastMessage, broadcast, ResumeBroadcast()),
        "outbound": lambda: desk.run(SwitchOutbound(enabled=True).work),
    }
    switch[still]()
    assert again(desk, rows) == []
    assert {desk.row(each).hand_over for each in rows} == {HandOver.UNDER_WAY}
    back[still]()
    assert len(again(desk, rows)) == 2


def test_what_may_still_be_on_its_way_is_known_by_its_lane() -> None:
    desk = PostOffice()
    assert desk.lane().on_the_way == timedelta(0), "a file has what was written"
    desk.connect()
    assert desk.lane().on_the_way == timedelta(minutes=2)
    row = desk.alone()
    desk.taken(row)
    desk.environment.time += timedelta(seconds=5)
    desk.taken(row)
    (doubt,) = desk.intake.doubts
    assert desk.environment.now() - doubt.taken_at == timedelta(seconds=5)
    assert doubt.lane.on_the_way == timedelta(minutes=2)


def test_conversations_with_a_mail_server_are_counted_in_the_whole_process() -> None:
    desk = PostOffice()
    former = desk.connect("email")
    first, second = desk.lane(Channel.EMAIL).provider, desk.lane(Channel.EMAIL).provider
    assert isinstance(first, SmtpServer)
    assert isinstance(second, SmtpServer)
    assert first._conversations is second._conversations
    assert isinstance(first._conversations, asyncio.Semaphore)
    desk.stop(former)
    desk.connect("email")
    other = desk.lane(Channel.EMAIL).provider
    assert isinstance(other, SmtpServer)
    assert other._conversations is not first._conversations, "nobody waits for another server"


def test_the_line_of_a_message_shows_no_secret() -> None:
    desk = PostOffice()
    id_ = desk.environment.new_id()
    wish = CreateIntegration.model_validate(
        {
            "name": "A",
            "type": "email",
            "provider": "a",
            "baseUrl": "smtp://mail.example",
            "config": {"from": "ledger@rim.example"},
        }
    ).model_copy(update={"api_key": SecretStr("a-user"), "api_secret": SecretStr("a-password")})
    desk.perform(ApiIntegration, id_, wish)
    line = endpoint_of(desk.uow(), desk.uow().read(ApiIntegration, id_))
    assert (line.key, line.secret) == (SecretStr("a-user"), SecretStr("a-password"))
    assert "a-user" not in repr(line)
    assert "a-password" not in repr(line)

"""Whom messages go through: the active integration, and for those in hand the one they took."""

import asyncio
from typing import Any, cast
from uuid import UUID

import pytest
from pydantic import SecretStr

from rim_ledger.core import Refused, Unavailable
from rim_ledger.notifications.hand_over import look_at_chunk, settle, take_waiting
from rim_ledger.notifications.mail import Mail
from rim_ledger.notifications.notification import (
    HandOver,
    Notice,
    NotificationChannel,
    NotificationType,
    RecipientType,
)
from rim_ledger.notifications.parcel import Hand, Outcome
from rim_ledger.notifications.providers import Integrations
from rim_ledger.notifications.sms_gateway import SmsGateway
from rim_ledger.sending import Channel, Heard, Lane, Provider
from rim_ledger.system.breaker import Breaker
from rim_ledger.system.connecting import (
    ActivateIntegration,
    ArchiveIntegration,
    CreateIntegration,
    DeactivateIntegration,
    TestIntegration,
    UpdateIntegration,
)
from rim_ledger.system.integration import ApiIntegration, IntegrationTested, TestResult
from rim_ledger.system.line import line_to
from rim_ledger.system.mending import break_
from rim_ledger.system.outside import Outside
from tests.lending.desk import refused
from tests.notifications.desk import MessageDesk

FILE = cast("Provider", "the file of a development installation")
GOOD = IntegrationTested(result=TestResult.SUCCESS)
ADDRESS = {"sms": "https://sms.example", "email": "smtp://mail.example"}


class PostOffice(MessageDesk):
    """A desk whose messages go through integrations."""

    def __init__(self, users: int = 3, otherwise: Provider | None = FILE) -> None:
        super().__init__(users)
        way, breaker = Outside(development=True), cast("Breaker", None)
        self.through = Integrations(way, breaker, self.world, otherwise)
        self.hand = Hand(self.through)

    def connect(self, kind: str = "sms", **config: Any) -> UUID:
        id_ = self.world.new_id()
        config = {"from": "ledger@rim.example"[:20]} | config
        wish = {"name": "A", "type": kind, "provider": "a", "baseUrl": ADDRESS[kind]}
        form = CreateIntegration.model_validate(wish | {"config": config})
        self.perform(ApiIntegration, id_, form)
        line = line_to(self.book(), self.book().read(ApiIntegration, id_))
        self.perform(ApiIntegration, id_, TestIntegration().after(line, GOOD))
        self.perform(ApiIntegration, id_, ActivateIntegration())
        return id_

    def stop(self, integration: UUID) -> None:
        self.perform(ApiIntegration, integration, DeactivateIntegration())

    def lane(self, channel: Channel = Channel.SMS) -> Lane:
        return self.through.lane(channel, self.book())

    def taken(self, row: UUID) -> Lane:
        self.run(take_waiting([row], self.hand))
        (parcel,) = self.hand.parcels
        return parcel.lane

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
    assert (first.integration, first.name, first.rate) == (sms, str(sms), 7)
    assert (second.integration, second.name, second.rate) == (mail, str(mail), 50)
    assert isinstance(first.provider, SmsGateway)
    assert isinstance(second.provider, Mail)
    assert (first.closed, second.closed) == (None, None)


def test_who_is_in_error_gets_nothing_and_nobody_else_does_instead() -> None:
    desk = PostOffice()
    sms = desk.connect()
    desk.run(break_(sms, 5))
    lane = desk.lane()
    assert isinstance(lane.closed, Unavailable)
    assert (lane.integration, lane.closed.code, lane.given_up) == (sms, "sender-out-of-use", False)
    desk.stop(sms)
    assert desk.lane().provider is FILE
    former = desk.through.former(Channel.SMS, sms, desk.book())
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
    assert desk.hand.parcels[0].again
    assert desk.taken(desk.alone(1)).integration == second
    desk.stop(second)
    assert desk.taken(desk.alone(2)).integration is None


def test_of_a_chunk_that_somebody_had_in_hand_too() -> None:
    desk = PostOffice()
    desk.providers = desk.through  # type: ignore[assignment]
    first = desk.connect()
    broadcast = desk.sending()
    dead = desk.take(broadcast)
    assert {each.lane.integration for each in dead.parcels} == {first}
    desk.stop(first)
    desk.connect()
    desk.run(look_at_chunk(desk.chunk(broadcast).id, desk.hand))
    assert len(desk.hand.parcels) == 3
    assert {each.lane.integration for each in desk.hand.parcels} == {first}


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
    desk.run(settle([Outcome(row, Heard.UNKNOWN)]))
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
    hand = desk.take(broadcast)
    count = len(hand.parcels)
    desk.run(break_(sms, 5))
    desk.go_on(broadcast, hand)
    assert hand.parcels == []
    assert hand.seen == (4, 4)
    assert desk.take(broadcast).parcels == []
    assert desk.broadcast(broadcast).phase == "sending"
    line = line_to(desk.book(), desk.book().read(ApiIntegration, sms))
    desk.perform(ApiIntegration, sms, TestIntegration().after(line, GOOD))
    again = desk.take(broadcast)
    assert len(again.parcels) == count
    desk.go_on(broadcast, again)
    assert desk.broadcast(broadcast).sent_count == 2 * count


def test_conversations_with_mail_servers_are_counted_in_the_whole_process() -> None:
    desk = PostOffice()
    desk.connect("email")
    first, second = desk.lane(Channel.EMAIL).provider, desk.lane(Channel.EMAIL).provider
    assert isinstance(first, Mail)
    assert isinstance(second, Mail)
    assert first._conversations is second._conversations
    assert isinstance(first._conversations, asyncio.Semaphore)


def test_the_line_of_a_message_shows_no_secret() -> None:
    desk = PostOffice()
    id_ = desk.world.new_id()
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
    line = line_to(desk.book(), desk.book().read(ApiIntegration, id_))
    assert (line.key, line.secret) == (SecretStr("a-user"), SecretStr("a-password"))
    assert "a-user" not in repr(line)
    assert "a-password" not in repr(line)

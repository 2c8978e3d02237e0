"""Users, a broadcast and a sender in memory: what is carried, and what came of it."""

from datetime import timedelta
from typing import Any
from uuid import UUID

from rim_ledger.delivery.port import Channel, Lane, Outcome, Provider, Verdict
from rim_ledger.delivery.providers import RATES
from rim_ledger.engine.aggregate import SYSTEM, Actor, Event
from rim_ledger.engine.refusals import Refused, Unavailable
from rim_ledger.engine.unit_of_work import UnitOfWork, Work
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import RegisterUser
from rim_ledger.notifications.broadcast import (
    BroadcastChunk,
    BroadcastMessage,
    chunk_id,
)
from rim_ledger.notifications.broadcast_commands import DraftBroadcast, Frozen, SendBroadcast
from rim_ledger.notifications.delivery_rules import Intake, advance, check_chunk
from rim_ledger.notifications.notification import NotificationHistory, queue
from rim_ledger.system.config import SetConfig, setting
from tests.spec import Memory

DRAFT: dict[str, Any] = {
    "title": "We moved",
    "message": "Find us at 1 Marina.",
    "type": "sms",
    "target_audience": "all",
    "purpose": "notice",
}


VERDICTS = {each.value: each for each in Verdict} | {"sent": Verdict.ACCEPTED}
"""What a provider says of messages, by what they are then."""


class Through:
    """Everything goes through one provider, as long as nothing is wrong with it. For SMS it may be
    an integration."""

    def __init__(self, provider: Provider | None = None, sms: UUID | None = None) -> None:
        self.provider, self.sms = provider, sms
        self.closed: Refused | Unavailable | None = None
        self.given_up = False
        self.on_the_way = timedelta(0)

    def lane(self, channel: Channel, uow: UnitOfWork) -> Lane:
        return self.former(channel, self.sms if channel is Channel.SMS else None, uow)

    def former(self, channel: Channel, integration: UUID | None, uow: UnitOfWork) -> Lane:
        return Lane(
            name=channel,
            rate=setting(uow, "notifications", RATES[channel]),
            provider=self.provider,
            integration=integration,
            closed=self.closed,
            given_up=self.given_up,
            on_the_way=self.on_the_way,
        )


class MessageDesk(Memory):
    """A memory with some users in it, who can be written to."""

    def __init__(self, users: int = 3) -> None:
        super().__init__()
        self.providers = Through()
        self.users = [self.user(number) for number in range(users)]

    def user(self, number: int) -> UUID:
        user = self.environment.new_id()
        phone, email = f"0803{number:07}", f"u{number}@rim.example"
        self.perform(User, user, RegisterUser(phone=phone, email=email, name="Ada"))
        return user

    def run(self, work: Work, actor: Actor = SYSTEM) -> list[Event]:
        uow = self.uow(actor)
        work(uow)
        return self.keep(uow)

    def pace(self, per_second: int) -> None:
        for key in ("smsPerSecond", "emailPerSecond"):
            wish = SetConfig(category="notifications", key=key, value=per_second)
            self.run(wish.work)

    def draft(self, **more: Any) -> UUID:
        broadcast = self.environment.new_id()
        form = DraftBroadcast.model_validate(DRAFT | more)
        self.perform(BroadcastMessage, broadcast, form)
        return broadcast

    def broadcast(self, id: UUID) -> BroadcastMessage:
        return self.uow().read(BroadcastMessage, id)

    def chunk(self, id: UUID, number: int = 0) -> BroadcastChunk:
        return self.uow().read(BroadcastChunk, chunk_id(id, number))

    def row(self, id: UUID) -> NotificationHistory:
        return self.uow().read(NotificationHistory, id)

    def frozen(self, id: UUID) -> Frozen:
        return Frozen(self.broadcast(id).target, len(self.log), tuple(self.users))

    def send(self, id: UUID) -> list[Event]:
        wish = SendBroadcast().among(self.frozen(id))
        return self.perform(BroadcastMessage, id, wish)

    def sending(self, **more: Any) -> UUID:
        broadcast = self.draft(**more)
        self.send(broadcast)
        return broadcast

    def take(self, id: UUID, number: int = 0) -> Intake:
        """Look at a chunk and take its next batch."""
        intake, chunk = Intake(self.providers), chunk_id(id, number)
        self.run(check_chunk(chunk, intake))
        self.run(advance(chunk, {}, intake, intake.seen))
        return intake

    def go_on(self, id: UUID, intake: Intake, heard: Verdict = Verdict.ACCEPTED) -> list[Event]:
        """Record one outcome for everything in hand, and take the next batch."""
        outcomes = {each.id: Outcome(heard, "no such number") for each in intake.deliveries}
        return self.run(advance(chunk_id(id, 0), outcomes, intake, intake.seen))

    def queued(self, notice: Any) -> UUID:
        stream: list[UUID] = []

        def work(uow: Any) -> UUID:
            stream.append(queue(uow, notice, "Title", "Message"))
            return stream[0]

        self.run(work)
        return stream[0]

"""Commands on broadcasts, and their rules."""

from collections.abc import Iterable
from functools import partial
from typing import Annotated, Final, Self
from uuid import UUID

from msgspec import Struct
from pydantic import Field, PrivateAttr

from rim_ledger.delivery.kill_switch import require_open
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command, Creation, Form
from rim_ledger.engine.patch import Patch
from rim_ledger.engine.refusals import Invalid, require, require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork, decision
from rim_ledger.notifications.broadcast import (
    CHUNK,
    LEGAL,
    BroadcastCancelled,
    BroadcastChunk,
    BroadcastDrafted,
    BroadcastEdited,
    BroadcastFailed,
    BroadcastMessage,
    BroadcastPaused,
    BroadcastResumed,
    BroadcastScheduled,
    BroadcastStarted,
    BroadcastType,
    BroadcastUnscheduled,
    ChunkFrozen,
    Phase,
    Target,
    TargetAudience,
    chunk_id,
)
from rim_ledger.notifications.contact import Purpose
from rim_ledger.notifications.sms_text import Title, measured
from rim_ledger.notifications.template_text import substitute, variables_in
from rim_ledger.values import AnyId, Id, Text, Time

USERS_MAX: Final = 100_000
SEGMENTS_MAX: Final = 10
"""Segments of an SMS broadcast."""
EMPTY_AUDIENCE: Final = "There is nobody to write to."
UNFILLED: Final = "It has a variable that cannot be filled in."
VARIABLES: Final = ("name",)
"""Variables that are filled in for each recipient."""
SAMPLE_NAME: Final = "n" * 40
"""Placeholder for a name of usual length, to estimate SMS segments."""

Users = Annotated[list[AnyId], Field(min_length=1, max_length=USERS_MAX, fail_fast=True)]


class Frozen(Struct, frozen=True):
    """An audience: the target, and its users at a position of the log."""

    target: Target
    position: int
    users: tuple[UUID, ...]


class _DraftFields(Form):
    """What drafts and edits have in common: chosen users, resolved before the decision."""

    _users: tuple[UUID, ...] = PrivateAttr(default=())

    def to(self, users: tuple[UUID, ...]) -> Self:
        """Return a copy of the command with the resolved users."""
        return self.prepared(_users=users)


class DraftBroadcast(_DraftFields, Creation[BroadcastMessage]):
    """Draft a broadcast; nothing is sent yet. `{{name}}` stands for each recipient's name.
    `customUserIds` belongs to the audience `custom`, and to no other. Marketing waits from 20:00 to
    8:00 in Lagos, and excludes users who opted out."""

    title: Title
    message: Text
    type: Annotated[BroadcastType, Field(strict=False)]
    target_audience: Annotated[TargetAudience, Field(strict=False)]
    custom_user_ids: Users | None = None
    purpose: Annotated[Purpose, Field(strict=False)] = Purpose.MARKETING

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        _require_agreement(self.target_audience, self._users)
        require_known(self.title, self.message)
        _require_short(self.type, self.message)
        yield BroadcastDrafted.of(self, custom_user_ids=self._users)


class EditBroadcast(_DraftFields, Patch[BroadcastMessage]):
    """Change a draft; omitted fields stay as they are."""

    CLEARS = frozenset({"custom_user_ids"})

    title: Title | None = None
    message: Text | None = None
    type: Annotated[BroadcastType | None, Field(strict=False)] = None
    target_audience: Annotated[TargetAudience | None, Field(strict=False)] = None
    custom_user_ids: Users | None = None
    purpose: Annotated[Purpose | None, Field(strict=False)] = None

    def decide(self, aggregate: BroadcastMessage, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.phase, "edit", LEGAL)
        audience = self.target_audience or aggregate.target_audience
        custom = audience is TargetAudience.CUSTOM
        keeps = custom and not self.clears("custom_user_ids")
        ids = self._users or (aggregate.user_ids if keeps else ())
        _require_agreement(audience, ids)
        require_known(self.title or aggregate.title, self.message or aggregate.message)
        _require_short(self.type or aggregate.type, self.message or aggregate.message)
        changes = self.changes(aggregate)
        if ids != aggregate.user_ids:
            changes["custom_user_ids"] = ids
        if changes:
            yield BroadcastEdited(**changes)


class ScheduleBroadcast(Command[BroadcastMessage]):
    """Schedule a draft for a future time."""

    scheduled_for: Annotated[Time, Field(examples=["2027-01-15T09:00:00+01:00"])]

    @property
    def ruled_as(self) -> tuple[str, ...]:
        return (*super().ruled_as, "SendBroadcast")

    def decide(self, aggregate: BroadcastMessage, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.phase, "schedule", LEGAL)
        require_known(aggregate.title, aggregate.message)
        if self.scheduled_for <= uow.now:
            raise Invalid("not-in-future", "This time has passed.", "/scheduledFor")
        yield BroadcastScheduled(scheduled_for=self.scheduled_for)


class UnscheduleBroadcast(Command[BroadcastMessage]):
    """Turn a scheduled broadcast back into a draft."""

    def decide(self, aggregate: BroadcastMessage, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.phase, "unschedule", LEGAL)
        yield BroadcastUnscheduled()


class SendBroadcast(Command[BroadcastMessage]):
    """Send a broadcast now, to its audience at this moment. `phase` and the counts show its
    progress."""

    _frozen: Frozen | None = PrivateAttr(default=None)

    def among(self, frozen: Frozen) -> Self:
        """Return a copy of the command with the frozen audience."""
        return self.prepared(_frozen=frozen)

    def decide(self, aggregate: BroadcastMessage, uow: UnitOfWork) -> Iterable[Event]:
        require_open(uow)
        require_legal(aggregate.phase, "send", LEGAL)
        require_known(aggregate.title, aggregate.message)
        assert self._frozen, "the audience is known before the decision"
        same = self._frozen.target == aggregate.target
        require(same, "changed-meanwhile", "The broadcast was changed while users were counted.")
        require(bool(self._frozen.users), "empty-audience", EMPTY_AUDIENCE)
        yield _start(aggregate, self._frozen, uow)


class PauseBroadcast(Command[BroadcastMessage]):
    """Pause a broadcast: no further messages are sent until it is resumed."""

    def decide(self, aggregate: BroadcastMessage, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.phase, "pause", LEGAL)
        yield BroadcastPaused()


class ResumeBroadcast(Command[BroadcastMessage]):
    """Resume a broadcast. Earlier failures do not pause it again."""

    def decide(self, aggregate: BroadcastMessage, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.phase, "resume", LEGAL)
        yield BroadcastResumed()


class CancelBroadcast(Command[BroadcastMessage]):
    """Cancel a broadcast: no further messages are sent. It counts as sent if any message was
    accepted, else as failed."""

    def decide(self, aggregate: BroadcastMessage, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.phase, "cancel", LEGAL)
        yield BroadcastCancelled()


class CloneBroadcast(Creation[BroadcastMessage]):
    """Create a draft with the same content and audience."""

    source: Id

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        source = uow.read(BroadcastMessage, self.source)
        require_known(source.title, source.message)
        yield BroadcastDrafted.of(source, custom_user_ids=source.user_ids)


@decision
def begin_due(uow: UnitOfWork, id: UUID, frozen: Frozen) -> None:
    """Start a scheduled broadcast."""
    uow.act_upon(id)
    broadcast = uow.read(BroadcastMessage, id)
    due = broadcast.phase is Phase.SCHEDULED and frozen.target == broadcast.target
    if due and (broadcast.scheduled_for or uow.stamp.at) <= uow.stamp.at:
        try:
            require_known(broadcast.title, broadcast.message)
            event: Event = BroadcastFailed(reason=EMPTY_AUDIENCE)
            if frozen.users:
                event = _start(broadcast, frozen, uow)
        except Invalid:
            event = BroadcastFailed(reason=UNFILLED)
        uow.append(BroadcastMessage, id, [event])


def _start(broadcast: BroadcastMessage, frozen: Frozen, uow: UnitOfWork) -> BroadcastStarted:
    """Store the audience in chunks, each a stream of its own."""
    parts = [frozen.users[at : at + CHUNK] for at in range(0, len(frozen.users), CHUNK)]
    streams = [chunk_id(broadcast.id, number) for number in range(len(parts))]
    uow.look_ahead(partial(uow.version, stream) for stream in streams)
    for number, (stream, users) in enumerate(zip(streams, parts, strict=True)):
        frozen_part = ChunkFrozen(broadcast_id=broadcast.id, number=number, user_ids=users)
        uow.open_stream(BroadcastChunk, stream, [frozen_part])
    size = len(frozen.users)
    return BroadcastStarted(position=frozen.position, size=size, chunks=len(parts))


def _require_agreement(audience: TargetAudience, users: tuple[UUID, ...]) -> None:
    if (audience is TargetAudience.CUSTOM) != bool(users):
        words = "The audience custom goes with customUserIds, and no other does."
        raise Invalid("audience-mismatch", words, "/customUserIds")


def require_known(title: str, message: str) -> None:
    """Refuse (422, with the pointer) a text with a variable that cannot be filled in."""
    for field, text in (("title", title), ("message", message)):
        for found in variables_in(field, text):
            if found[1] not in VARIABLES:
                known = " and ".join(f"{{{{{name}}}}}" for name in VARIABLES)
                place = f"{{{{{found[1]}}}}} at character {found.start() + 1}"
                words = f"{place} cannot be filled in; a broadcast knows {known}."
                raise Invalid("unknown-variable", words, f"/{field}")


def _require_short(type_: BroadcastType, message: str) -> None:
    sample = substitute(message, dict.fromkeys(VARIABLES, SAMPLE_NAME))
    if type_ is not BroadcastType.EMAIL and measured(sample).segments > SEGMENTS_MAX:
        words = f"An SMS to many has at most {SEGMENTS_MAX} segments."
        raise Invalid("too-many-segments", words, "/message")

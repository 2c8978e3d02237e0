"""A proposal: a command that waits for another admin's approval, and what becomes of it."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, Self, assert_never
from uuid import UUID

from msgspec import Struct

from rim_ledger.engine.aggregate import (
    Aggregate,
    Event,
    FrozenMeta,
    Personal,
    PersonalMap,
    Reader,
    Stamp,
)
from rim_ledger.engine.refusals import require_legal

REMINDER: Final = "proposal"
"""The kind of reminder that has a proposal expire."""


class ProposalStatus(StrEnum):
    """What became of a proposal."""

    PENDING = "pending"
    APPROVED = "approved"
    """It was approved and carried out."""
    REJECTED = "rejected"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"
    FAILED = "failed"
    """It was approved, but a rule forbids it now."""


LEGAL: Final[Mapping[str, tuple[str, ...]]] = dict.fromkeys(ProposalStatus, ()) | {
    ProposalStatus.PENDING: ("approve", "reject", "withdraw")
}


class DecidedOn(Struct, metaclass=FrozenMeta, rename="camel"):
    """A stream that a decision looked at, and its version then."""

    entity: str
    id: UUID
    version: int


class Effect(Struct, metaclass=FrozenMeta, omit_defaults=True, rename="camel"):
    """What a command would do to one object: its events, and the old and the new value of each
    field that is no personal data."""

    entity: str
    id: UUID
    events: list[str]
    fields: dict[str, Any] = {}


class CommandProposed(Event):
    """An admin asked for what takes two people. It was decided, and is not done."""

    command: str
    permission: str
    """What the command needs, such as loans.disbursement:write."""
    entity: str
    target: UUID
    """The stream that the command is about, or will begin."""
    expires_at: datetime
    path: dict[str, str] = {}
    """The words of the path."""
    body: dict[str, Any] = {}
    """The body, without personal and secret fields."""
    words: PersonalMap = {}
    """The personal fields of the body."""
    secrets: list[str] = []
    """The names of its secret fields, which wait beside the log."""
    about: UUID | None = None
    """Under whose key the words are sealed; under the proposal's own when null."""
    amount: Decimal | None = None
    """Naira."""
    decided_on: list[DecidedOn] = []
    effects: list[Effect] = []


class ProposalApproved(Event):
    """Another admin approved it, and it was done in the same commit."""


class ProposalRejected(Event):
    """Another admin said no. `note` is the reason where the proposal is about no person."""

    reason: Personal = None
    note: str | None = None


class ProposalWithdrawn(Event):
    """Its maker withdrew it."""


class ProposalExpired(Event):
    """No admin decided on it in time."""


class ProposalFailed(Event):
    """It was approved, but a rule forbids it now: nothing was done."""

    code: str
    detail: str


ProposalEvent = (
    ProposalApproved | ProposalRejected | ProposalWithdrawn | ProposalExpired | ProposalFailed
)


class Proposal(Aggregate):
    command: str
    permission: str
    entity: str
    target: UUID
    expires_at: datetime
    path: dict[str, str]
    body: dict[str, Any]
    words: dict[str, Any]
    """Sealed. When the proposal has ended, only words under the key of a person are left."""
    secrets: list[str]
    about: UUID | None
    amount: Decimal | None
    decided_on: list[DecidedOn]
    effects: list[Effect]
    maker: UUID
    api_key: UUID | None
    """The maker's key, if a machine proposed for them."""
    created_at: datetime
    has_own_key: bool
    """Whether its words are sealed under a key of its own, which goes when it ends."""
    status: ProposalStatus = ProposalStatus.PENDING
    decided_by: UUID | None = None
    """The admin who approved or rejected it."""
    reason: str | None = None
    failure_code: str | None = None
    failure_detail: str | None = None
    ended_at: datetime | None = None

    @property
    def person(self) -> UUID:
        return self.about or self.id

    @property
    def key_destroyed(self) -> bool:
        return self.has_own_key and self.ended

    @property
    def ended(self) -> bool:
        return self.status is not ProposalStatus.PENDING

    def known_to(self, reader: Reader) -> bool:
        return reader.stamp.customer is None

    @classmethod
    def begin(cls, id: UUID, event: CommandProposed, stamp: Stamp) -> Self:
        assert stamp.admin, "an admin proposes"
        return cls.made(
            id,
            event,
            maker=stamp.admin,
            api_key=stamp.actor.api_key,
            created_at=stamp.at,
            has_own_key=bool(event.words) and event.about is None,
        )

    def evolve(self, event: ProposalEvent, stamp: Stamp) -> Self:
        match event:
            case ProposalApproved():
                return self._end(ProposalStatus.APPROVED, stamp, decided_by=stamp.admin)
            case ProposalRejected():
                decided = {"decided_by": stamp.admin, "reason": event.reason or event.note}
                return self._end(ProposalStatus.REJECTED, stamp, **decided)
            case ProposalWithdrawn():
                return self._end(ProposalStatus.WITHDRAWN, stamp)
            case ProposalExpired():
                return self._end(ProposalStatus.EXPIRED, stamp)
            case ProposalFailed():
                failure = {"failure_code": event.code, "failure_detail": event.detail}
                return self._end(ProposalStatus.FAILED, stamp, decided_by=stamp.admin, **failure)
            case _:
                assert_never(event)

    def _end(self, status: ProposalStatus, stamp: Stamp, **changes: Any) -> Self:
        words = {} if self.has_own_key else self.words
        return self.but(status=status, ended_at=stamp.at, words=words, **changes)

    def require_pending(self, command: str) -> None:
        """Refuse a command on a proposal that has ended."""
        require_legal(self.status, command, LEGAL)

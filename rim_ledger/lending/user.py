"""A user: a borrower, with status, score and limit, debts and credit.

All money of a user is in this one stream, so that concurrent requests are decided one by one.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar, Final, Self, TypeVar, assert_never
from uuid import UUID

from msgspec.structs import replace

from rim_ledger.engine.aggregate import NOWHERE, Aggregate, Event, Personal, Stamp, shared
from rim_ledger.engine.refusals import require
from rim_ledger.lending.owed import Completion, Debt, Part
from rim_ledger.lending.policy import ScoreInputs
from rim_ledger.lending.repayment_shares import is_late
from rim_ledger.lending.restatement import (
    DebtChargesWaived,
    DebtFeeCharged,
    DebtRescheduled,
    DebtWriteOffUndone,
    DebtWrittenOff,
)
from rim_ledger.values import ZERO
from rim_ledger.vault.personal_keys import Fingerprint, MaybeFingerprint, hashes

HISTORICAL_AFTER: Final = timedelta(days=7)


def is_historical(stamp: Stamp) -> bool:
    """Return whether a loan request is imported history, by its business time: it is recorded long
    after it happened, and sends no airtime."""
    return stamp.at < stamp.noted_at - HISTORICAL_AFTER


class UserRegistered(Event):
    user_id: str
    phone: Personal
    email: Personal
    name: Personal
    phone_hash: Fingerprint
    email_hash: Fingerprint
    credit_score: int
    credit_limit: Decimal
    auto_limit_enabled: bool


class UserContactChanged(Event):
    """Holds changed fields only."""

    phone: Personal = None
    email: Personal = None
    name: Personal = None
    phone_hash: MaybeFingerprint = None
    email_hash: MaybeFingerprint = None


class UserPhoneVerified(Event):
    """Staff have verified that the phone is still this user's."""


class CreditLimitSet(Event):
    limit: Decimal
    auto_limit_enabled: bool
    reason: Personal


class CreditScoreSet(Event):
    score: int
    reason: Personal


class AutoLimitEnabled(Event):
    pass


class AutoLimitDisabled(Event):
    pass


class UserSuspended(Event):
    reason: Personal


class UserReinstated(Event):
    pass


class UserDeactivated(Event):
    pass


class UserActivated(Event):
    pass


class CreditReserved(Event):
    """A loan was requested: its amount counts against the limit from now on."""

    loan_id: UUID
    amount: Decimal


class CreditReleased(Event):
    """A loan was rejected: its amount no longer counts."""

    loan_id: UUID


class DebtIncurred(Event):
    """A loan was disbursed: what was reserved is now owed."""

    loan_id: UUID
    principal: Decimal
    interest: Decimal
    due_at: datetime


class RepaymentAllocated(Event):
    """A payment, whose money came in at `paidAt`, was allocated; `credit` is what no loan could
    take."""

    transaction_id: UUID
    parts: tuple[Part, ...]
    credit: Decimal
    paid_at: datetime | None = None
    completed: tuple[Completion, ...] = ()


class CreditApplied(Event):
    """Credit paid for a loan; the latest of its money came in at `paidAt`."""

    part: Part
    paid_at: datetime | None = None
    completed: tuple[Completion, ...] = ()


class RepaymentReversed(Event):
    """A payment, whose money had come in at `paidAt`, does not count: its parts are owed again, and
    its credit is gone."""

    transaction_id: UUID
    parts: tuple[Part, ...]
    credit: Decimal
    paid_at: datetime | None = None


class CreditTakenBack(Event):
    """Credit that had paid for a loan is credit again; its money came in at `paidAt`."""

    part: Part
    paid_at: datetime | None = None


class CreditRefunded(Event):
    """Credit was paid back to the person."""

    amount: Decimal
    payment_method: str
    reference: str


class DebtReopened(Event):
    """A repaid loan is about to be owed again, without money that had come in at `paidAt`."""

    loan_id: UUID
    paid: Decimal
    due_at: datetime
    disbursed_at: datetime
    late: bool
    overdue: bool
    defaulted: bool
    paid_at: datetime | None = None
    restated_at: datetime | None = None
    original_due_at: datetime | None = None


class DebtCancelled(Event):
    """A disbursement was reversed: the amount is reserved again, and nothing is owed."""

    loan_id: UUID
    principal: Decimal


class DebtBecameOverdue(Event):
    loan_id: UUID


class DebtDefaulted(Event):
    loan_id: UUID


class DebtDefaultReversed(Event):
    loan_id: UUID


class CreditScoreRecomputed(Event):
    """The user's score by the policy, as of `effectiveAt`, the time of its cause."""

    score: int
    policy: str
    inputs: ScoreInputs
    effective_at: datetime | None = None


class CreditLimitAdjusted(Event):
    """The user's limit by the policy, as of `effectiveAt`, the time of its cause."""

    limit: Decimal
    policy: str
    score: int
    reason: str
    effective_at: datetime | None = None


class CreditDefaulted(Event):
    """Credit stayed negative for as long as a loan may be past due before it defaults."""


class UserOptedOut(Event):
    """No marketing is sent to this user any more."""


class UserOptedIn(Event):
    pass


class UserDeleted(Event):
    pass


class UserErased(Event):
    """The key of this person's data was destroyed in the same commit."""


UserEvent = (
    UserContactChanged
    | UserPhoneVerified
    | CreditLimitSet
    | CreditScoreSet
    | AutoLimitEnabled
    | AutoLimitDisabled
    | UserSuspended
    | UserReinstated
    | UserDeactivated
    | UserActivated
    | CreditReserved
    | CreditReleased
    | DebtIncurred
    | RepaymentAllocated
    | CreditApplied
    | RepaymentReversed
    | CreditTakenBack
    | CreditRefunded
    | DebtReopened
    | DebtCancelled
    | DebtBecameOverdue
    | DebtFeeCharged
    | DebtChargesWaived
    | DebtWrittenOff
    | DebtWriteOffUndone
    | DebtRescheduled
    | DebtDefaulted
    | DebtDefaultReversed
    | CreditScoreRecomputed
    | CreditLimitAdjusted
    | CreditDefaulted
    | UserOptedOut
    | UserOptedIn
    | UserDeleted
    | UserErased
)


V = TypeVar("V")


class UserStatus(StrEnum):
    """Whether a user may borrow. A repayment is accepted in every status."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    SUSPENDED = "suspended"


LEGAL: Final[Mapping[str, tuple[str, ...]]] = {
    UserStatus.ACTIVE: ("deactivate", "suspend"),
    UserStatus.INACTIVE: ("activate", "suspend"),
    UserStatus.SUSPENDED: ("reinstate",),
}


class RepaymentStatus(StrEnum):
    """The status of all loans together (domain §1)."""

    OVERDUE = "Overdue"
    PARTIAL = "Partial"
    PENDING = "Pending"
    COMPLETED = "Completed"


class User(Aggregate):
    BUSINESS_ID: ClassVar[str | None] = "user_id"

    user_id: str
    phone: str | None
    email: str | None
    name: str | None
    phone_hash: str
    email_hash: str
    credit_score: int
    credit_limit: Decimal
    auto_limit_enabled: bool
    created_at: datetime
    heard_at: datetime
    """When there last was a sign that the phone is this user's: it was entered or verified, or a
    payment came in."""
    contacts: frozenset[str]
    """Keyed hashes of every phone and e-mail that the user has or had."""
    made_by: dict[UUID, datetime] = {}
    """The admins who registered the user, changed contact, limit or score, or imported loans, which
    affect the score; each with the time last recorded."""
    status: UserStatus = UserStatus.ACTIVE
    total_loans: int = 0
    reserved: dict[UUID, Decimal] = {}
    debts: dict[UUID, Debt] = {}
    credit_balance: Decimal = ZERO
    credit_at: datetime | None = None
    """The latest time of the money that is credit."""
    overdrawn_at: datetime | None = None
    """Since when the credit is negative; None if it is not."""
    credit_from: tuple[UUID, ...] = ()
    """The payments that the credit came from, also through credit taken back: complete, though the
    money of some may be spent."""
    applied: dict[UUID, Part] = {}
    total_repaid: Decimal = ZERO
    completed_on_time: int = 0
    completed_late: int = 0
    defaults: dict[UUID, datetime] = {}
    opted_out: bool = False
    deleted_at: datetime | None = None
    erased: bool = False

    @property
    def claims(self) -> frozenset[tuple[str, str]]:
        if self.erased:
            return NOWHERE
        return frozenset([("user-phone", self.phone_hash), ("user-email", self.email_hash)])

    @property
    def key_destroyed(self) -> bool:
        return self.erased

    @property
    def gone(self) -> bool:
        """Whether the user was deleted or erased. Money that comes in is still accepted."""
        return self.erased or self.deleted_at is not None

    @property
    def exposure(self) -> Decimal:
        """Naira that count against the limit: principal owed, loans not yet disbursed, and negative
        credit."""
        owed = (debt.principal for debt in self.debts.values())
        return sum(self.reserved.values(), ZERO) + sum(owed, ZERO) + self.overdrawn

    @property
    def overdrawn(self) -> Decimal:
        """Naira that the user owes beside all loans: negative credit."""
        return max(ZERO, -self.credit_balance)

    @property
    def may_default_since(self) -> datetime | None:
        """Since when the credit has been negative, unless that is a default already."""
        since, defaulted = self.overdrawn_at, self.defaults.get(self.id)
        return None if since and defaulted and defaulted >= since else since

    @property
    def unfinished(self) -> int:
        """How many loans are neither rejected nor completed."""
        return len(self.reserved) + len(self.debts)

    @property
    def repayment_status(self) -> RepaymentStatus:
        debts = self.debts.values()
        if any(debt.overdue or debt.defaulted for debt in debts):
            return RepaymentStatus.OVERDUE
        if any(debt.paid for debt in debts):
            return RepaymentStatus.PARTIAL
        if not debts and self.completed_on_time + self.completed_late:
            return RepaymentStatus.COMPLETED
        return RepaymentStatus.PENDING

    @property
    def available(self) -> Decimal:
        """Naira that may still be borrowed; never below zero."""
        return max(ZERO, self.credit_limit - self.exposure)

    def words(self, reason: str) -> str | None:
        """Return a text about this person; None once erased: figures are still recorded, words are
        not."""
        return None if self.erased else reason

    def require_present(self) -> None:
        require(not self.gone, "user-gone", "The user is deleted or erased, and stays so.")

    @classmethod
    def begin(cls, id: UUID, event: UserRegistered, stamp: Stamp) -> Self:
        contacts, at = hashes(event.phone_hash, event.email_hash), stamp.at
        made = cls.made(id, event, created_at=at, heard_at=at, contacts=contacts)
        return made._made(stamp)

    def evolve(self, event: UserEvent, stamp: Stamp) -> Self:  # noqa: C901, PLR0911, PLR0912, PLR0915 - a line an event
        match event:
            case UserContactChanged():
                return self.but(
                    **event.changes,
                    heard_at=stamp.at if event.phone_hash else self.heard_at,
                    contacts=self.contacts | hashes(event.phone_hash, event.email_hash),
                )._made(stamp)
            case UserPhoneVerified():
                return self.but(heard_at=stamp.at)
            case CreditLimitSet():
                auto = event.auto_limit_enabled
                return self._made(stamp).but(credit_limit=event.limit, auto_limit_enabled=auto)
            case CreditScoreSet():
                return self._made(stamp).but(credit_score=event.score)
            case AutoLimitEnabled():
                return self.but(auto_limit_enabled=True)
            case AutoLimitDisabled():
                return self.but(auto_limit_enabled=False)
            case UserSuspended():
                return self.but(status=UserStatus.SUSPENDED)
            case UserDeactivated():
                return self.but(status=UserStatus.INACTIVE)
            case UserReinstated() | UserActivated():
                return self.but(status=UserStatus.ACTIVE)
            case CreditReserved():
                asked = self._made(stamp) if is_historical(stamp) else self
                return asked.but(
                    reserved=self.reserved | {event.loan_id: event.amount},
                    total_loans=self.total_loans + 1,
                )
            case CreditReleased():
                return self.but(reserved=_without(self.reserved, event.loan_id))
            case DebtIncurred():
                debt = Debt(**shared(Debt, event), disbursed_at=stamp.at)
                return self.but(
                    reserved=_without(self.reserved, event.loan_id),
                    debts=self.debts | {event.loan_id: debt},
                )
            case RepaymentAllocated():
                paid = self.but(heard_at=max(self.heard_at, stamp.at))
                for part in event.parts:
                    paid = paid._paid(part, event.completed, stamp.at)
                if not event.credit and paid.credit_balance <= ZERO:
                    return paid
                came = [event.transaction_id] if event.credit else []
                paid = paid.but(credit_from=(*self.credit_from, *came))
                return paid._credited(event.credit, event.paid_at or stamp.at)
            case CreditApplied():
                paid = self._paid(event.part, event.completed, stamp.at)
                loan, before = event.part.loan_id, self.applied.get(event.part.loan_id)
                applied = event.part.plus(before) if before else event.part
                spent = paid.but(applied=self.applied | {loan: applied})
                return spent._credited(-event.part.amount)
            case RepaymentReversed():
                return self._reversed(event, stamp.at)
            case CreditTakenBack():
                return self._taken_back(event.part, event.paid_at or stamp.at)
            case CreditRefunded():
                return self._credited(-event.amount)
            case DebtReopened() if event.loan_id in self.debts:
                return self  # As of the requested time, it was not repaid yet.
            case DebtReopened():
                return self._reopened(event)
            case DebtCancelled():
                return self.but(
                    debts=_without(self.debts, event.loan_id),
                    reserved=self.reserved | {event.loan_id: event.principal},
                )
            case DebtBecameOverdue():
                return self._mark(event.loan_id, overdue=True)
            case DebtFeeCharged():
                debt = self.debts[event.loan_id].charged(event.amount, stamp.at)
                return self._left(event.loan_id, debt, (), stamp.at)
            case DebtChargesWaived():
                debt = self.debts[event.loan_id].waived(event.charges, stamp.at)
                return self._left(event.loan_id, debt, event.completed, stamp.at)
            case DebtWrittenOff() | DebtWriteOffUndone():
                return self._mark(event.loan_id, restated_at=stamp.at)
            case DebtRescheduled():
                later = self.debts[event.loan_id].rescheduled(event.due_at, stamp.at)
                return self.but(debts=self.debts | {event.loan_id: later})
            case DebtDefaulted():
                defaults = self.defaults | {event.loan_id: stamp.at}
                return self._mark(event.loan_id, defaulted=True).but(defaults=defaults)
            case DebtDefaultReversed():
                defaults = _without(self.defaults, event.loan_id)
                return self._mark(event.loan_id, defaulted=False).but(defaults=defaults)
            case CreditDefaulted():
                return self.but(defaults=self.defaults | {self.id: stamp.at})
            case CreditScoreRecomputed():
                return self.but(credit_score=event.score)
            case CreditLimitAdjusted():
                return self.but(credit_limit=event.limit)
            case UserOptedOut():
                return self.but(opted_out=True)
            case UserOptedIn():
                return self.but(opted_out=False)
            case UserDeleted():
                return self.but(status=UserStatus.INACTIVE, deleted_at=stamp.at)
            case UserErased():
                return self.but(status=UserStatus.INACTIVE, erased=True)
            case _:
                assert_never(event)

    def _made(self, stamp: Stamp) -> Self:
        if stamp.admin is None:
            return self
        return self.but(made_by=self.made_by | {stamp.admin: stamp.noted_at})

    def _reversed(self, event: RepaymentReversed, at: datetime) -> Self:
        owing = self
        for part in event.parts:
            owing = owing._unpaid(part)
        left_from = tuple(each for each in self.credit_from if each != event.transaction_id)
        left = owing.but(credit_from=left_from)._credited(-event.credit)
        return left.but(overdrawn_at=(self.overdrawn_at or at) if left.overdrawn else None)

    def _reopened(self, event: DebtReopened) -> Self:
        debt = Debt(**shared(Debt, event), principal=ZERO, interest=ZERO)
        return self.but(
            debts=self.debts | {event.loan_id: debt},
            completed_on_time=self.completed_on_time - (not event.late),
            completed_late=self.completed_late - event.late,
        )

    def _taken_back(self, part: Part, paid_at: datetime) -> Self:
        left = self.applied[part.loan_id].plus(part, -1)
        rest = _without(self.applied, part.loan_id)
        applied = rest | {left.loan_id: left} if left.amount else rest
        return self._unpaid(part).but(applied=applied)._credited(part.amount, paid_at)

    def _credited(self, amount: Decimal, paid_at: datetime | None = None) -> Self:
        """Return the user with more or less credit. Its origins are cleared once no credit is left,
        nor applied credit that may come back."""
        balance = self.credit_balance + amount
        latest = max(filter(None, (self.credit_at, paid_at)), default=None)
        left = balance > ZERO
        return self.but(
            credit_balance=balance,
            credit_at=latest if left else None,
            credit_from=self.credit_from if left or self.applied else (),
            overdrawn_at=None if balance >= ZERO else self.overdrawn_at,
        )

    def _paid(self, part: Part, completed: tuple[Completion, ...], settled_at: datetime) -> Self:
        paid = self.but(total_repaid=self.total_repaid + part.amount)
        left = self.debts[part.loan_id].after(part, 1)
        return paid._left(part.loan_id, left, completed, settled_at)

    def _left(
        self, loan: UUID, debt: Debt, completed: tuple[Completion, ...], settled_at: datetime
    ) -> Self:
        """Return the user with the rest of a debt; without any, the loan counts as repaid."""
        if debt.outstanding > ZERO:
            return self.but(debts=self.debts | {loan: debt})
        ends = (each.paid_at for each in completed if each.loan_id == loan)
        late = is_late(debt.first_due_at, next(ends, None), settled_at)
        return self.but(
            debts=_without(self.debts, loan),
            completed_on_time=self.completed_on_time + (not late),
            completed_late=self.completed_late + late,
        )

    def _unpaid(self, part: Part) -> Self:
        owed = self.debts[part.loan_id].after(part, -1)
        total = self.total_repaid - part.amount
        return self.but(debts=self.debts | {part.loan_id: owed}, total_repaid=total)

    def _mark(self, loan: UUID, **changes: bool | datetime) -> Self:
        return self.but(debts=self.debts | {loan: replace(self.debts[loan], **changes)})


def _without(mapping: dict[UUID, V], key: UUID) -> dict[UUID, V]:
    return {other: value for other, value in mapping.items() if other != key}

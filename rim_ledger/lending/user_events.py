"""What can happen to a user: the events of the user's stream, and the parts of a payment."""

from datetime import datetime
from decimal import Decimal
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace

from rim_ledger.engine.core import Event, Personal
from rim_ledger.lending.policy import ScoreInputs
from rim_ledger.vault.fingerprints import Fingerprint, MaybeFingerprint


class Part(Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """What one loan gets of a payment, in naira."""

    loan_id: UUID
    principal: Decimal
    interest: Decimal

    @property
    def amount(self) -> Decimal:
        return self.principal + self.interest

    def plus(self, other: "Part") -> "Part":
        """Both parts of the same loan together."""
        return replace(
            self,
            principal=self.principal + other.principal,
            interest=self.interest + other.interest,
        )

    def minus(self, other: "Part") -> "Part":
        """What is left of this part without the other."""
        return self.plus(replace(other, principal=-other.principal, interest=-other.interest))


class Completion(Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """A loan that a payment completes, and since when: the time of the latest of its money."""

    loan_id: UUID
    paid_at: datetime


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
    """Only what changed is set."""

    phone: Personal = None
    email: Personal = None
    name: Personal = None
    phone_hash: MaybeFingerprint = None
    email_hash: MaybeFingerprint = None


class UserPhoneVerified(Event):
    """Staff have made sure that the phone is still this user's."""


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
    """A payment, whose money came in at `paidAt`, was shared out; `credit` is what no loan could
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
    """A payment, whose money had come in at `paidAt`, turned out not to count: its parts are owed
    again, its credit is gone."""

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
    """A loan that was repaid is about to be owed again, without money that had come in at
    `paidAt`."""

    loan_id: UUID
    paid: Decimal
    due_at: datetime
    disbursed_at: datetime
    late: bool
    overdue: bool
    defaulted: bool
    paid_at: datetime | None = None


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
    """What the policy makes of the user, as of `effectiveAt`, the time of what had it asked."""

    score: int
    policy: str
    inputs: ScoreInputs
    effective_at: datetime | None = None


class CreditLimitAdjusted(Event):
    """What the policy allows the user, as of `effectiveAt`, the time of what had it asked."""

    limit: Decimal
    policy: str
    score: int
    reason: str
    effective_at: datetime | None = None


class CreditDefaulted(Event):
    """Credit stayed below zero for as long as a loan may be past due before it defaults."""


class UserOptedOut(Event):
    """No marketing is sent to this user any more."""


class UserOptedIn(Event):
    pass


class UserDeleted(Event):
    pass


class UserErased(Event):
    """The key of this person's words was destroyed in the same commit."""


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

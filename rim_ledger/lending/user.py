"""A user: a borrower, with standing, score and limit."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Self, assert_never
from uuid import UUID

from pydantic import Field

from rim_ledger.book import Book
from rim_ledger.core import (
    Aggregate,
    Command,
    Creation,
    Event,
    Personal,
    Refused,
    Stamp,
    require,
    require_legal,
)
from rim_ledger.lending.policy import SCORE_AT_START, limit_for
from rim_ledger.values import ZERO, Email, Limit, Name, Note, Phone


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


# Events: what can happen to a user.


class UserRegistered(Event):
    user_id: str
    phone: Personal
    email: Personal
    name: Personal
    phone_hash: str
    email_hash: str
    credit_score: int
    credit_limit: Decimal
    auto_limit_enabled: bool


class UserContactChanged(Event):
    """Only what changed is set."""

    phone: Personal = None
    email: Personal = None
    name: Personal = None
    phone_hash: str | None = None
    email_hash: str | None = None


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


UserEvent = (
    UserContactChanged
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
)


# The aggregate: what those events add up to.


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
    status: UserStatus = UserStatus.ACTIVE
    total_loans: int = 0
    reserved: dict[UUID, Decimal] = {}

    @property
    def exposure(self) -> Decimal:
        """Naira that count against the limit: the amounts of unfinished loans."""
        return sum(self.reserved.values(), ZERO)

    @property
    def available(self) -> Decimal:
        """Naira that may still be borrowed; never below zero."""
        return max(ZERO, self.credit_limit - self.exposure)

    @classmethod
    def begin(cls, id: UUID, event: UserRegistered, stamp: Stamp) -> Self:
        return cls(
            id=id,
            user_id=event.user_id,
            phone=event.phone,
            email=event.email,
            name=event.name,
            phone_hash=event.phone_hash,
            email_hash=event.email_hash,
            credit_score=event.credit_score,
            credit_limit=event.credit_limit,
            auto_limit_enabled=event.auto_limit_enabled,
            created_at=stamp.at,
        )

    def evolve(self, event: UserEvent, stamp: Stamp) -> Self:  # noqa: C901, PLR0911 - a line an event
        match event:
            case UserContactChanged():
                return self.but(
                    phone=event.phone or self.phone,
                    email=event.email or self.email,
                    name=event.name or self.name,
                    phone_hash=event.phone_hash or self.phone_hash,
                    email_hash=event.email_hash or self.email_hash,
                )
            case CreditLimitSet():
                return self.but(
                    credit_limit=event.limit, auto_limit_enabled=event.auto_limit_enabled
                )
            case CreditScoreSet():
                return self.but(credit_score=event.score)
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
                return self.but(
                    reserved=self.reserved | {event.loan_id: event.amount},
                    total_loans=self.total_loans + 1,
                )
            case CreditReleased():
                rest = {loan: x for loan, x in self.reserved.items() if loan != event.loan_id}
                return self.but(reserved=rest)
            case _:
                assert_never(event)


# Commands: what one may ask of a user, and the rule each must meet.


def _claim(book: Book, kind: str, text: str, user: UUID) -> str:
    """Take a phone or an e-mail for a user, by its keyed hash."""
    print_ = book.fingerprint(kind, text.casefold())
    taken = Refused(f"{kind}-taken", f"Another user has this {kind}.")
    book.claim(f"user-{kind}", print_, user, taken)
    return print_


class RegisterUser(Creation[User]):
    """Register a borrower. Score and limit follow the policy unless they are given."""

    phone: Phone
    email: Email
    name: Name
    credit_score: Annotated[int, Field(ge=0, le=1000)] = SCORE_AT_START
    credit_limit: Limit | None = None
    auto_limit_enabled: bool = True

    def begin(self, id: UUID, book: Book) -> Iterable[Event]:
        limit = self.credit_limit
        yield UserRegistered(
            user_id=book.number("USR"),
            phone=self.phone,
            email=self.email,
            name=self.name,
            phone_hash=_claim(book, "phone", self.phone, id),
            email_hash=_claim(book, "email", self.email, id),
            credit_score=self.credit_score,
            credit_limit=limit_for(self.credit_score) if limit is None else limit,
            auto_limit_enabled=self.auto_limit_enabled,
        )


class ChangeContact(Command[User]):
    """Change name, phone or e-mail; what is left out stays."""

    phone: Phone | None = None
    email: Email | None = None
    name: Name | None = None

    def decide(self, aggregate: User, book: Book) -> Iterable[Event]:
        def changed(field: str, wish: str | None) -> str | None:
            known = book.reveal(aggregate.id, getattr(aggregate, field))
            return wish if wish is not None and wish != known else None

        phone, email = changed("phone", self.phone), changed("email", self.email)
        name = changed("name", self.name)
        if not (phone or email or name):
            return
        event = UserContactChanged(
            phone=phone,
            email=email,
            name=name,
            phone_hash=phone and _claim(book, "phone", phone, aggregate.id),
            email_hash=email and _claim(book, "email", email, aggregate.id),
        )
        if event.phone_hash and event.phone_hash != aggregate.phone_hash:
            book.release("user-phone", aggregate.phone_hash)
        if event.email_hash and event.email_hash != aggregate.email_hash:
            book.release("user-email", aggregate.email_hash)
        yield event


class SetCreditLimit(Command[User]):
    """Set the limit by hand. Switches the automatic limit off unless it is kept."""

    limit: Limit
    reason: Note
    keep_auto: bool = False

    def decide(self, aggregate: User, book: Book) -> Iterable[Event]:
        auto = aggregate.auto_limit_enabled and self.keep_auto
        if (self.limit, auto) != (aggregate.credit_limit, aggregate.auto_limit_enabled):
            yield CreditLimitSet(limit=self.limit, auto_limit_enabled=auto, reason=self.reason)


class SetCreditScore(Command[User]):
    """Set the score by hand; the policy recomputes it at its next moment."""

    score: Annotated[int, Field(ge=0, le=1000)]
    reason: Note

    def decide(self, aggregate: User, book: Book) -> Iterable[Event]:
        if self.score != aggregate.credit_score:
            yield CreditScoreSet(score=self.score, reason=self.reason)


class EnableAutoLimit(Command[User]):
    """Let the policy move the limit, from its next moment on."""

    def decide(self, aggregate: User, book: Book) -> Iterable[Event]:
        require(not aggregate.auto_limit_enabled, "already-done", "The automatic limit is on.")
        yield AutoLimitEnabled()


class DisableAutoLimit(Command[User]):
    """Leave the limit where it is."""

    def decide(self, aggregate: User, book: Book) -> Iterable[Event]:
        require(aggregate.auto_limit_enabled, "already-done", "The automatic limit is off.")
        yield AutoLimitDisabled()


class SuspendUser(Command[User]):
    """Stop a user from borrowing, for a reason."""

    reason: Note

    def decide(self, aggregate: User, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "suspend", LEGAL)
        yield UserSuspended(reason=self.reason)


class ReinstateUser(Command[User]):
    """End a suspension."""

    def decide(self, aggregate: User, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "reinstate", LEGAL)
        yield UserReinstated()


class DeactivateUser(Command[User]):
    """Set a user aside without blame."""

    def decide(self, aggregate: User, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "deactivate", LEGAL)
        yield UserDeactivated()


class ActivateUser(Command[User]):
    """Bring an inactive user back."""

    def decide(self, aggregate: User, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "activate", LEGAL)
        yield UserActivated()

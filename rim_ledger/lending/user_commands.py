"""Commands on users: registration, contact, status, score and limit."""

from collections.abc import Callable, Iterable
from decimal import Decimal
from functools import partial
from typing import Annotated
from uuid import UUID

from pydantic import Field

from rim_ledger.customers.access import end_sessions
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Creation
from rim_ledger.engine.patch import Patch
from rim_ledger.engine.refusals import Refused, require, require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork, decision
from rim_ledger.engine.view import Claim
from rim_ledger.lending.policy import IN_FORCE, limit_for
from rim_ledger.lending.separation import BorrowerCommand, require_no_conflict, require_thawed
from rim_ledger.lending.user import (
    LEGAL,
    AutoLimitDisabled,
    AutoLimitEnabled,
    CreditLimitSet,
    CreditScoreSet,
    User,
    UserActivated,
    UserContactChanged,
    UserDeactivated,
    UserDeleted,
    UserErased,
    UserPhoneVerified,
    UserRegistered,
    UserReinstated,
    UserSuspended,
)
from rim_ledger.notifications.contact import notify_former_phone
from rim_ledger.payments.transaction import unsettled_of
from rim_ledger.support.ticket import tickets_of
from rim_ledger.values import ZERO, Email, Limit, Name, Note, Phone
from rim_ledger.vault.personal_keys import Vault


def _prints(fingerprint: Callable[[str, str], str], **given: str | None) -> dict[str, str]:
    """Return the keyed hashes of the given phone and e-mail, by kind."""
    return {kind: fingerprint(kind, text.casefold()) for kind, text in given.items() if text}


def _claim(uow: UnitOfWork, user: UUID, **given: str | None) -> dict[str, str]:
    """Claim the given phone and e-mail for a user by their keyed hashes; return these by kind."""
    prints = _prints(uow.fingerprint, **given)
    uow.look_ahead(partial(uow.holder, f"user-{kind}", each) for kind, each in prints.items())
    for kind, each in prints.items():
        taken = Refused(f"{kind}-taken", f"Another user has this {kind}.")
        uow.claim(f"user-{kind}", each, user, taken)
    return prints


class RegisterUser(Creation[User]):
    """Register a borrower. Score and limit follow the policy unless they are given, which needs the
    permission users.credit."""

    phone: Phone
    email: Email
    name: Name
    credit_score: Annotated[int, Field(ge=0, le=1000)] = IN_FORCE.at_start
    credit_limit: Limit | None = None
    auto_limit_enabled: bool = True

    @property
    def ruled_as(self) -> tuple[str, ...]:
        rated = {"credit_score", "credit_limit"} & self.model_fields_set
        return (*super().ruled_as, "SetCreditLimit") if rated else super().ruled_as

    def naira(self, aggregate: User | None, uow: UnitOfWork) -> Decimal:
        return limit_for(self.credit_score) if self.credit_limit is None else self.credit_limit

    def looks_up(self, vault: Vault) -> Iterable[Claim]:
        prints = _prints(vault.fingerprint, phone=self.phone, email=self.email)
        return [(f"user-{kind}", each) for kind, each in prints.items()]

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        limit = self.naira(None, uow)
        if {"credit_score", "credit_limit", "auto_limit_enabled"} & self.model_fields_set:
            uow.need("users.credit", "write")
            uow.role_limits.require_limit(limit)
        number = uow.number("USR")
        prints = _claim(uow, id, phone=self.phone, email=self.email)
        event = UserRegistered.of(
            self,
            user_id=number,
            phone_hash=prints["phone"],
            email_hash=prints["email"],
            credit_limit=limit,
        )
        require_no_conflict(uow, User.begin(id, event, uow.stamp))
        yield event


class ChangeContact(BorrowerCommand[User], Patch[User]):
    """Change name, phone or e-mail; omitted fields stay as they are. Not while a loan is approved
    and not delivered. The former phone is notified."""

    phone: Phone | None = None
    email: Email | None = None
    name: Name | None = None

    def decide(self, aggregate: User, uow: UnitOfWork) -> Iterable[Event]:
        changes = self.changes(aggregate, partial(uow.reveal, aggregate.id))
        if not changes:
            return
        require_thawed(uow, aggregate)
        phone, email = changes.get("phone"), changes.get("email")
        prints = _claim(uow, aggregate.id, phone=phone, email=email)
        event = UserContactChanged(
            **changes,
            phone_hash=prints.get("phone"),
            email_hash=prints.get("email"),
        )
        require_no_conflict(uow, aggregate.evolve(event, uow.stamp))
        if phone or email:
            notify_former_phone(uow, aggregate)
        if event.phone_hash and event.phone_hash != aggregate.phone_hash:
            uow.release("user-phone", aggregate.phone_hash)
            end_sessions(uow, aggregate.id)
        if event.email_hash and event.email_hash != aggregate.email_hash:
            uow.release("user-email", aggregate.email_hash)
        yield event


class VerifyPhone(BorrowerCommand[User]):
    """Confirm that the phone is still this user's: unused numbers are given to others. A user
    without a sign of life for 180 days gets no log-in code until then."""

    def decide(self, aggregate: User, uow: UnitOfWork) -> Iterable[Event]:
        yield UserPhoneVerified()


class SetCreditLimit(BorrowerCommand[User]):
    """Set the limit by hand. Switches the automatic limit off unless it is kept."""

    limit: Limit
    reason: Note
    keep_auto: bool = False

    def naira(self, aggregate: User | None, uow: UnitOfWork) -> Decimal:
        return self.limit

    def decide(self, aggregate: User, uow: UnitOfWork) -> Iterable[Event]:
        uow.role_limits.require_limit(self.limit)
        auto = aggregate.auto_limit_enabled and self.keep_auto
        if (self.limit, auto) != (aggregate.credit_limit, aggregate.auto_limit_enabled):
            yield CreditLimitSet(limit=self.limit, auto_limit_enabled=auto, reason=self.reason)


class SetCreditScore(BorrowerCommand[User]):
    """Set the score by hand; the policy recomputes it at the next relevant change."""

    score: Annotated[int, Field(ge=0, le=1000)]
    reason: Note

    def decide(self, aggregate: User, uow: UnitOfWork) -> Iterable[Event]:
        if self.score != aggregate.credit_score:
            yield CreditScoreSet(score=self.score, reason=self.reason)


class EnableAutoLimit(BorrowerCommand[User]):
    """Let the policy set the limit, from the next relevant change on."""

    def decide(self, aggregate: User, uow: UnitOfWork) -> Iterable[Event]:
        require(not aggregate.auto_limit_enabled, "already-done", "The automatic limit is on.")
        yield AutoLimitEnabled()


class DisableAutoLimit(BorrowerCommand[User]):
    """Leave the limit where it is."""

    def decide(self, aggregate: User, uow: UnitOfWork) -> Iterable[Event]:
        require(aggregate.auto_limit_enabled, "already-done", "The automatic limit is off.")
        yield AutoLimitDisabled()


class SuspendUser(BorrowerCommand[User]):
    """Stop a user from borrowing, for a reason."""

    reason: Note

    def decide(self, aggregate: User, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "suspend", LEGAL)
        end_sessions(uow, aggregate.id)
        yield UserSuspended(reason=self.reason)


class ReinstateUser(BorrowerCommand[User]):
    """End a suspension."""

    def decide(self, aggregate: User, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "reinstate", LEGAL)
        yield UserReinstated()


class DeactivateUser(BorrowerCommand[User]):
    """Deactivate a user, without a reason."""

    def decide(self, aggregate: User, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "deactivate", LEGAL)
        yield UserDeactivated()


class ActivateUser(BorrowerCommand[User]):
    """Activate an inactive user."""

    def decide(self, aggregate: User, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "activate", LEGAL)
        yield UserActivated()


class DeleteUser(BorrowerCommand[User]):
    """Delete a user who owes nothing, is owed nothing, and has no unfinished loan or payment. The
    history stays."""

    WHEN_GONE = True

    def decide(self, aggregate: User, uow: UnitOfWork) -> Iterable[Event]:
        require(aggregate.deleted_at is None, "already-done", "The user is deleted.")
        _require_settled(aggregate, uow)
        end_sessions(uow, aggregate.id)
        yield UserDeleted()


class EraseUser(BorrowerCommand[User]):
    """Erase a person: the key of their data is destroyed, everywhere and forever. Figures and
    proofs stay."""

    WHEN_GONE = True

    def decide(self, aggregate: User, uow: UnitOfWork) -> Iterable[Event]:
        require(not aggregate.erased, "already-done", "The user is erased.")
        _require_settled(aggregate, uow)
        yield from _erase(aggregate, uow)


@decision
def erase_again(uow: UnitOfWork, id: UUID) -> None:
    """Erase a person again, who was erased before an older backup was restored, or whose key was
    put back. No rule is checked, since that was decided then."""
    user = uow.read(User, id)
    if user.erased:
        uow.erase(id)
    else:
        uow.append(User, id, _erase(user, uow))


def _erase(user: User, uow: UnitOfWork) -> Iterable[Event]:
    uow.release("user-phone", user.phone_hash)
    uow.release("user-email", user.email_hash)
    end_sessions(uow, user.id)
    uow.erase(user.id)
    yield UserErased()


def _require_settled(user: User, uow: UnitOfWork) -> None:
    words = f"The user has {user.unfinished} unfinished loans; they must end first."
    require(not user.unfinished, "unfinished-loans", words)
    ends = "it must be repaid first" if user.overdrawn else "refund it first"
    credit = f"The user has {user.credit_balance} naira of credit; {ends}."
    require(user.credit_balance == ZERO, "credit-left", credit)
    waits = "The user has payments that are pending, or that failed with their money captured."
    require(not uow.listed(unsettled_of(user.id), 1), "unsettled-payments", waits)
    asks = "The user has tickets that are not resolved."
    require(not uow.listed(tickets_of(user.id), 1), "unresolved-tickets", asks)

"""A borrower's sessions, in a stream beside the user's, and who is admitted with one."""

from datetime import datetime, timedelta
from typing import Final, Self, assert_never
from uuid import UUID

from msgspec.structs import replace

from rim_ledger.admin.security_settings import SecuritySettings
from rim_ledger.admin.session import USES_RECORDED, Session, Sessions, closed, opened, seen
from rim_ledger.engine.aggregate import Actor, Aggregate, Event, Stamp
from rim_ledger.engine.refusals import Unauthenticated
from rim_ledger.engine.unit_of_work import Right, UnitOfWork
from rim_ledger.lending.user import User, UserStatus
from rim_ledger.values import derived_id


def access_stream(user: UUID) -> UUID:
    """Return the stream id of a borrower's access; the aggregate has the borrower's id."""
    return derived_id("customer-access", user)


class CustomerLoggedIn(Event):
    """The borrower logged in with a code that was sent to their phone, and a session began,
    identified by the hash of its token. It ends at `expiresAt`, or at `idleAt` if unused until
    then."""

    user_id: UUID
    session: str
    expires_at: datetime
    idle_at: datetime


class CustomerSeen(Event):
    """A session was used, for the first time in a while."""

    session: str
    idle_at: datetime


class CustomerLoggedOut(Event):
    session: str


class CustomerSessionsEnded(Event):
    """All sessions ended: the borrower was suspended, deleted or erased, or has another phone."""


CustomerAccessEvent = CustomerSeen | CustomerLoggedOut | CustomerSessionsEnded


class CustomerAccess(Aggregate):
    last_login: datetime
    sessions: Sessions

    @property
    def claims(self) -> frozenset[tuple[str, str]]:
        return frozenset(("token", session) for session in self.sessions)

    @classmethod
    def begin(cls, id: UUID, event: CustomerLoggedIn, stamp: Stamp) -> Self:
        return cls(id=event.user_id, last_login=stamp.at, sessions={}).evolve(event, stamp)

    def evolve(self, event: CustomerLoggedIn | CustomerAccessEvent, stamp: Stamp) -> Self:
        match event:
            case CustomerLoggedIn():
                begun = Session(event.expires_at, stamp.at, event.idle_at)
                return self.but(
                    last_login=stamp.at, sessions=opened(self.sessions, event.session, begun)
                )
            case CustomerSeen():
                return self.but(
                    sessions=seen(self.sessions, event.session, stamp.at, event.idle_at)
                )
            case CustomerLoggedOut():
                return self.but(sessions=closed(self.sessions, event.session))
            case CustomerSessionsEnded():
                return self.but(sessions={})
            case _:
                assert_never(event)


def access_of(uow: UnitOfWork, user: UUID) -> CustomerAccess | None:
    """Return the access of a borrower; None if they never logged in."""
    return uow.find(CustomerAccess, access_stream(user))


def end_sessions(uow: UnitOfWork, user: UUID) -> None:
    """End all sessions of a borrower."""
    access = access_of(uow, user)
    if access and access.sessions:
        uow.append(CustomerAccess, access_stream(user), [CustomerSessionsEnded()])


def log_out(uow: UnitOfWork, session: str) -> UUID:
    """End the session of the request; return the borrower's id."""
    user = uow.stamp.customer
    assert user, "a borrower holds the session"
    uow.append(CustomerAccess, access_stream(user), [CustomerLoggedOut(session=session)])
    return user


INACTIVE_AFTER: Final = timedelta(days=180)
"""After so long without a sign of the borrower, the phone number may belong to someone else."""

OWN_SESSION: Final[Right] = ("own", "session")
"""A right that every logged-in borrower has, and no admin."""
OWN: Final[frozenset[Right]] = frozenset(
    {
        OWN_SESSION,
        ("users", "read"),
        ("loans", "read"),
        ("loans", "write"),
        ("loan_products", "read"),
        ("transactions", "read"),
        ("tickets", "read"),
        ("tickets", "write"),
    }
)
"""The rights for routes that are open to borrowers."""


def act_as(user: User, uow: UnitOfWork) -> None:
    """Make a borrower the actor of the stamp, by number. Address and user agent are left out: the
    log is permanent, and personal data must be gone once a borrower is erased."""
    actor = Actor(type="user", id=user.id, name=user.user_id)
    uow.stamp = replace(uow.stamp, actor=actor, ip=None, user_agent=None)


def is_admitted(user: User) -> bool:
    """Return whether a borrower is admitted at all."""
    return not user.gone and user.status is not UserStatus.SUSPENDED


def may_have_changed_hands(user: User, uow: UnitOfWork) -> bool:
    """Return whether the phone number may have changed hands: for INACTIVE_AFTER there was
    neither a log-in nor a payment, nor did staff enter or verify the phone."""
    access = access_of(uow, user.id)
    heard = max(user.heard_at, access.last_login) if access else user.heard_at
    return uow.now - heard >= INACTIVE_AFTER


def enter(
    uow: UnitOfWork, access: CustomerAccess, token_hash: str, settings: SecuritySettings
) -> None:
    """Admit the borrower of a live session, and record from time to time that it is used.

    Raises Unauthenticated if the session has ended.
    """
    uow.activities.clear()  # The activity log is about admins.
    user, session = uow.read(User, access.id), access.sessions.get(token_hash)
    lives = session is not None and session.is_live(uow.now, settings.idle)
    if session is None or not lives or not is_admitted(user):
        raise Unauthenticated("unauthenticated", "Please log in: there is no live session.")
    act_as(user, uow)
    uow.rights = OWN
    if uow.now >= session.seen_at + settings.idle / USES_RECORDED:
        used = CustomerSeen(session=token_hash, idle_at=uow.stamp.at + settings.idle)
        uow.append(CustomerAccess, access_stream(user.id), [used])

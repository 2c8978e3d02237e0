"""A borrower's sessions, in a stream beside the user's."""

from datetime import datetime
from typing import Self, assert_never
from uuid import UUID

from rim_ledger.admin.session import Session, Sessions, closed, opened, seen
from rim_ledger.engine.aggregate import Aggregate, Event, Stamp
from rim_ledger.engine.unit_of_work import UnitOfWork
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
        for session in access.sessions:
            uow.release("token", session)
        uow.append(CustomerAccess, access_stream(user), [CustomerSessionsEnded()])


def log_out(uow: UnitOfWork, session: str) -> UUID:
    """End the session of the request; return the borrower's id."""
    user = uow.stamp.customer
    assert user, "whoever is let in with a session is a borrower"
    uow.release("token", session)
    uow.append(CustomerAccess, access_stream(user), [CustomerLoggedOut(session=session)])
    return user

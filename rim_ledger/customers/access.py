"""A borrower's own access: sessions, in a stream beside that of the borrower's money."""

from datetime import datetime
from typing import Self, assert_never
from uuid import UUID

from rim_ledger.admin.session import Session, Sessions, closed, opened, seen
from rim_ledger.engine.aggregate import Aggregate, Event, Stamp
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.values import derived_id


def access_stream(user: UUID) -> UUID:
    """The stream of a borrower's access; it shares the borrower's id."""
    return derived_id("customer-access", user)


# Events: how a borrower comes in and goes out.


class CustomerLoggedIn(Event):
    """A code that was sent to the borrower's phone was right, and a session began. It is named by
    the hash of its token. It ends at `expiresAt`, and at `idleAt` when it is left alone until
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
    """All of them, since the borrower was suspended, deleted or erased, or has another phone."""


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
    """The access of a borrower who has logged in before."""
    return uow.find(CustomerAccess, access_stream(user))


def end_sessions(uow: UnitOfWork, user: UUID) -> None:
    """End every session of a borrower, at once and for good."""
    access = access_of(uow, user)
    if access and access.sessions:
        for session in access.sessions:
            uow.release("token", session)
        uow.append(CustomerAccess, access_stream(user), [CustomerSessionsEnded()])


def log_out(uow: UnitOfWork, session: str) -> UUID:
    """End the session that the borrower asks with; whose it was."""
    user = uow.stamp.customer
    assert user, "whoever is let in with a session is a borrower"
    uow.release("token", session)
    uow.append(CustomerAccess, access_stream(user), [CustomerLoggedOut(session=session)])
    return user

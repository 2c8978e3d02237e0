"""An API key: a machine's credential, which acts for its owner within the rights of the key."""

from datetime import datetime, timedelta
from typing import Final, Self, assert_never
from uuid import UUID

from rim_ledger.admin.permissions import Permission, rights
from rim_ledger.engine.aggregate import NOWHERE, Aggregate, Event, Stamp
from rim_ledger.engine.refusals import Forbidden, require
from rim_ledger.engine.unit_of_work import Right, UnitOfWork

NOTED_EVERY: Final = timedelta(hours=1)
"""Precision of the time of the last use."""


class ApiKeyCreated(Event):
    """The key itself is shown once; the event holds its hash."""

    name: str
    owner: UUID
    token: str
    permissions: list[Permission]
    expires_at: datetime | None = None
    ip_whitelist: list[str] = []


class ApiKeyUsed(Event):
    """Recorded once an hour at most."""


class ApiKeyRevoked(Event):
    pass


ApiKeyEvent = ApiKeyUsed | ApiKeyRevoked


class ApiKey(Aggregate):
    name: str
    owner: UUID
    token: str
    permissions: list[Permission]
    rights: frozenset[Right]
    expires_at: datetime | None
    ip_whitelist: list[str]
    created_at: datetime
    last_used_at: datetime | None = None
    revoked_at: datetime | None = None

    @property
    def claims(self) -> frozenset[tuple[str, str]]:
        return NOWHERE if self.revoked_at else frozenset([("token", self.token)])

    def require_present(self) -> None:
        require(self.revoked_at is None, "already-done", "The key was revoked.")

    @classmethod
    def begin(cls, id: UUID, event: ApiKeyCreated, stamp: Stamp) -> Self:
        given = rights(event.permissions)
        return cls.made(id, event, rights=given, created_at=stamp.at)

    def evolve(self, event: ApiKeyEvent, stamp: Stamp) -> Self:
        match event:
            case ApiKeyUsed():
                return self.but(last_used_at=stamp.at)
            case ApiKeyRevoked():
                return self.but(revoked_at=stamp.at)
            case _:
                assert_never(event)

    def lives(self, now: datetime) -> bool:
        """Return whether it is neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


def require_session(uow: UnitOfWork) -> None:
    """Raise Forbidden (`session-required`) for an API key: only a logged-in person may do this."""
    if uow.stamp.actor.api_key:
        words = "An API key may not do this; log in for it."
        raise Forbidden("session-required", words)

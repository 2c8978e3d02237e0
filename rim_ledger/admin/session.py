"""Tokens, and sessions of a person: how they are opened, used and closed."""

import hashlib
from base64 import urlsafe_b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct

from rim_ledger.engine.environment import Environment
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.values import derived_id

TOKEN: Final = 32
"""Bytes of a token: 256 bits."""


def token_hash(token: str) -> str:
    """Return the hash under which the ledger stores a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def session_id(token: str) -> UUID:
    """Return the id of a session, given the hash of its token, which is not shown."""
    return derived_id("session", token)


def claim_token(uow: UnitOfWork, token: str, owner: UUID) -> str:
    """Claim a token for its owner, and return its hash."""
    hashed = token_hash(token)
    uow.claim("token", hashed, owner, Refused("already-exists", "The token is taken."))
    return hashed


def new_token(environment: Environment) -> str:
    """Return a random token, base64url."""
    return urlsafe_b64encode(environment.random(TOKEN)).decode().rstrip("=")


SESSIONS_MAX: Final = 20
"""Sessions per person; the newest are kept."""

SESSION: Final = timedelta(hours=12)
"""The longest life of a session."""

USES_RECORDED: Final = 10
"""How many uses of a session are recorded within its idle timeout at most: a session that times out
was unused for at least nine tenths of it."""


class Session(Struct, frozen=True, gc=False):
    """Ends at `expires_at`, or at `idle_at` if it is not used until then."""

    expires_at: datetime
    seen_at: datetime
    idle_at: datetime

    def is_live(self, now: datetime, idle: timedelta) -> bool:
        """Return whether it is live, given the present idle timeout. A session that has timed out
        stays ended, even if the timeout is raised later."""
        return now < min(self.expires_at, self.idle_at, self.seen_at + idle)


Sessions = Mapping[str, Session]
"""By the hash of each token, the oldest first."""


def opened(sessions: Sessions, token: str, session: Session) -> dict[str, Session]:
    """Return the sessions with a new one, without ended ones and those beyond SESSIONS_MAX."""
    now = session.seen_at
    live = [each for each in sessions.items() if now < min(each[1].expires_at, each[1].idle_at)]
    return dict([*live, (token, session)][-SESSIONS_MAX:])


def seen(sessions: Sessions, token: str, at: datetime, idle_at: datetime) -> dict[str, Session]:
    """Return the sessions with one used at a time."""
    return {
        each: Session(session.expires_at, at, idle_at) if each == token else session
        for each, session in sessions.items()
    }


def closed(sessions: Sessions, token: str) -> dict[str, Session]:
    """Return the sessions without one."""
    return {each: session for each, session in sessions.items() if each != token}

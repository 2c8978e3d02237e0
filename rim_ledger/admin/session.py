"""Sessions of a person: how long each admits, and what becomes of them."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct

SESSIONS_MAX: Final = 20
"""Sessions of one person; the newest stay."""

SESSION: Final = timedelta(hours=12)
"""How long a session lasts at most."""

SIGHTINGS: Final = 10
"""How often at most the use of a session is noted within the time that it may be left alone: who
is logged out for doing nothing has done nothing for nine tenths of it at least."""


class Session(Struct, frozen=True, gc=False):
    """A session ends at `expires_at`, and at `idle_at` when nobody uses it until then."""

    expires_at: datetime
    seen_at: datetime
    idle_at: datetime

    def is_live(self, now: datetime, idle: timedelta) -> bool:
        """Whether it admits, when it may be left alone for so long. What was left alone for too
        long stays ended, even if more is allowed by now."""
        return now < min(self.expires_at, self.idle_at, self.seen_at + idle)


Sessions = Mapping[str, Session]
"""By the hash of each token, the oldest first."""


def opened(sessions: Sessions, token: str, session: Session) -> dict[str, Session]:
    """With one more, and without those that have ended by then or are too many."""
    now = session.seen_at
    live = [each for each in sessions.items() if now < min(each[1].expires_at, each[1].idle_at)]
    return dict([*live, (token, session)][-SESSIONS_MAX:])


def seen(sessions: Sessions, token: str, at: datetime, idle_at: datetime) -> dict[str, Session]:
    """With one of them used at a time."""
    return {
        each: Session(session.expires_at, at, idle_at) if each == token else session
        for each, session in sessions.items()
    }


def closed(sessions: Sessions, token: str) -> dict[str, Session]:
    """Without one of them."""
    return {each: session for each, session in sessions.items() if each != token}

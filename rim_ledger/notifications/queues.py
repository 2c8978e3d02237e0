"""The lists of single messages to deliver: one per channel and state, the oldest first."""

from datetime import datetime
from uuid import UUID


def waiting(channel: str) -> str:
    """Return the list of waiting messages."""
    return f"notifications-{channel}"


def in_flight(channel: str) -> str:
    """Return the list of messages being delivered, also by a process that died."""
    return f"notifications-{channel}-in-hand"


def place(channel: str, since: datetime, id: UUID, *, taken: bool) -> tuple[str, str]:
    """Return the list that a message is on, and its entry there."""
    kind = in_flight if taken else waiting
    return kind(channel), f"{since:%Y%m%dT%H%M%S.%f}/{id}"

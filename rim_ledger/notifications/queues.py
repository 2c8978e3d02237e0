"""The lists of messages that are handed over one by one, a channel each, the oldest first."""

from datetime import datetime
from uuid import UUID


def waiting(channel: str) -> str:
    """The list of those that wait."""
    return f"notifications-{channel}"


def in_hand(channel: str) -> str:
    """The list of those that are being handed over, or were when a process died."""
    return f"notifications-{channel}-in-hand"


def place(channel: str, since: datetime, id: UUID, *, taken: bool) -> tuple[str, str]:
    """The list that a message stands on, and its name there."""
    kind = in_hand if taken else waiting
    return kind(channel), f"{since:%Y%m%dT%H%M%S.%f}/{id}"

"""Refusals: a rule said no, or the store cannot answer now."""

from collections.abc import Mapping, Sequence
from typing import Any


class Refused(Exception):
    """A rule said no. `code` is for programs, `detail` for people; nothing was changed."""

    replayed = False
    """Whether this is the stored answer to an earlier request with the same key."""

    def __init__(self, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.code, self.detail, self.more = code, detail, more


class NotFound(Refused):
    """There is no such thing, or none that the caller may know of."""

    def __init__(self, kind: str, id: object) -> None:
        super().__init__("not-found", f"There is no {kind} {id}.")


class Invalid(Refused):
    """The wish is well-formed and still cannot be meant."""

    def __init__(self, code: str, detail: str, pointer: str) -> None:
        super().__init__(code, detail, pointer=pointer)


class Stale(Refused):
    """The caller acted on an older version than the current one."""


class Forbidden(Refused):
    """The caller is known and may not do this."""


class Unauthenticated(Refused):
    """Nobody vouches for the caller."""


class Unavailable(Exception):
    """The store cannot be reached or is too busy. What was asked may be asked again."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def require(condition: bool, code: str, otherwise: str) -> None:
    """Refuse unless the condition holds."""
    if not condition:
        raise Refused(code, otherwise)


def require_legal(status: str, command: str, legal: Mapping[str, Sequence[str]]) -> None:
    """Refuse a command that is not among those legal in this status, and say which are."""
    allowed = sorted(legal[status])
    if command not in allowed:
        may = ", ".join(allowed) if allowed else "nothing"
        raise Refused(
            "invalid-transition",
            f"'{command}' is not possible while the status is '{status}'; possible now: {may}.",
            current=status,
            command=command,
            allowed=allowed,
        )

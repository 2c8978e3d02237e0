"""Refusals: a rule forbids the command, or the store cannot answer now."""

from collections.abc import Mapping, Sequence
from typing import Any


class Refused(Exception):
    """A rule forbids it. `code` is for programs, `detail` for people; nothing was changed."""

    replayed = False
    """Whether this is the stored answer to an earlier request with the same key."""

    def __init__(self, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.code, self.detail, self.more = code, detail, more


class NotFound(Refused):
    """It does not exist, or is not visible to the caller."""

    def __init__(self, kind: str, id: object) -> None:
        super().__init__("not-found", f"There is no {kind} {id}.")


class Invalid(Refused):
    """The request is well-formed, but its content is invalid."""

    def __init__(self, code: str, detail: str, pointer: str) -> None:
        super().__init__(code, detail, pointer=pointer)


class Stale(Refused):
    """The caller acted on an older version than the current one."""


class NeedsApproval(Refused):
    """An approval rule has it take two people, and it cannot wait for approval here."""

    def __init__(self, command: object) -> None:
        name = type(command).__name__
        super().__init__(
            "needs-approval",
            f"{name} takes two people: give it as a request of its own, or as a line of bulk that"
            " is not atomic; then it waits as a proposal until another admin approves it.",
            command=name,
        )
        self.of = command


class Forbidden(Refused):
    """The caller is known and may not do this."""


class Unauthenticated(Refused):
    """The caller is not authenticated."""


class QuotaExceeded(Refused):
    """The caller's quota of today is used up; `retryAfter` is in seconds."""

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__("quota-exceeded", detail, retryAfter=retry_after)


class Unavailable(Exception):
    """The store cannot be reached or is too busy. The request may be repeated."""

    def __init__(self, code: str, detail: str) -> None:
        super().__init__(detail)
        self.code, self.detail = code, detail


def require(condition: bool, code: str, otherwise: str) -> None:
    """Raise Refused unless the condition holds."""
    if not condition:
        raise Refused(code, otherwise)


def require_legal(status: str, command: str, legal: Mapping[str, Sequence[str]]) -> None:
    """Refuse a command that is not legal in this status, and list the legal ones."""
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

"""Refusals as RFC 9457 problems, with their statuses and headers."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from api.http.accept import NotAcceptable
from rim_ledger.engine.refusals import (
    Forbidden,
    Invalid,
    NotFound,
    Refused,
    Stale,
    Unauthenticated,
    Unavailable,
)
from rim_ledger.values import rfc3339

MEDIA_TYPE: Final = b"application/problem+json"
ERRORS_MAX: Final = 100
"""Maximum entries of `errors`."""
OWN_STATUS: Final = dict.fromkeys(
    ("too-many-attempts", "rate-limited", "too-much-unread", "quota-exceeded"), 429
)
"""Codes whose status differs from their class's."""


class Malformed(Refused):
    """The input cannot be parsed: JSON, a line, a cursor."""


class TooLarge(Refused):
    """A body above its route's limit."""


class TooSlow(Refused):
    """A body that arrives too slowly."""


class WrongType(Refused):
    """A body of a media type that the route does not read."""


class InvalidFields(Refused):
    """Invalid fields of a body or query; `errors` names the first ERRORS_MAX places."""

    def __init__(self, errors: Sequence[dict[str, str]], code: str = "invalid-fields") -> None:
        parts = [": ".join(filter(None, (each["pointer"], each["detail"]))) for each in errors[:3]]
        if more := len(errors) - len(parts):
            parts.append(f"… and {more:,} more")
        super().__init__(code, "; ".join(parts), errors=list(errors[:ERRORS_MAX]))


class Unsatisfiable(Refused):
    """A range outside of the file."""

    def __init__(self, size: int) -> None:
        words = f"The file has {size} bytes, so the Range begins behind its end."
        super().__init__("range-not-satisfiable", words)
        self.size = size


class NoRoute(Refused):
    """No route has this path."""


class MethodNotAllowed(Refused):
    """The path has no such method."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self.allow = ", ".join(sorted({*allowed, *(["HEAD"] if "GET" in allowed else [])}))
        super().__init__("method-not-allowed", f"This path takes {self.allow}.")


STATUS: Final[dict[type[Exception], int]] = {
    Refused: 409,
    NotFound: 404,
    Invalid: 422,
    Stale: 412,
    Forbidden: 403,
    Unauthenticated: 401,
    Unavailable: 503,
    Malformed: 400,
    TooLarge: 413,
    TooSlow: 408,
    WrongType: 415,
    InvalidFields: 422,
    NotAcceptable: 406,
    Unsatisfiable: 416,
    NoRoute: 404,
    MethodNotAllowed: 405,
}
"""Status by the nearest class of a refusal."""


def status_of(refusal: Exception) -> int:
    """The status of a refusal; 500 for any other error."""
    if own := OWN_STATUS.get(getattr(refusal, "code", "")):
        return own
    return next((STATUS[kind] for kind in type(refusal).__mro__ if kind in STATUS), 500)


def problem(refusal: Exception, path: str, request_id: str) -> dict[str, Any]:
    """The body of the answer; an error that is no refusal reveals nothing."""
    status = status_of(refusal)
    code = getattr(refusal, "code", "internal-error") if status != 500 else "internal-error"
    detail = (
        str(refusal)
        if status != 500
        else "Something went wrong here; the request id tells us what."
    )
    more = dict(getattr(refusal, "more", {}))
    if "pointer" in more:
        more["errors"] = [{"pointer": more.pop("pointer"), "code": code, "detail": detail}]
    return {
        "type": f"/problems/{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "instance": path,
        "code": code,
        "requestId": request_id,
    } | more


def headers_of(refusal: Exception) -> list[tuple[bytes, bytes]]:
    """Headers of a problem: WWW-Authenticate, Allow, Retry-After."""
    headers = []
    if isinstance(refusal, Unauthenticated):
        headers.append((b"www-authenticate", b'Bearer realm="rim-ledger"'))
    if isinstance(refusal, TooLarge | TooSlow):  # The rest of the body is not read.
        headers.append((b"connection", b"close"))
    if isinstance(refusal, Unsatisfiable):
        headers.append((b"content-range", b"bytes */%d" % refusal.size))
    if isinstance(refusal, MethodNotAllowed):
        headers.append((b"allow", refusal.allow.encode()))
    if status_of(refusal) in {429, 503}:
        seconds = getattr(refusal, "more", {}).get("retryAfter", 1)
        headers.append((b"retry-after", str(seconds).encode()))
    if hint := getattr(refusal, "more", {}).get("hint"):
        headers.append((b"ledger-hint", hint.encode()))
    if getattr(refusal, "replayed", False):
        headers.append((b"idempotency-replayed", b"true"))
    return headers


def encoded(body: Mapping[str, Any]) -> bytes:
    """JSON in UTF-8; ids, times (RFC 3339) and decimals as strings."""
    return json.dumps(body, ensure_ascii=True, default=_text).encode()


def _text(value: Any) -> str:
    return rfc3339(value) if isinstance(value, datetime) else str(value)

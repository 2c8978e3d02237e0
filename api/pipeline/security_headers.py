"""The outermost middleware: security headers, CORS, and bodies in pieces."""

import base64
import hashlib
import re
from collections.abc import Iterable
from typing import Final

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.call import Headers
from api.http.stream import PIECE_MAX
from api.pipeline.dispatcher import DOCS

CLOSED: Final = b"default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
"""The Content-Security-Policy of answers that are no pages: nothing is loaded or framed."""
ALWAYS: Final[Headers] = [
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
]
HSTS: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")
READABLE: Final = (
    "Accept-Ranges",
    "Allow",
    "Content-Disposition",
    "Content-Range",
    "ETag",
    "Idempotency-Replayed",
    "Ledger-Approximate",
    "Ledger-Hint",
    "Ledger-Position",
    "Location",
    "Preference-Applied",
    "RateLimit",
    "RateLimit-Policy",
    "Retry-After",
    "X-Request-Id",
)
SENDABLE: Final = (
    "Accept",
    "Authorization",
    "Content-Encoding",
    "Content-Type",
    "Idempotency-Key",
    "If-Match",
    "Last-Event-ID",
    "Ledger-Position",
    "Prefer",
    "Range",
    "If-Range",
    "X-Request-Id",
)
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
INLINE: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)


def origin_of(text: str) -> str:
    """An origin as browsers write it: in small letters, without the default port of its scheme."""
    scheme, _, place = text.lower().partition("://")
    return f"{scheme}://{place.removesuffix(DEFAULT_PORTS.get(scheme, ' '))}"


class Origins(CORSMiddleware):
    """CORS for the configured origins, however their port is written."""

    def __init__(self, app: ASGIApp, origins: Iterable[str]) -> None:
        super().__init__(
            app,
            allow_origins=[origin_of(each) for each in origins],
            allow_methods=METHODS,
            allow_headers=SENDABLE,
            expose_headers=READABLE,
        )

    def is_allowed_origin(self, origin: str) -> bool:
        return super().is_allowed_origin(origin_of(origin))


class SecurityHeaders:
    """Adds the headers of every answer, and sends its body in pieces that wait for their reader."""

    def __init__(self, app: ASGIApp, *, production: bool, docs: str) -> None:
        self._inner = app
        always = [*ALWAYS, HSTS] if production else ALWAYS
        self._headers = [*always, (b"content-security-policy", CLOSED)]
        self._docs_headers = [*always, (b"content-security-policy", _policy_of(docs))]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        own = self._docs_headers if scope["path"] == DOCS else self._headers

        async def say(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *own]
            elif len(body := message.get("body", b"")) > PIECE_MAX:
                *before, last = range(0, len(body), PIECE_MAX)
                for first in before:
                    piece = body[first : first + PIECE_MAX]
                    await send({"type": message["type"], "body": piece, "more_body": True})
                message["body"] = body[last:]
            await send(message)

        await self._inner(scope, receive, say)


def _policy_of(page: str) -> bytes:
    """What the page of the documentation may load: our own files, and the scripts written in it."""
    digests = [hashlib.sha256(script.encode()).digest() for script in INLINE.findall(page)]
    scripts = " ".join(f"'sha256-{base64.b64encode(each).decode()}'" for each in digests)
    return (
        f"default-src 'none'; script-src 'self' {scripts}; style-src 'self' 'unsafe-inline';"
        " img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none';"
        " frame-ancestors 'none'"
    ).encode()

"""HTTP/1.1 as uvicorn speaks it, with the bounds that it lacks: on a request's head."""

import asyncio
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.road.edge import ALWAYS
from api.wire.problem import MEDIA_TYPE, encoded

HEAD_MAX: Final = 32 * 1024
"""Bytes of a request's head: method, URL and headers."""
HEAD_SECONDS: Final = 15.0
"""A head is there within so many seconds of the connection, or of its first byte."""

TITLES: Final = {
    400: ("malformed-request", "Bad Request", "This is not HTTP/1.1."),
    408: ("request-timeout", "Request Timeout", "The request's head did not come in time."),
    431: (
        "head-too-large",
        "Request Header Fields Too Large",
        f"URL and headers have at most {HEAD_MAX} bytes.",
    ),
}


class _TooLarge(Exception):
    """More head than anybody needs."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A head that grows too large or comes too slowly ends it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._in_head, self._size, self._refusal = False, 0, 400
        self._late: asyncio.TimerHandle | None = None
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_came()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        began_before = self._in_head
        self._chunk = len(data)
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._in_head and began_before:
            self._size += len(data)
            if self._size > HEAD_MAX:
                self._refuse(431)
        if self._in_head or not self._answering:
            self._expect_head()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._size = True, 0

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_came()
        if self._size or self._chunk > HEAD_MAX:  # Else it came in one small piece.
            self._require_bounded()
        super().on_headers_complete()

    def _require_bounded(self) -> None:
        headers = sum(len(name) + len(value) + 4 for name, value in self.headers)
        if len(self.url) + headers > HEAD_MAX:
            self._refusal = 431
            raise _TooLarge  # The parser stops, and `send_400_response` is called.

    def _expect_head(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _head_came(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _too_late(self) -> None:
        self._late = None
        if self._answering:  # What came was the beginning of a further request.
            self._expect_head()
        elif self._in_head:
            self._refuse(408)
        else:
            self.transport.close()

    def _refuse(self, status: int) -> None:
        self._refusal = status
        self.send_400_response("")

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be answered in any other way, and hang up."""
        code, title, detail = TITLES[self._refusal]
        problem: dict[str, Any] = {"type": f"/problems/{code}", "title": title}
        body = encoded(problem | {"status": self._refusal, "detail": detail, "code": code})
        headers = [
            (b"content-type", MEDIA_TYPE),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
            *ALWAYS,
        ]
        lines = [b"%b: %b\r\n" % header for header in headers]
        if not self._answering:
            self.transport.write(b"".join([STATUS_LINE[self._refusal], *lines, b"\r\n", body]))
        self.transport.close()

"""HTTP/1.1 by uvicorn, with limits on request heads and on unread answers."""

import asyncio
import fcntl
import logging
import re
import sys
import termios
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.http.problem import MEDIA_TYPE, encoded
from api.pipeline.security_headers import ALWAYS

HEAD_MAX: Final = 32 * 1024
"""Maximum bytes of a request's head: method, URL and headers."""
HEAD_SECONDS: Final = 15.0
"""Timeout for a head, from the connection or from its first byte."""
SEND_SECONDS: Final = 30.0
"""Timeout for a client that reads nothing of its answer."""

HOST: Final = re.compile(
    rb"(?:[A-Za-z0-9._~!$&'()*+;=-]|%[0-9A-Fa-f]{2})*(?::[0-9]{0,5})?|\[[0-9A-Fa-f:.]+\](?::[0-9]{0,5})?"
)


log = logging.getLogger("rim_ledger.api")


class Refusal(NamedTuple):
    """A response to a request that is rejected before it is parsed."""

    status: int
    code: str
    detail: str


MALFORMED: Final = Refusal(400, "malformed-request", "This is not HTTP/1.1.")
NO_HOST: Final = Refusal(
    400, "invalid-host", "A request has one Host header, with a host and a port."
)
NO_PATH: Final = Refusal(400, "malformed-path", "The target of a request has no fragment.")
TOO_LATE: Final = Refusal(408, "request-timeout", "The request's head did not come in time.")
TOO_LARGE: Final = Refusal(431, "head-too-large", f"URL and headers have at most {HEAD_MAX} bytes.")


class _Refused(Exception):
    """Stops the parser, which then calls `send_400_response`."""


class BoundedProtocol(HttpToolsProtocol):
    """One connection, closed when a head is too large or too slow, or an answer is not read."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._in_head, self._size, self._refusal = False, 0, MALFORMED
        self._late: asyncio.TimerHandle | None = None
        self._untaken: asyncio.TimerHandle | None = None
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_complete()
        self._taken()
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
                self._refuse(TOO_LARGE)
        if self._in_head or not self._answering:
            self._expect_head()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._expect_reader()

    def resume_writing(self) -> None:
        self._taken()
        super().resume_writing()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.transport.is_closing():
            self._expect_reader()

    def timeout_keep_alive_handler(self) -> None:
        self._close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._in_head, self._size = True, 0

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # Trailers after the body are ignored.
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._head_complete()
        if self._size or self._chunk > HEAD_MAX:  # Otherwise the head came in one small chunk.
            headers = sum(len(name) + len(value) + 4 for name, value in self.headers)
            if len(self.url) + headers > HEAD_MAX:
                self._refusal = TOO_LARGE
                raise _Refused
        self._require_unambiguous()
        super().on_headers_complete()

    def _require_unambiguous(self) -> None:
        """Reject requests that another server could parse otherwise (request smuggling; RFC 9112,
        3.2)."""
        hosts = [value for name, value in self.headers if name == b"host"]
        least = 0 if self.parser.get_http_version() == "1.0" else 1
        if not least <= len(hosts) <= 1 or not all(map(HOST.fullmatch, hosts)):
            self._refusal = NO_HOST
            raise _Refused
        if b"#" in self.url:
            self._refusal = NO_PATH
            raise _Refused

    def _expect_head(self) -> None:
        if self._late is None:
            self._late = self.loop.call_later(HEAD_SECONDS, self._too_late)

    def _head_complete(self) -> None:
        if self._late is not None:
            self._late.cancel()
            self._late = None

    def _expect_reader(self) -> None:
        """Schedule a check that the client reads its pending answers."""
        self._taken()
        waits = _unread(self.transport)
        self._untaken = self.loop.call_later(SEND_SECONDS, self._check_reader, waits)

    def _check_reader(self, waited: int) -> None:
        self._untaken = None
        waits = _unread(self.transport)
        if 0 < waited <= waits:
            log.warning("a client took nothing of its answer for %g s: hung up", SEND_SECONDS)
            self.transport.abort()
        elif waits:
            self._expect_reader()

    def _taken(self) -> None:
        if self._untaken is not None:
            self._untaken.cancel()
            self._untaken = None

    def _close(self) -> None:
        """Close once the client has read its pending answers, or on timeout."""
        if not self.transport.is_closing():
            self.transport.close()
            self._expect_reader()

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _too_late(self) -> None:
        self._late = None
        if self._answering:  # The bytes began another request.
            self._expect_head()
        elif self._in_head:
            self._refuse(TOO_LATE)
        else:
            self._close()

    def _refuse(self, refusal: Refusal) -> None:
        self._refusal = refusal
        self.send_400_response("")

    def send_400_response(self, msg: str) -> None:
        """Answer an unparsable request, and close."""
        status, code, detail = self._refusal
        title = HTTPStatus(status).phrase
        problem: dict[str, Any] = {"type": f"/problems/{code}", "title": title}
        body = encoded(problem | {"status": status, "detail": detail, "code": code})
        headers = [
            (b"content-type", MEDIA_TYPE),
            (b"content-length", b"%d" % len(body)),
            (b"cache-control", b"no-store"),
            (b"connection", b"close"),
            *ALWAYS,
        ]
        lines = [b"%b: %b\r\n" % header for header in headers]
        if not self._answering:
            self.transport.write(b"".join([STATUS_LINE[status], *lines, b"\r\n", body]))
        self._close()


def _unread(transport: asyncio.Transport) -> int:
    """Bytes of answers the client has not read: in our buffer and in the kernel's, which drains
    ours late."""
    waits, sent = transport.get_write_buffer_size(), b""
    if connection := transport.get_extra_info("socket"):
        with suppress(OSError):  # Not every system reports it; then only our buffer counts.
            sent = fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, bytes(4))
    return waits + int.from_bytes(sent, sys.byteorder)

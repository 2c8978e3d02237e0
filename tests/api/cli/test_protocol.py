"""A request's head is bounded, in size and in time, and nothing else is in its way."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from functools import partial
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from api.cli.protocol import HEAD_MAX, HEAD_SECONDS, SEND_SECONDS, BoundedProtocol

ASK = b"GET / HTTP/1.1\r\nHost: rim.test\r\n"
PIECE = 4096


class Alarm:
    """A timer that goes off when the test says so."""

    def __init__(self, seconds: float, what: Callable[..., None], *more: Any) -> None:
        self.seconds, self.what, self.cancelled = seconds, partial(what, *more), False

    def cancel(self) -> None:
        self.cancelled = True


class Wire(asyncio.Transport):
    """A connection: what a client sends is given to the protocol at once, and its answers kept."""

    def __init__(self) -> None:
        super().__init__()
        self.said, self.closed, self.alarms = b"", False, list[Alarm]()
        self.unread, self.aborted = 0, False
        self.headers = list[tuple[bytes, bytes]]()
        self._loop, self._release = asyncio.get_running_loop(), asyncio.Event()
        config = uvicorn.Config(self._echo, interface="asgi3", ws="none", log_config=None)
        self.protocol = BoundedProtocol(config, ServerState(), {}, _loop=self)  # type: ignore[arg-type]
        self.protocol.connection_made(self)

    def hear(self, data: bytes) -> None:
        if not self.closed:
            self.protocol.data_received(data)

    async def answered(self) -> None:
        """Let the application answer whatever it was asked."""
        self._release.set()
        while tasks := list(self.protocol.tasks):
            await asyncio.gather(*tasks)
        self._release.clear()

    def ring(self, seconds: float = HEAD_SECONDS) -> None:
        """The time of the head is over, or another."""
        for alarm in [each for each in self.alarms if not each.cancelled]:
            if alarm.seconds == seconds:
                alarm.cancel()
                alarm.what()

    @property
    def answers(self) -> list[int]:
        """The status of each answer."""
        return [int(part.split()[0]) for part in self.said.split(b"HTTP/1.1 ")[1:]]

    @property
    def code(self) -> str:
        """The code of the problem that was said last."""
        return str(json.loads(self.said.rpartition(b"\r\n\r\n")[2])["code"])

    async def _echo(self, scope: Any, receive: Any, send: Any) -> None:
        more = True
        while more:
            more = (await receive()).get("more_body", False)
        await self._release.wait()
        self.headers = scope["headers"]
        headers = [(b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b""})

    # What a protocol asks of its transport and of its loop.

    def write(self, data: Any) -> None:
        self.said += bytes(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def get_write_buffer_size(self) -> int:
        return self.unread

    def abort(self) -> None:
        self.aborted = True

    def call_later(self, seconds: float, what: Callable[..., None], *more: Any) -> Alarm:
        self.alarms.append(Alarm(seconds, what, *more))
        return self.alarms[-1]

    def create_task(self, work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
        return self._loop.create_task(work)


@pytest.fixture
async def wire() -> AsyncIterator[Wire]:
    opened = Wire()
    yield opened
    await opened.answered()


def _request(size: int) -> bytes:
    """A request whose head counts so many bytes."""
    counted = len("/") + len("Host") + len("rim.test") + 4 + len("X-Much") + 4
    return ASK + b"X-Much: " + b"x" * (size - counted) + b"\r\n\r\n"


@pytest.mark.parametrize("piece", [PIECE, 10 * HEAD_MAX])
@pytest.mark.parametrize(("size", "status"), [(200, 200), (HEAD_MAX, 200), (HEAD_MAX + 1, 431)])
async def test_a_head_up_to_the_limit_is_taken_and_a_larger_one_refused(
    wire: Wire, size: int, status: int, piece: int
) -> None:
    request = _request(size)
    for start in range(0, len(request), piece):
        wire.hear(request[start : start + piece])
    await wire.answered()
    assert wire.answers == [status]
    assert wire.closed == (status == 431)
    if status == 431:
        assert wire.code == "head-too-large"
        assert b"x-content-type-options: nosniff" in wire.said


async def test_a_head_that_never_ends_is_cut_off_on_the_way(wire: Wire) -> None:
    wire.hear(ASK + b"X-Much: ")
    for _ in range(HEAD_MAX // PIECE):
        assert not wire.closed
        wire.hear(b"x" * PIECE)
    wire.hear(b"x")
    assert (wire.answers, wire.closed) == ([431], True)


async def test_what_is_no_http_gets_a_problem_and_the_end(wire: Wire) -> None:
    wire.hear(b"\x16\x03\x01 hello\r\n\r\n")
    assert (wire.answers, wire.code, wire.closed) == ([400], "malformed-request", True)
    assert b"content-type: application/problem+json\r\n" in wire.said


async def test_a_head_that_does_not_come_in_time_ends_the_connection(wire: Wire) -> None:
    wire.hear(ASK)
    wire.ring()
    assert (wire.answers, wire.code, wire.closed) == ([408], "request-timeout", True)


async def test_who_says_nothing_is_told_nothing(wire: Wire) -> None:
    wire.hear(b"\r\n")
    wire.ring()
    assert (wire.said, wire.closed) == (b"", True)


async def test_a_body_and_an_answer_may_take_longer_than_a_head(wire: Wire) -> None:
    wire.hear(b"POST / HTTP/1.1\r\nHost: rim.test\r\nContent-Length: 2\r\n\r\n")
    wire.ring()
    wire.hear(b"{}" + ASK)  # The beginning of a further request, while this one is answered.
    wire.ring()
    assert not wire.closed
    await wire.answered()
    assert (wire.answers, wire.closed) == ([200], False)
    wire.ring()
    assert (wire.answers, wire.closed) == ([200, 408], True)


async def test_the_rest_of_a_body_that_nobody_waits_for_does_not_keep_the_connection(
    wire: Wire,
) -> None:
    wire.hear(b"POST / HTTP/1.1\r\nHost: rim.test\r\nContent-Length: 9\r\n\r\n")
    wire.protocol.cycle.response_complete = True  # As after an answer given before its end.
    wire.hear(b"1")
    wire.ring()
    assert wire.closed


async def test_requests_that_come_together_are_answered_up_to_the_one_that_is_too_large(
    wire: Wire,
) -> None:
    wire.hear(_request(200))
    await wire.answered()
    wire.hear(_request(300))
    await wire.answered()
    wire.hear(_request(HEAD_MAX + 1))
    assert (wire.answers, wire.closed) == ([200, 200, 431], True)


CHUNKED = b"POST / HTTP/1.1\r\nHost: rim.test\r\nTransfer-Encoding: chunked\r\n"
TRAILER = b"X-Forwarded-For: 203.0.113.9\r\nAuthorization: Bearer x\r\nHost: other\r\n\r\n"


@pytest.mark.parametrize("pieces", [1, 2, 200])
async def test_nothing_after_the_head_is_a_header(wire: Wire, pieces: int) -> None:
    request = CHUNKED + b"Trailer: X-Forwarded-For\r\n\r\n2\r\n{}\r\n0\r\n" + TRAILER
    size = len(request) // pieces + 1
    for start in range(0, len(request), size):
        wire.hear(request[start : start + size])
    await wire.answered()
    assert wire.answers == [200]
    assert [name for name, _ in wire.headers] == [b"host", b"transfer-encoding", b"trailer"]
    wire.hear(ASK + b"X-Second: yes\r\n\r\n")
    await wire.answered()
    assert [name for name, _ in wire.headers] == [b"host", b"x-second"]


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (b"GET / HTTP/1.1\r\n", "invalid-host"),
        (ASK + b"Host: rim.test\r\n", "invalid-host"),
        (ASK + b"hOST: other.test\r\n", "invalid-host"),
        (b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n", "invalid-host"),
        (b"GET / HTTP/1.1\r\nHost: a, b\r\n", "invalid-host"),
        (b"GET / HTTP/1.1\r\nHost: a/b\r\n", "invalid-host"),
        (b"GET / HTTP/1.1\r\nHost: user@a\r\n", "invalid-host"),
        (b"GET / HTTP/1.1\r\nHost: a:b\r\n", "invalid-host"),
        (b"GET / HTTP/1.1\r\nHost: [::1\r\n", "invalid-host"),
        (b"GET /metrics#x HTTP/1.1\r\nHost: rim.test\r\n", "malformed-path"),
    ],
)
async def test_a_head_with_two_meanings_is_refused(wire: Wire, head: bytes, code: str) -> None:
    wire.hear(head + b"\r\n")
    assert (wire.answers, wire.code, wire.closed) == ([400], code, True)


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.0\r\n",
        b"GET / HTTP/1.1\r\nHost: 127.0.0.1:8000\r\n",
        b"GET / HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n",
        b"GET / HTTP/1.1\r\nHost: RIM-ledger_1.example.\r\n",
    ],
)
async def test_every_host_that_has_one_meaning_is_taken(wire: Wire, head: bytes) -> None:
    wire.hear(head + b"\r\n")
    await wire.answered()
    assert wire.answers == [200]


async def test_a_client_that_takes_nothing_of_its_answer_is_waited_for_no_longer(
    wire: Wire,
) -> None:
    wire.unread = 100_000
    wire.protocol.pause_writing()
    for unread in (90_000, 80_000):  # A slow one takes something each time.
        wire.unread = unread
        wire.ring(SEND_SECONDS)
        assert not wire.aborted
    wire.ring(SEND_SECONDS)
    assert wire.aborted


async def test_a_client_that_has_taken_its_answer_may_be_silent(wire: Wire) -> None:
    wire.unread = 100_000
    wire.protocol.pause_writing()
    wire.protocol.resume_writing()
    wire.ring(SEND_SECONDS)
    assert not wire.aborted


@pytest.mark.parametrize("unread", [0, 100])
async def test_a_connection_that_is_closed_has_that_long_for_what_is_on_its_way(
    wire: Wire, unread: int
) -> None:
    wire.ring()
    assert wire.closed
    wire.unread = unread
    wire.ring(SEND_SECONDS)
    wire.ring(SEND_SECONDS)
    assert wire.aborted == (unread > 0)

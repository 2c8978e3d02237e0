"""Drives an HTTP server over keep-alive connections and reports rates, delays and CPU time.

The loop is closed: each connection keeps one request in flight and sends the next when the
answer has come, so a slow server is asked less often and delays are those of a busy queue.
"""

import asyncio
import gc
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from math import ceil, inf
from time import perf_counter, process_time
from typing import cast
from urllib.parse import urlsplit

import httptools
import uvloop

from .cpu import cpu_seconds
from .scenario import Response, Script

SETTLING = 0.25  # seconds for the server to accept everybody before the clock starts


@dataclass(frozen=True, slots=True)
class Report:
    completed: int
    seconds: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    max_ms: float
    failures: int  # answers outside 2xx
    first_failure: Response | None
    lost: int  # connections that ended with a request in flight; it was sent again
    generator_cpu: float
    cpu: Mapping[str, float]  # seconds used by each watched group of process trees

    @property
    def rate(self) -> float:
        """Successful requests a second."""
        return (self.completed - self.failures) / self.seconds


@dataclass(slots=True)
class Tally:
    interval: float = 0.0  # seconds between two requests of all connections together
    next_at: float = 0.0
    deadline: float = inf
    delays: list[float] = field(default_factory=list)
    failures: int = 0
    first_failure: Response | None = None
    lost: int = 0

    def may_send(self) -> bool:
        return perf_counter() < self.deadline

    def wait(self) -> float:
        """Seconds until the next request's turn; 0 where nobody asks for a pace."""
        if not self.interval:
            return 0.0
        now = perf_counter()
        turn = max(now, self.next_at)
        self.next_at = turn + self.interval
        return turn - now

    def note(self, delay: float, response: Response) -> None:
        self.delays.append(delay)
        if not 200 <= response.status < 300:
            self.failures += 1
            self.first_failure = self.first_failure or response


class Connection(asyncio.Protocol):
    def __init__(self, script: Script, tally: Tally) -> None:
        self._script, self.tally = script, tally
        self._parser = httptools.HttpResponseParser(self)
        self._parts: list[bytes] = []
        self._finished = False
        self.lost: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own class

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, part: bytes) -> None:
        self._parts.append(part)

    def on_message_complete(self) -> None:
        delay = perf_counter() - self._sent_at
        response = Response(self._parser.get_status_code(), b"".join(self._parts))
        self._parts.clear()
        self.tally.note(delay, response)
        self._script.answer(response)
        self.send_next()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None or isinstance(exc, OSError):
            self.lost.set_result(not self._finished)
        else:  # an error of the scenario or in the answer's HTTP ends the run
            self.lost.set_exception(exc)

    def send_next(self) -> None:
        if self._script.request is None or not self.tally.may_send():
            self._finished = True
            self._transport.close()
            return
        if wait := self.tally.wait():
            asyncio.get_running_loop().call_later(wait, self._write)
        else:
            self._write()

    def _write(self) -> None:
        assert self._script.request is not None, "there was one when its turn was given"
        self._sent_at = perf_counter()
        self._transport.write(self._script.request)


async def _connect(host: str, port: int, script: Script, tally: Tally) -> Connection:
    loop = asyncio.get_running_loop()
    _, connection = await loop.create_connection(lambda: Connection(script, tally), host, port)
    return connection


async def _converse(connection: Connection, reconnect: Callable[[], Awaitable[Connection]]) -> None:
    connection.send_next()
    while await connection.lost:
        connection.tally.lost += 1
        connection = await reconnect()
        connection.send_next()


async def drive(
    base_url: str,
    scripts: Sequence[Script],
    *,
    seconds: float = inf,
    pace: float = inf,
    watch: Mapping[str, Sequence[int]] | None = None,
    rest: Callable[[], object] = lambda: None,
    patience: float = 30.0,
) -> Report:
    """Plays every script on a connection of its own until the time is used up or it ends,
    with at most `pace` requests a second.

    CPU time is counted until `rest` returns: what the server still owes then belongs to the load.
    Raises TimeoutError when an answer is still missing `patience` seconds after the end.
    """
    watch = watch or {}
    url = urlsplit(base_url)
    host, port = url.hostname or "127.0.0.1", url.port or 80
    tally = Tally(interval=1 / pace)
    connects = [partial(_connect, host, port, script, tally) for script in scripts]
    connections = [await connect() for connect in connects]
    await asyncio.sleep(SETTLING)
    before = {group: cpu_seconds(pids) for group, pids in watch.items()}
    start, own = perf_counter(), process_time()
    tally.deadline = start + seconds
    gc.disable()  # a collection here would be measured as a delay of the server
    try:
        async with asyncio.timeout(None if seconds == inf else seconds + patience):
            await asyncio.gather(*map(_converse, connections, connects))
    finally:
        gc.enable()
    elapsed, own = perf_counter() - start, process_time() - own
    rest()
    cpu = {group: cpu_seconds(pids) - before[group] for group, pids in watch.items()}
    delays = sorted(tally.delays) or [0.0]
    p50, p95, p99 = (delays[ceil(len(delays) * part) - 1] * 1000 for part in (0.50, 0.95, 0.99))
    return Report(
        completed=len(tally.delays),
        seconds=elapsed,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        max_ms=delays[-1] * 1000,
        failures=tally.failures,
        first_failure=tally.first_failure,
        lost=tally.lost,
        generator_cpu=own,
        cpu=cpu,
    )


def run(
    base_url: str,
    scripts: Sequence[Script],
    *,
    seconds: float = inf,
    watch: Mapping[str, Sequence[int]] | None = None,
    rest: Callable[[], object] = lambda: None,
) -> Report:
    """`drive` in a uvloop of its own."""
    work = drive(base_url, scripts, seconds=seconds, watch=watch, rest=rest)
    return uvloop.run(work)

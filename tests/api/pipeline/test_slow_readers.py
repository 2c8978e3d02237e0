"""Clients that ask for much and read nothing: they keep nothing from others, and are ended."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from api import app
from api.cli import protocol
from api.cli.protocol import BoundedProtocol
from api.http import rate, stream
from api.pipeline import list_formats, reads
from api.routes import bulk, event_log, journal
from tests.api.conftest import Client, running
from tests.api.routes.test_bulk import register

SECONDS = 0.3
MUCH = 1024 * 1024
"""Bytes that are more than the buffers of a connection take."""
NDJSON = "application/x-ndjson"
SSE = "text/event-stream"


@asynccontextmanager
async def listening(admin: Client) -> AsyncIterator[Callable[[Client], "Sluggard"]]:
    """The service on a port, as the real server speaks HTTP, and what makes clients of it."""
    config = uvicorn.Config(admin.app, ws="none", lifespan="off", log_config=None)
    config.load()
    state, loop = ServerState(), asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: BoundedProtocol(config, state, {}, _loop=loop), "127.0.0.1", 0
    )
    server.sockets[0].setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
    port, come = server.sockets[0].getsockname()[1], list[Sluggard]()

    def make(client: Client) -> Sluggard:
        come.append(Sluggard(port, client, state))
        return come[-1]

    async with server:
        try:
            yield make
        finally:
            for each in come:
                each.close()
            await asyncio.gather(*state.tasks)


class Sluggard:
    """A client that says what it wants and reads nothing by itself."""

    def __init__(self, port: int, admin: Client, state: ServerState) -> None:
        self.connections = state.connections
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.connect(("127.0.0.1", port))
        self._socket.settimeout(0.0)
        self._head = f"Host: rim.test\r\nAuthorization: {admin.headers['Authorization']}\r\n"

    async def ask(self, path: str, accept: str = "*/*") -> None:
        await self.write(f"GET {path} HTTP/1.1\r\n{self._head}Accept: {accept}\r\n\r\n".encode())

    async def send_lines(self, size: int) -> None:
        more = f"Content-Type: {NDJSON}\r\nContent-Length: {size}\r\n\r\n"
        await self.write(f"POST /v1/bulk HTTP/1.1\r\n{self._head}{more}".encode())

    async def write(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self._socket, data)

    async def read(self) -> bytes:
        """The next bytes of the answer."""
        return await asyncio.get_running_loop().sock_recv(self._socket, 65_536)

    async def whole(self) -> bytes:
        """All that still comes."""
        said = b""
        while part := await self.read():
            said += part
        return said

    def close(self) -> None:
        self._socket.close()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)


def swell(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have whatever is read be much."""
    unsealed, as_json = reads.unsealed, event_log.as_json

    async def long_json(*given: Any, **more: Any) -> str:
        return await unsealed(*given, **more) + " " * 8 * MUCH

    monkeypatch.setattr(journal, "HEAD", b"x" * 8 * MUCH)
    monkeypatch.setattr(list_formats, "_head", lambda *_: b" " * 8 * MUCH)
    monkeypatch.setattr(reads, "unsealed", long_json)
    monkeypatch.setattr(event_log, "as_json", lambda *given: as_json(*given) + b" " * MUCH)


ANSWERS = [
    ("/v1/journal.csv", "text/csv"),
    ("/v1/events", NDJSON),
    ("/v1/events", SSE),
    ("/v1/users", "application/json"),
    ("/v1/users", NDJSON),
    ("/v1/users", "text/csv"),
]
DOCUMENTS = ["/docs/assets/swagger-ui-bundle.js", "/openapi.json"]


@pytest.mark.parametrize(("path", "accept"), ANSWERS)
async def test_those_who_read_nothing_hold_no_connection_and_are_ended(
    path: str, accept: str, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    swell(monkeypatch)
    monkeypatch.setattr(app, "READ_TIMEOUT_SECONDS", 5.0)
    async with running(database) as admin:
        other = await admin.take_on_superadmin("other")
        unread = admin.app.state.context.rates._unread
        async with listening(admin) as come:
            readers = [come(admin) for _ in range(app.READERS_MAX)]
            for each in readers:
                await each.ask(path, accept)
            await until(lambda: sum(unread.values()) >= app.READERS_MAX * rate.STREAM)
            assert (await other.get("/v1/journal")).status_code == 200
            first = set(unread)
            monkeypatch.setattr(protocol, "SEND_SECONDS", SECONDS)
            late = come(other)
            await late.ask(path, accept)
            await until(lambda: bool(unread.keys() - first))
            await until(lambda: not unread.keys() - first)
            assert len(await late.whole()) < MUCH, "it was cut off"
            for each in [*readers, late]:
                each.close()
            await until(lambda: not unread)


async def test_what_a_slow_reader_takes_counts_though_the_system_asks_for_no_more(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    swell(monkeypatch)
    async with running(database) as admin, listening(admin) as come:
        reader = come(admin)
        await reader.ask("/v1/journal.csv")
        await until(lambda: any(each.flow.write_paused for each in reader.connections))
        (connection,) = reader.connections
        for _ in range(3):
            before = protocol._unread(connection.transport)
            assert before > 0
            await reader.read()
            await until(lambda: protocol._unread(connection.transport) != before)  # noqa: B023


async def test_one_caller_has_few_answers_on_their_way_at_once_whichever_token_they_use(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate, "UNREAD_MAX", 2 * rate.STREAM)
    swell(monkeypatch)
    async with running(database) as admin:
        again = await admin.as_("admin")
        other = await admin.take_on_superadmin("other")
        unread = admin.app.state.context.rates._unread
        async with listening(admin) as come:
            readers = [come(each) for each in (admin, again)]
            for each in readers:
                await each.ask("/v1/events", SSE)
            await until(lambda: sum(unread.values()) == 2 * rate.STREAM)
            for path, accept in ANSWERS:
                refused = await again.get(path, headers={"accept": accept})
                assert (refused.status_code, refused.json()["code"]) == (429, "too-much-unread")
                assert int(refused.headers["retry-after"]) > 0
            answer = await admin.post("/v1/bulk", headers={"content-type": NDJSON})
            assert answer.status_code == 429
            assert (await other.get("/v1/journal.csv")).status_code == 200
            for each in readers:
                each.close()
            await until(lambda: not unread)
            assert (await admin.get("/v1/journal.csv")).status_code == 200


async def test_what_describes_the_service_has_its_bound_for_each_address(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rate, "UNREAD_MAX", 2 * rate.STREAM)
    async with running(database) as admin:
        front = admin.app.middleware_stack._inner
        async with listening(admin) as come:
            for path in DOCUMENTS:
                await come(admin).ask(path)
            await until(lambda: sum(front._readers._unread.values()) == 2 * rate.STREAM)
            for path in DOCUMENTS:
                refused = await admin.http.get(path)
                assert (refused.status_code, refused.json()["code"]) == (429, "too-much-unread")
            assert (await admin.http.get("/asyncapi.json")).status_code == 200


async def test_the_lines_of_one_who_reads_no_answers_are_read_no_further(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "UNREAD_MAX", stream.PIECE_MAX)
    answers = list[bulk.Answers]()
    made = bulk.Answers.__init__
    monkeypatch.setattr(
        bulk.Answers, "__init__", lambda each: (answers.append(each), made(each))[1]
    )
    async with running(database) as admin:
        list_formats = b"".join(json.dumps(register(n)).encode() + b"\n" for n in range(300))
        more = b'{"op": "POST /v1/nothing"}\n' * 1_000
        async with listening(admin) as come:
            sluggard = come(admin)
            await sluggard.send_lines(len(list_formats) + 10_000 * len(more))
            await sluggard.write(list_formats)
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(5):
                    for _ in range(10_000):
                        await sluggard.write(more)
            (waiting,) = answers
            assert waiting._size <= 2 * stream.PIECE_MAX
            monkeypatch.setattr(protocol, "SEND_SECONDS", SECONDS)
            sluggard.close()
            await until(lambda: not admin.app.state.context.rates._unread)
        seen = await admin.caught_up()
        one = (await admin.get("/v1/users?limit=1&sort=createdAt", headers=seen)).json()["items"]
        assert one[0]["userId"].endswith("000001")
        users = await admin.get("/v1/users?email=u299@example.com")
        assert len(users.json()["items"]) == 1, "what was read was carried out"


async def test_who_sends_everything_before_reading_hears_of_every_line(admin: Client) -> None:
    list_formats = b'{"op": "POST /v1/nothing"}\n' * 5_000
    async with listening(admin) as come:
        client = come(admin)
        await client.send_lines(len(list_formats))
        await client.write(list_formats)
        await asyncio.sleep(SECONDS)
        said = b""
        while not said.endswith(b"0\r\n\r\n"):
            said += await client.read()
        client.close()
    assert said.count(b'"status": 404, "problem"') == 5_000

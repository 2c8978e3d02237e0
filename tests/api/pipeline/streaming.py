"""A client that reads an answer while it is being given, and leaves when it likes."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Self

from tests.api.conftest import Client

PATIENCE = 60.0
"""Seconds for what should come at once; only a failing test waits so long."""


class Stream:
    """One answer that goes on: its status and headers, and its parts as they come."""

    def __init__(self) -> None:
        self.status, self.headers = 0, dict[str, str]()
        self._parts: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._left = asyncio.Event()
        self._rest, self._asked = b"", False

    async def receive(self) -> dict[str, Any]:
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
            return
        await self._parts.put(message["body"])
        if not message.get("more_body"):
            await self._parts.put(None)

    def leave(self) -> None:
        self._left.set()

    async def block(self) -> str | None:
        """The next block of server-sent events, or None at the end."""
        while b"\n\n" not in self._rest:
            part = await asyncio.wait_for(self._parts.get(), PATIENCE)
            if part is None:
                return None
            self._rest += part
        block, self._rest = self._rest.split(b"\n\n", 1)
        return block.decode()

    async def event(self) -> tuple[int, dict[str, Any]] | None:
        """The next event with its id, or None at the end."""
        while (block := await self.block()) is not None:
            fields = dict(line.split(": ", 1) for line in block.splitlines() if line[0] != ":")
            if "data" in fields:
                return int(fields["id"]), json.loads(fields["data"])
        return None

    async def __aiter__(self) -> AsyncIterator[tuple[int, dict[str, Any]]]:
        while (found := await self.event()) is not None:
            yield found

    @classmethod
    @asynccontextmanager
    async def open(cls, client: Client, path: str, **headers: str) -> AsyncIterator[Self]:
        """Ask for a path, as this client."""
        place, _, query = path.partition("?")
        given = {"accept": "text/event-stream", "host": "rim.test", **client.headers, **headers}
        scope = {
            "type": "http",
            "method": "GET",
            "path": place,
            "query_string": query.encode(),
            "headers": [(n.lower().encode(), v.encode()) for n, v in given.items()],
            "client": ("127.0.0.1", 1),
        }
        stream = cls()
        answer = asyncio.create_task(client.app(scope, stream.receive, stream.send))  # type: ignore[arg-type]
        try:
            yield stream
        finally:
            stream.leave()
            await asyncio.wait_for(answer, PATIENCE)

"""A provider on this machine, over real HTTP: it does as it is told, and keeps a book."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from msgspec import Struct


class Request(Struct, frozen=True):
    """What came over the wire."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answering = Callable[[Request], Awaitable[bytes | None]]
"""The bytes of an answer, or None to hang up without one."""


def answer(status: int, body: bytes = b"{}", **headers: str) -> bytes:
    """An HTTP answer to the byte."""
    lines = [f"HTTP/1.1 {status} X", f"content-length: {len(body)}", "connection: close"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


@asynccontextmanager
async def a_provider(answering: Answering, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A provider that answers so, over TLS if it has a certificate; its base URL."""

    serving = set[asyncio.Task[None]]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                text = await answering(await _read(reader))
                if text is not None:
                    writer.write(text)
                    await writer.drain()
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def begin(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(begin, "127.0.0.1", 0, ssl=tls)
    try:
        scheme = "https" if tls else "http"
        yield f"{scheme}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for task in serving:
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


async def _read(reader: asyncio.StreamReader) -> Request:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, path, _ = head[0].split(" ")
    fields = (line.partition(": ") for line in head[1:] if line)
    headers = {name.lower(): value for name, _, value in fields}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Request(method, path, headers, body)


def always(text: bytes | None) -> Answering:
    """A provider that answers everything alike."""

    async def answering(_: Request) -> bytes | None:
        return text

    return answering

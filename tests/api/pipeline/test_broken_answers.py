"""The store goes away in the middle of an answer: that answer has no end, and none follows it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from psycopg import OperationalError

from projections.follow import log
from rim_ledger.engine.refusals import Unavailable
from rim_ledger.postgres.pool import Pool
from tests.api.conftest import Client, running
from tests.api.routes.test_journal import lend_and_repay

AWAY = Unavailable("store-unavailable", "The read tables cannot be reached.")


def breaking(
    does: Callable[..., Any], times: int, error: Exception | None = None
) -> Callable[..., Any]:
    """The same so many times, and then the store is away."""
    left = times

    async def asked(*given: Any) -> Any:
        nonlocal left
        if not left:
            raise error or OperationalError("the store is away")
        left -= 1
        return await does(*given)

    return asked


async def nothing() -> None: ...


async def messages(
    client: Client, path: str, accept: str, after_first: Callable[[], Awaitable[Any]] = nothing
) -> list[dict[str, Any]]:
    """Everything that is sent in answer to a client who does something else after its first
    part."""
    sent = list[dict[str, Any]]()

    asked = asyncio.Event()

    async def receive() -> dict[str, Any]:
        if asked.is_set():
            await asyncio.Event().wait()  # The client stays.
        asked.set()
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(dict(message))
        if len(sent) == 2:
            await after_first()

    headers = {"accept": accept, **client.headers}
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
    }
    await client.app(scope, receive, send)  # type: ignore[arg-type]
    return sent


@pytest.mark.parametrize("times", [0, 1])
@pytest.mark.parametrize(
    ("path", "accept", "lines"),
    [("/v1/events", "application/x-ndjson", [0, 2]), ("/v1/journal.csv", "text/csv", [5, 8])],
)
async def test_a_broken_answer_has_one_start_and_no_end(
    path: str,
    accept: str,
    lines: list[int],
    times: int,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("api.routes.event_log.PAGE", 2)
    monkeypatch.setattr("api.routes.journal.PAGE", 1)
    async with running(database) as admin:
        await lend_and_repay(admin)
        await admin.get("/v1/journal", headers=await admin.caught_up())
        monkeypatch.setattr(log, "matching", breaking(log.matching, times))
        monkeypatch.setattr(Pool, "rows", breaking(Pool.rows, 2 + times, AWAY))
        start, *parts = await messages(admin, path, accept)
        assert (start["type"], start["status"]) == ("http.response.start", 200)
        assert b"".join(part["body"] for part in parts).count(b"\n") == lines[times]
        assert all(part["more_body"] for part in parts)


async def test_a_store_that_is_away_from_the_start_is_a_problem(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Pool, "rows", breaking(Pool.rows, 1, AWAY))
    answer = await admin.get("/v1/journal.csv")
    assert (answer.status_code, answer.json()["code"]) == (503, "store-unavailable")

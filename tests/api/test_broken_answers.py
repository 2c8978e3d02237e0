"""The store goes away in the middle of an answer: that answer has no end, and none follows it."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from psycopg import AsyncServerCursor, OperationalError

from projections import log
from tests.api.conftest import Client, Tell
from tests.api.test_journal import lend_and_repay


def breaking(does: Callable[..., Any], times: int) -> Callable[..., Any]:
    """The same so many times, and then the store is away."""
    left = times

    async def asked(*given: Any) -> Any:
        nonlocal left
        if not left:
            raise OperationalError("the store is away")
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

    async def receive() -> dict[str, Any]:
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
    ("path", "accept"),
    [("/v1/events", "application/x-ndjson"), ("/v1/journal.csv", "text/csv")],
)
def test_a_broken_answer_has_one_start_and_no_end(
    path: str, accept: str, times: int, tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("api.event_log.PAGE", 2)
    monkeypatch.setattr("api.journal.BATCH", 1)

    async def story(admin: Client) -> None:
        await lend_and_repay(admin)
        await admin.get("/v1/journal", headers=await admin.caught_up())
        monkeypatch.setattr(log, "matching", breaking(log.matching, times))
        fetch = AsyncServerCursor.fetchmany
        monkeypatch.setattr(AsyncServerCursor, "fetchmany", breaking(fetch, times))
        start, *parts = await messages(admin, path, accept)
        assert (start["type"], start["status"]) == ("http.response.start", 200)
        assert b"".join(part["body"] for part in parts).count(b"\n") == (
            2 * times if path == "/v1/events" else 1 + times
        )
        assert all(part["more_body"] for part in parts)

    tell(story)


def test_a_store_that_is_away_from_the_start_is_a_problem(
    tell: Tell, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def story(admin: Client) -> None:
        execute = AsyncServerCursor.execute
        monkeypatch.setattr(AsyncServerCursor, "execute", breaking(execute, 0))
        answer = await admin.get("/v1/journal.csv")
        assert (answer.status_code, answer.json()["code"]) == (503, "store-unavailable")

    tell(story)

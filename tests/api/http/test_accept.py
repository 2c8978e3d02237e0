"""What a request prefers (RFC 9110, 12.5.1)."""

import pytest

from api.http.accept import NotAcceptable, preferred
from tests.api.conftest import Client

JSON, LINES, LIVE = b"application/json", b"application/x-ndjson", b"text/event-stream"
OFFERS = (JSON, LINES, LIVE)
BROWSER = b"text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8"
MANY = b"text/event-stream;q=" + b"0" * 30_000


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        (None, JSON),
        (b"", JSON),
        (b"*/*", JSON),
        (BROWSER, JSON),
        (b"application/*", JSON),
        (b"text/*", LIVE),
        (b"text/event-stream", LIVE),
        (b"Text/Event-Stream", LIVE),
        (b"text/event-stream;q=0.1, application/json;q=0.9", JSON),
        (b"text/event-stream;q=0.1, application/x-ndjson;q=0.2", LINES),
        (b"application/json;q=0.5, application/x-ndjson", LINES),
        (b"text/event-stream, */*", LIVE),
        (b"*/*, text/event-stream", LIVE),
        (b"*/*;q=0.9, text/event-stream;q=0.8", JSON),
        (b"application/x-ndjson, text/event-stream", LINES),
        (b"text/event-stream, application/x-ndjson", LIVE),
        (b"application/json;q=0, */*", LINES),
        (b"application/*;q=0, */*;q=0.1", LIVE),
        (b"application/*;q=0.2, application/json;q=0, */*;q=0.1", LINES),
        (b"text/event-stream ; Q=0.001 , application/json ; q=1.000", JSON),
        (b'application/json;x="a,text/event-stream;q=1";q=0.1, application/x-ndjson;q=0.2', LINES),
        (b"application/json; charset=utf-8", JSON),
        (b"text/event-stream;q=2, application/x-ndjson;q=0.1", LINES),
        (b"text/event-stream;q=high, application/x-ndjson;q=0.1", LINES),
        (b"nonsense, ,;q=1, application/x-ndjson", LINES),
        (b"nonsense", JSON),
        (MANY, JSON),
    ],
)
def test_the_type_that_is_wanted_most_is_given(accept: bytes | None, expected: bytes) -> None:
    assert preferred(accept, OFFERS) == expected


@pytest.mark.parametrize(
    "accept",
    [
        b"text/html",
        b"application/json;q=0",
        b"*/*;q=0",
        b"text/*;q=0.000, application/*;q=0",
        b"image/*, text/plain",
        b'a/b;x="' + b"\\" * 30_000,
        b"a/b;x=" + b'"\\' * 15_000,
    ],
)
def test_what_is_refused_is_not_given(accept: bytes) -> None:
    with pytest.raises(NotAcceptable):
        preferred(accept, OFFERS)


async def test_routes_that_give_several_types_ask_the_request(admin: Client) -> None:
    async def kind(path: str, accept: str) -> tuple[int, str]:
        answer = await admin.get(path, headers={"Accept": accept})
        return answer.status_code, answer.headers["content-type"]

    for path in ("/v1/events", f"/v1/users/{(await admin.user())['id']}/events"):
        wanted = "text/event-stream;q=0.1, application/json;q=0.9"
        await admin.app.state.context.tables.require(admin.app.state.context.ledger.head)
        assert await kind(path, wanted) == (200, "application/json")
        assert await kind(path, "application/x-ndjson, */*;q=0.5") == (200, LINES.decode())
        assert await kind(path, "text/csv") == (406, "application/problem+json")
    one = f"/v1/users/{(await admin.user(1))['id']}"
    await admin.app.state.context.tables.require(admin.app.state.context.ledger.head)
    assert await kind(one, "text/csv") == (200, "application/json"), "there is one only"
    policy = {"proposed": {}}
    answer = await admin.post("/v1/simulations", policy, headers={"Accept": "text/csv"})
    assert (answer.status_code, answer.json()["code"]) == (406, "not-acceptable")
    csv = {"Content-Type": "text/csv", "Accept": "application/x-ndjson;q=0.1, */*"}
    file = b"date,reference,amount,provider,narration\n"
    answer = await admin.post("/v1/statements", content=file, headers=csv)
    assert answer.headers["content-type"] == "application/json"
    csv["Accept"] = "application/x-ndjson"
    answer = await admin.post("/v1/statements", content=file, headers=csv)
    assert answer.headers["content-type"] == "application/x-ndjson"

"""No input, however bad, gets a 500."""

import asyncio
import json
import re
from uuid import UUID

import httpx
import pytest

from api.http import body
from rim_ledger.values import derived_id
from tests.api.conftest import ADA, Client, running

JSON = {"content-type": "application/json"}
NDJSON = {"content-type": "application/x-ndjson"}
DEEP = b'{"metadata":' + b'{"a":' * 30 + b"1" + b"}" * 31

BODIES = {
    "no JSON": (b"{", 400),
    "invalid UTF-8": (b'{"name":"\xff"}', 400),
    "a byte order mark": (b"\xef\xbb\xbf{}", 400),
    "NaN": (b'{"creditLimit":NaN}', 400),
    "Infinity": (b'{"creditLimit":-Infinity}', 400),
    "NUL": (b'{"name":"a\\u0000"}', 400),
    "half a surrogate pair": (b'{"name":"\\ud800"}', 400),
    "half a pair as a name": (b'{"\\uDFFF":1}', 400),
    "a name twice": (b'{"name":"a","name":"b"}', 400),
    "thirty levels": (DEEP, 400),
    "ten thousand levels": (b"[" * 10_000, 400),
    "forty-one digits": (b'{"creditLimit":' + b"1" * 41 + b"}", 400),
    "10^400": (b'{"creditLimit":1e400}', 422),
    "an exponent beyond all": (b'{"creditLimit":1e99999999999999999999}', 400),
    "more decimals than a float tells": (b'{"creditLimit":100.000000000000000001}', 422),
    "minus zero": (b'{"creditLimit":-0.0}', 422),
    "a list": (b"[]", 422),
    "null": (b"null", 422),
    "a text": (b'"x"', 422),
    "an unknown field": (json.dumps(ADA | {"totalLoans": 1}).encode(), 422),
    "a field under its name inside": (json.dumps(ADA | {"credit_limit": 50}).encode(), 422),
    "the id of nobody": (json.dumps(ADA | {"id": str(UUID(int=0))}).encode(), 422),
    "an id of the ledger's own": (json.dumps(ADA | {"id": str(derived_id("x"))}).encode(), 422),
    "an amount as text": (json.dumps(ADA | {"creditLimit": "100"}).encode(), 422),
    "a thousand and one names": (json.dumps({f"x{n}": n for n in range(1001)}).encode(), 400),
    "two mebibytes": (b'"' + b"x" * 2 * 1024 * 1024 + b'"', 413),
}


async def test_no_body_gets_a_500(admin: Client) -> None:
    for name, (said, status) in BODIES.items():
        answer = await admin.post("/v1/users", content=said, headers=JSON)
        assert answer.status_code == status, f"{name}: {answer.text}"
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "time", ["1700000000", 1_700_000_000, "2026-01-05 10:00:00Z", "0000-01-01T00:00:00Z"]
)
async def test_a_time_is_rfc_3339_in_every_body(admin: Client, time: object) -> None:
    line = {"op": "POST /v1/users", "body": ADA | {"occurredAt": time}}
    bulk = await admin.post(
        "/v1/bulk",
        content=json.dumps(line).encode(),
        headers={"content-type": "application/x-ndjson"},
    )
    one = json.loads(bulk.text)
    key = await admin.post("/v1/api-keys", {"name": "a machine", "expiresAt": time})
    user = await admin.post("/v1/users", ADA | {"occurredAt": time})
    assert (one["status"], key.status_code, user.status_code) == (422, 422, 422)
    for problem, field in ((one["problem"], "occurredAt"), (key.json(), "expiresAt")):
        told = {error["pointer"]: error["code"] for error in problem["errors"]}
        assert told[f"/{field}"] == "time"


async def test_an_answer_names_a_hundred_wrong_places_and_counts_the_rest(database: str) -> None:
    unknown = {f"field{n}": n for n in range(950)}
    names = "&".join(f"x{n}=1" for n in range(150))
    async with running(database) as admin:
        for answer in (
            await admin.post("/v1/users", unknown),
            await admin.get(f"/v1/users?{names}"),
        ):
            problem = answer.json()
            assert (answer.status_code, len(problem["errors"])) == (422, 100)
            assert re.search(r"; … and [19]\d\d more$", problem["detail"])
            assert len(answer.content) < 20_000
        line = json.dumps({"op": "POST /v1/users", "body": unknown})
        ndjson = {"content-type": "application/x-ndjson"}
        bulk = await admin.post("/v1/bulk", content=line, headers=ndjson)
        assert len(bulk.json()["problem"]["errors"]) == 100


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        (
            "/v1/broadcasts",
            {"customUserIds": ["x"] * 20_000},
            "/customUserIds/0",
        ),
        (
            "/v1/admin-roles",
            {"name": "r", "permissions": [{"resource": "loans", "actions": ["x"] * 20_000}]},
            "/permissions/0/actions/0",
        ),
    ],
)
async def test_of_a_long_list_the_first_wrong_place_is_enough(
    admin: Client, path: str, body: dict[str, object], place: str
) -> None:
    answer = await admin.post(path, body)
    places = [each["pointer"] for each in answer.json()["errors"]]
    assert answer.status_code == 422
    assert [each for each in places if each.startswith(place.rpartition("/")[0])] == [place]


async def test_a_body_that_grows_too_large_is_stopped_on_the_way(admin: Client) -> None:
    async def endless():  # type: ignore[no-untyped-def]
        for _ in range(40):
            yield b" " * 64 * 1024

    answer = await admin.post("/v1/users", content=endless(), headers=JSON)
    assert (answer.status_code, answer.json()["code"]) == (413, "body-too-large")
    form = {"content-type": "text/xml"}
    answer = await admin.post("/v1/users", content=b"<a/>", headers=form)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported-media-type")


async def test_a_body_that_does_not_come_is_not_waited_for(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "BODY_SECONDS", 0.02)

    async def never():  # type: ignore[no-untyped-def]
        yield b"{"
        await asyncio.Event().wait()

    async with running(database) as admin:
        answer = await admin.post("/v1/users", content=never(), headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (408, "request-timeout")
        assert answer.headers["connection"] == "close"


async def test_lines_that_stop_coming_end_the_answer_with_a_line_that_says_so(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(body, "PAUSE_MAX", 0.02)

    async def paused():  # type: ignore[no-untyped-def]
        yield json.dumps({"op": "POST /v1/users", "body": ADA}).encode() + b"\n"
        await asyncio.Event().wait()

    async with running(database) as admin:
        form = {"content-type": "application/x-ndjson"}
        answer = await admin.post("/v1/bulk", content=paused(), headers=form)
        first, last = [json.loads(line) for line in answer.text.splitlines()]
        assert (first["line"], first["status"]) == (1, 201), "what came is carried out"
        assert (last["line"], last["status"]) == (2, 408)
        assert last["problem"]["code"] == "request-timeout"


QUERIES = [
    ("limit=0", 422, "invalid-parameter"),
    ("limit=201", 422, "invalid-parameter"),
    ("limit=x", 422, "invalid-parameter"),
    ("limit=10&limit=10", 422, "invalid-parameter"),
    ("limit=%D9%A1", 422, "invalid-parameter"),
    ("nothing=1", 422, "unknown-parameter"),
    ("amount=1", 422, "unknown-parameter"),
    ("status=gone", 422, "invalid-parameter"),
    ("userId=USR-1", 422, "invalid-parameter"),
    ("createdAtFrom=yesterday", 422, "invalid-parameter"),
    ("createdAtFrom=2026-01-01T00:00:00", 422, "invalid-parameter"),
    ("createdAtTo=99999-01-01T00:00:00Z", 422, "invalid-parameter"),
    ("createdAtFrom=2026-01-01%2008:00:00Z", 422, "invalid-parameter"),
    ("createdAtFrom=2026-01-01T08:00Z", 422, "invalid-parameter"),
    ("createdAtTo=1700000000000", 422, "invalid-parameter"),
    ("asOf=2026-01-01%2008:00:00Z", 422, "invalid-parameter"),
    ("sort=amount", 422, "invalid-parameter"),
    ("sort=status", 422, "invalid-parameter"),
    ("sort=--createdAt", 422, "invalid-parameter"),
    ("deleted=true", 422, "unknown-parameter"),
    ("status=%00", 400, "malformed-query"),
    ("status=%FF", 400, "malformed-query"),
    ("cursor=", 400, "invalid-cursor"),
    ("cursor=A&cursor=A", 422, "invalid-parameter"),
    ("cursor=AAAA", 400, "invalid-cursor"),
    ("cursor=%E2%82%A6", 400, "invalid-cursor"),
]


@pytest.mark.parametrize("path", ["/v1/loans", "/v1/users/{user}/loans"])
async def test_no_query_gets_a_500(admin: Client, path: str) -> None:
    user = await admin.user()
    for query, status, code in QUERIES:
        where = path.format(user=user["id"])
        answer = await admin.get(f"{where}?{query}", headers=await admin.caught_up())
        assert (answer.status_code, answer.json()["code"]) == (status, code), query


def _meant(answer: httpx.Response) -> dict[str, str]:
    assert answer.status_code == 422, answer.text
    return {e["pointer"]: e["detail"].rpartition("; ")[2] for e in answer.json()["errors"]}


async def test_an_unknown_name_with_a_near_one_says_which_was_meant(admin: Client) -> None:
    user = await admin.post("/v1/users", ADA | {"creditLimt": 100, "colour": 1})
    assert _meant(user) == {
        "/creditLimt": "did you mean creditLimit?",
        "/colour": "Extra inputs are not permitted",
    }
    role = {"name": "Clerk", "permissions": [{"resource": "users", "action": ["read"]}]}
    deep = _meant(await admin.post("/v1/admin-roles", role))
    assert deep["/permissions/0/action"] == "did you mean actions?"
    for right, meant in (
        ({"resource": "loans.aproval", "actions": ["read"]}, "resource loans.approval"),
        ({"resource": "loans", "actions": ["wirte"]}, "actions/0 write"),
    ):
        role = {"name": "Clerk", "permissions": [right]}
        place, name = meant.split()
        said = _meant(await admin.post("/v1/admin-roles", role))
        assert said == {f"/permissions/0/{place}": f"did you mean {name}?"}
    policy = {"policy": {"lending": {"autoAproveMinScore": 600}}}
    deep = _meant(await admin.post("/v1/simulations", policy))
    assert deep["/policy/lending/autoAproveMinScore"] == "did you mean autoApproveMinScore?"
    lines = json.dumps({"op": "POST /v1/users", "boddy": {}}).encode()
    answer = await admin.post("/v1/bulk", content=lines, headers=NDJSON)
    assert "did you mean body?" in answer.text
    for query, meant in {
        "/v1/loans?statu=active": {"statu": "did you mean status?"},
        "/v1/loans?user_id=1": {"user_id": "did you mean userId?"},
        "/v1/loans?createdFrom=1": {"createdFrom": "did you mean createdAtFrom?"},
        "/v1/loans?sort=-createdat": {"sort": "did you mean createdAt?"},
        "/v1/checkpoint?nothing=1": {"nothing": "there is no such parameter"},
        "/v1/events?typ=LoanApproved": {"typ": "did you mean type?"},
        "/v1/events?type=LoanAproved": {"type": "did you mean LoanApproved?"},
        "/v1/events?entity=loan": {"entity": "did you mean Loan?"},
        "/v1/audit-logs?entity=loan": {"entity": "did you mean Loan?"},
    }.items():
        assert _meant(await admin.get(query)) == meant, query
    place = "/v1/system-config/lending/autoAproveMinScore"
    setting = await admin.ask("PUT", place, {"value": 600})
    assert _meant(setting)["/key"] == "did you mean lending/autoApproveMinScore?"


HEADERS = [
    ("Authorization", "Bearer", 401),
    ("Authorization", "Basic YTpi", 401),
    ("Authorization", "Bearer \xff", 401),
    ("Ledger-Position", "x", 422),
    ("Ledger-Position", "-1", 422),
    ("Ledger-Position", "999999999999", 422),
    ("X-Request-Id", "\xff", 200),
    ("X-Forwarded-For", "not, an, address", 200),
    ("Prefer", "\xff", 200),
    ("If-Match", "\xff", 200),
]


async def test_no_header_gets_a_500(admin: Client) -> None:
    for name, value, status in HEADERS:
        header = {name: value.encode("latin-1")}
        answer = await admin.get("/v1/users", headers=header)
        assert answer.status_code == status, f"{name}: {value}: {answer.text}"


async def test_a_path_with_a_nul_leads_nowhere(admin: Client) -> None:
    for path in ("/v1/system-config/a%00/b", "/v1/users/%00"):
        assert (await admin.get(path)).status_code == 404


async def test_no_sum_stops_the_read_tables(admin: Client) -> None:
    most = 999_999_999_999.99
    user = await admin.user(creditLimit=most)
    loan = {"userId": user["id"], "amount": most, "network": "MTN", "interestRate": 1000}
    assert (await admin.post("/v1/loans", loan)).status_code == 201
    cash = {"type": "repayment", "userId": user["id"], "amount": most, "paymentMethod": "cash"}
    for _ in range(2):
        assert (await admin.post("/v1/transactions", cash)).status_code == 201
    shown = await admin.get(f"/v1/users/{user['id']}", headers=await admin.caught_up())
    assert '"creditBalance":1999999999999.98' in shown.text


async def test_free_fields_are_bounded(admin: Client) -> None:
    loan = {"userId": (await admin.user())["id"], "amount": 10, "network": "MTN"}
    for metadata in ({"a": "x" * 501}, {f"k{n}": n for n in range(51)}):
        answer = await admin.post("/v1/loans", loan | {"metadata": metadata})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["pointer"].startswith("/metadata")

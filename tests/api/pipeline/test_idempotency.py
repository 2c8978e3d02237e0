"""A key stands for what a request was understood as, however that is spelled."""

import hashlib
import hmac
import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from api.pipeline.idempotency import _encoder, asked_by
from rim_ledger.engine.command import Form
from rim_ledger.lending.fees import FeeMode
from rim_ledger.lending.loan_requests import RequestLoan
from rim_ledger.values import Network
from tests.api.conftest import Client

NDJSON = {"Content-Type": "application/x-ndjson"}
ID = "01980f5e-0000-7000-8000-00000000abcd"
USER = '{"phone": "08035550001", "email": "bisi@example.com", "name": "Bisi", "creditLimit": 10}'
SPELLINGS = [
    USER.replace("10}", "10.00}"),
    USER.replace("10}", "1e1}"),
    USER.replace("08035550001", "+234 803 555 0001"),
    '{ "name":"Bisi","creditLimit":10 ,\n"email":"bisi@EXAMPLE.com","phone":"0803-555-0001" }',
    USER.replace('"name": "Bisi"', '"name": "  B\\u0069si "'),
    USER.replace("}", ', "occurredAt": null, "id": null}'),
]
OTHERS = [
    USER.replace("10}", "10.01}"),
    USER.replace("0001", "0002"),
    USER.replace("Bisi", "bisi"),
    USER.replace("}", ', "occurredAt": "2026-01-01T00:00:00Z"}'),
    USER.replace("}", f', "id": "{ID}"}}'),
]


async def _post(client: Client, path: str, body: str, key: str, method: str = "POST") -> Any:
    headers = {"Idempotency-Key": key, "Content-Type": "application/json"}
    return await client.ask(method, path, headers=headers, content=body.encode())


def _code(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


async def test_other_spellings_of_a_request_are_the_same_request(admin: Client) -> None:
    first = await _post(admin, "/v1/users", USER, "k")
    assert first.status_code == 201, first.text
    for spelling in SPELLINGS:
        again = await _post(admin, "/v1/users", spelling, "k")
        assert again.json() == first.json(), spelling
        assert again.headers["idempotency-replayed"] == "true"
    for other in OTHERS:
        answer = await _post(admin, "/v1/users", other, "k")
        assert _code(answer) == (422, "idempotency-key-reused"), other
    line = {"op": "POST /v1/users", "key": "k", "body": json.loads(SPELLINGS[0])}
    bulk = await admin.post("/v1/bulk", content=json.dumps(line), headers=NDJSON)
    assert json.loads(bulk.text)["replayed"] is True, "a line is a request like any other"
    line["body"] = json.loads(OTHERS[0])
    bulk = await admin.post("/v1/bulk", content=json.dumps(line), headers=NDJSON)
    assert json.loads(bulk.text)["problem"]["code"] == "idempotency-key-reused"


async def test_a_path_is_part_of_the_request_and_its_ids_have_one_spelling(admin: Client) -> None:
    users = [(await admin.user(number))["id"] for number in (1, 2)]
    reason = '{"reason": "late"}'
    for user in (users[0], users[0].upper()):
        answer = await _post(admin, f"/v1/users/{user}/suspend", reason, "s")
        assert answer.status_code == 200, answer.text
    assert answer.headers["idempotency-replayed"] == "true"
    for path in (f"/v1/users/{users[1]}/suspend", "/v1/users/USR-2026-000001/suspend"):
        answer = await _post(admin, path, reason, "s")
        assert _code(answer) == (422, "idempotency-key-reused")


async def test_in_a_patch_a_value_that_is_given_is_not_one_that_is_left_out(admin: Client) -> None:
    path = f"/v1/users/{(await admin.user())['id']}"
    first = await _post(admin, path, '{"name": "Ada Obi"}', "p", "PATCH")
    assert first.status_code == 200, first.text
    again = await _post(admin, path, '{"name":"Ada Obi "}', "p", "PATCH")
    assert again.headers["idempotency-replayed"] == "true"
    other = await _post(admin, path, '{"name": "Ada Obi", "email": null}', "p", "PATCH")
    assert other.status_code == 422


async def test_a_file_is_the_same_when_its_lines_mean_the_same(admin: Client) -> None:
    def file(body: str, *, space: str = " ", end: str = "\n", **more: Any) -> bytes:
        line = {"op": "POST /v1/users", "body": json.loads(body), **more}
        return (json.dumps(line, separators=("," + space, ":" + space)) + end).encode()

    async def send(content: bytes) -> Any:
        headers = NDJSON | {"Idempotency-Key": "file"}
        return await admin.post("/v1/bulk?atomic=true", content=content, headers=headers)

    assert (await send(file(USER))).status_code == 200
    for same in (file(USER, space=""), file(SPELLINGS[0], end="\r\n\n"), file(SPELLINGS[2])):
        again = await send(same)
        assert json.loads(again.text)["replayed"] is True, again.text
    for other in (file(OTHERS[0]), file(USER) + file(USER), file(USER, version=1)):
        answer = await send(other)
        assert _code(answer) == (422, "idempotency-key-reused"), other


async def test_outcomes_stored_under_the_former_hash_are_found_by_it(
    admin: Client, database: str
) -> None:
    first = await _post(admin, "/v1/users", USER, "k")
    said = "POST /v1/users" + json.dumps(json.loads(USER), sort_keys=True)
    key = admin.app.state.context.request_key
    former = hmac.new(key, said.encode(), hashlib.sha256).hexdigest()
    known = admin.app.state.context.ledger.cache
    async with await psycopg.AsyncConnection.connect(database) as connection:
        query = "SELECT caller, key, outcome FROM ledger.outcomes WHERE key = 'k'"
        ((caller, name, text),) = await (await connection.execute(query)).fetchall()
        mac = known.outcome(caller, name, former, text).mac
        query = "UPDATE ledger.outcomes SET request_hash = %s, mac = %s WHERE key = 'k'"
        assert (await connection.execute(query, [former, mac])).rowcount == 1
    again = await _post(admin, "/v1/users", USER.replace(", ", " ,"), "k")
    assert again.json() == first.json()
    for other in (SPELLINGS[0], OTHERS[0]):
        answer = await _post(admin, "/v1/users", other, "k")
        assert _code(answer) == (422, "idempotency-key-reused")


class Inner(Form):
    amount: Decimal | None = None


class Wish(Form):
    inner: Inner = Inner()
    free: dict[str, Any] = {}
    secret: SecretStr | None = None
    at: datetime | None = None


def _spelled(op: str = "POST /x", **fields: Any) -> bytes:
    return _encoder.encode(asked_by(op, Wish(**fields)))


def test_what_means_the_same_is_spelled_alike_and_nothing_else_is() -> None:
    assert _spelled() == _spelled(inner=Inner(amount=None), free={})
    assert _spelled(free={"a": 1, "b": [2]}) == _spelled(free={"b": [Decimal("2.0")], "a": 1.0})
    assert _spelled(free={"a": 0}) == _spelled(free={"a": -0.0})
    noon = datetime(2026, 1, 1, 12, tzinfo=UTC)
    assert _spelled(at=noon) == _spelled(at=noon.astimezone())
    large = Decimal("1" + 29 * "0" + "1")
    kinds = [1, "1", True, None, [1], {"1": 1}, large, large.scaleb(1), 1e30, 1e-30]
    assert len({_spelled(free={"a": each}) for each in kinds}) == len(kinds)
    assert _spelled(secret=SecretStr("a")) != _spelled(secret=SecretStr("b"))
    assert _spelled("PATCH /x") != _spelled("PATCH /x", at=None)
    assert _spelled(f"POST /{ID}") == _spelled(f"POST /{ID.upper()}")


@given(st.decimals(allow_nan=False, allow_infinity=False, places=2, min_value=0, max_value=10**15))
def test_every_way_to_write_a_number_is_one_number(number: Decimal) -> None:
    ways = [number, number * Decimal("1.000"), Decimal(f"{number:E}")]
    assert len({_spelled(free={"a": each}) for each in ways}) == 1
    assert _spelled(free={"a": number}) != _spelled(free={"a": number + Decimal("0.01")})


def test_a_field_of_a_later_release_changes_only_requests_that_set_it() -> None:
    wish: dict[str, Any] = {"user_id": UUID(int=1), "amount": 100, "network": Network.MTN}
    op, meant = asked_by("POST /v1/loans", RequestLoan(**wish))
    assert meant.keys() == {
        *("occurred_at", "id", "user_id", "amount", "network"),
        *("repayment_period", "interest_rate", "metadata"),
    }
    for more in ({"fee_mode": FeeMode.ADDON}, {"product_id": UUID(int=2)}):
        _, other = asked_by(op, RequestLoan(**wish | more))
        assert other.keys() - meant.keys() == more.keys()

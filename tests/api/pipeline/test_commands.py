"""Commands over HTTP: who may ask, in which order things are checked, what is answered."""

import asyncio
import json
from datetime import timedelta
from uuid import uuid4

import httpx
import pytest

from api.pipeline import commands
from rim_ledger.engine.refusals import Unavailable
from tests.api.conftest import ADA, WORLD, Client


def code(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    said = answer.json()
    assert said["status"] == answer.status_code
    assert {"type", "title", "detail", "instance", "requestId"} <= said.keys()
    return answer.status_code, said["code"]


async def test_a_creation_answers_201_with_its_place_and_both_ids(admin: Client) -> None:
    answer = await admin.post("/v1/users", ADA)
    receipt = answer.json()
    assert answer.status_code == 201
    assert list(receipt) == ["id", "userId", "version", "position"]
    assert answer.headers["location"] == f"/v1/users/{receipt['id']}"
    assert answer.headers["etag"] == '"1"'
    assert answer.headers["ledger-position"] == str(receipt["position"])
    assert answer.headers["cache-control"] == "no-store"


async def test_a_client_may_name_what_it_makes_and_nobody_takes_the_name_twice(
    admin: Client,
) -> None:
    own = str(uuid4())
    first = await admin.post("/v1/users", ADA | {"id": own})
    assert first.json()["id"] == own
    other = ADA | {"id": own, "phone": "08031234568", "email": "b@example.com"}
    assert code(await admin.post("/v1/users", other)) == (409, "already-exists")


async def test_the_order_of_checks_is_401_then_403_then_422_then_404(admin: Client) -> None:
    reader = await admin.take_on("reader", {"resource": "users", "actions": ["read"]})
    nobody = Client(admin.http, admin.app)
    path, bad = "/v1/users/USR-2026-999999/suspend", {"reason": 7}
    unknown = await nobody.post(path, bad)
    assert code(unknown) == (401, "unauthenticated")
    assert unknown.headers["www-authenticate"].startswith("Bearer")
    assert code(await reader.post(path, bad)) == (403, "forbidden")
    assert code(await reader.post(path, content=b"{")) == (403, "forbidden")
    assert code(await admin.post(path, bad)) == (422, "invalid-fields")
    assert code(await admin.post(path, {"reason": "late"})) == (404, "not-found")


async def test_a_wrong_field_is_named_by_its_pointer_and_its_value_is_not_repeated(
    admin: Client,
) -> None:
    body = {"phone": "0803-hidden", "name": "Ada", "status": "active"}
    answer = await admin.post("/v1/users", body)
    assert code(answer) == (422, "invalid-fields")
    places = {(e["pointer"], e["code"]) for e in answer.json()["errors"]}
    wanted = {("/phone", "phone"), ("/email", "missing"), ("/status", "extra-forbidden")}
    assert places == wanted
    assert "hidden" not in answer.text
    nothing = await admin.post("/v1/users", [])
    assert code(nothing) == (422, "invalid-fields")
    assert nothing.json()["detail"] == "this is a JSON object"


async def test_an_illegal_transition_says_what_is_possible(admin: Client) -> None:
    user = await admin.user()
    answer = await admin.post(f"/v1/users/{user['userId']}/reinstate")
    assert code(answer) == (409, "invalid-transition")
    said = answer.json()
    assert (said["current"], said["command"]) == ("active", "reinstate")
    assert said["allowed"] == ["deactivate", "suspend"]


async def test_a_path_takes_either_id_and_anything_else_is_not_found(admin: Client) -> None:
    user = await admin.user()
    loan = {"userId": user["userId"], "amount": 100, "network": "MTN"}
    made = (await admin.post("/v1/loans", loan)).json()
    for way in (user["id"], user["userId"]):
        answer = await admin.post(f"/v1/users/{way}/credit-score", {"score": 1, "reason": "x"})
        assert answer.status_code == 200, answer.text
    for way in (made["loanId"], made["id"], "USR-2026-999999", str(uuid4()), "x", "%00", "{}"):
        answer = await admin.post(f"/v1/users/{way}/suspend", {"reason": "late"})
        assert code(answer) == (404, "not-found"), way


async def test_a_key_gives_the_first_answer_again_refusals_included(admin: Client) -> None:
    key = {"Idempotency-Key": "one"}
    first = await admin.post("/v1/users", ADA, headers=key)
    again = await admin.post("/v1/users", ADA, headers=key)
    assert again.json() == first.json()
    assert again.status_code == 201
    assert again.headers["idempotency-replayed"] == "true"
    other = await admin.post("/v1/users", ADA | {"name": "Eve"}, headers=key)
    assert code(other) == (422, "idempotency-key-reused")
    path, refused = f"/v1/users/{first.json()['id']}", {"Idempotency-Key": "two"}
    for _ in range(2):
        answer = await admin.post(path + "/reinstate", headers=refused)
        assert code(answer) == (409, "invalid-transition")
    assert answer.headers["idempotency-replayed"] == "true"
    long = {"Idempotency-Key": "x" * 256}
    assert code(await admin.post("/v1/users", ADA, headers=long)) == (
        422,
        "invalid-idempotency-key",
    )


async def test_two_requests_with_one_key_at_once_act_once(admin: Client) -> None:
    key = {"Idempotency-Key": "same"}
    asked = [admin.post("/v1/users", ADA, headers=key) for _ in range(20)]
    answers = await asyncio.gather(*asked)
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["id"] for answer in answers}) == 1


async def test_if_match_must_name_the_current_version(admin: Client) -> None:
    user = await admin.user()
    path, body = f"/v1/users/{user['id']}/credit-score", {"score": 700, "reason": "good"}
    for version in ('"2"', "junk", 'W/"9"'):
        stale = await admin.post(path, body, headers={"If-Match": version})
        assert code(stale) == (412, "stale-version")
    fresh = await admin.post(path, body, headers={"If-Match": '"1"'})
    assert (fresh.status_code, fresh.headers["etag"]) == (200, '"2"')


async def test_a_command_may_lie_five_minutes_ahead_and_a_week_back(admin: Client) -> None:
    rights = {"resource": "users.credit", "actions": ["write"]}
    officer = await admin.take_on("officer", rights)
    long_ago = (WORLD.now() - timedelta(days=801)).isoformat()
    user = await admin.user(occurredAt=long_ago)
    path = f"/v1/users/{user['id']}/credit-score"

    async def at(who: Client, days: float, score: int) -> httpx.Response:
        moment = (WORLD.now() + timedelta(days=days)).isoformat()
        body = {"score": score, "reason": "x", "occurredAt": moment}
        return await who.post(path, body)

    assert (await at(admin, -800, 603)).status_code == 200
    assert code(await at(officer, 1, 601)) == (422, "occurred-in-future")
    assert code(await at(officer, -8, 602)) == (403, "forbidden")
    assert (await at(officer, -6, 600)).status_code == 200


async def test_no_command_is_dated_before_what_it_follows_whichever_way_it_comes(
    admin: Client,
) -> None:
    early = {"occurredAt": (WORLD.now() - timedelta(days=1)).isoformat()}
    paths = {
        f"/v1/users/{(await admin.user())['id']}/suspend": {"reason": "a reason"},
        "/v1/system-config/lending/maxOpenLoans": {"value": 4},
    }
    for path, body in paths.items():
        method = "PUT" if "config" in path else "POST"
        one = await admin.ask(method, path, json=body | early)
        assert code(one) == (422, "occurred-too-early")
        assert one.json()["errors"][0]["pointer"] == "/occurredAt"
        for bulk in ("/v1/bulk", "/v1/bulk?atomic=true"):
            line = json.dumps({"op": f"{method} {path}", "body": body | early})
            form = {"content-type": "application/x-ndjson"}
            told = json.loads((await admin.post(bulk, content=line, headers=form)).text)
            assert told["problem"]["code"] == "occurred-too-early"


async def test_who_prefers_the_row_has_the_receipt_when_the_row_cannot_be_had(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object) -> None:
        raise Unavailable("store-unavailable", "away")

    monkeypatch.setattr(commands, "shown", away)
    answer = await admin.post("/v1/users", ADA, headers={"Prefer": "return=representation"})
    assert (answer.status_code, answer.json()["version"]) == (201, 1)
    assert "preference-applied" not in answer.headers


async def test_prefer_representation_answers_the_row(admin: Client) -> None:
    prefer = {"Prefer": 'respond-async, return="representation"; wait=5'}
    answer = await admin.post("/v1/users", ADA, headers=prefer)
    assert answer.status_code == 201
    assert answer.headers["preference-applied"] == "return=representation"
    assert answer.json()["phone"] == "+2348031234567"
    writer = await admin.take_on("writer", {"resource": "users.credit", "actions": ["write"]})
    body, path = {"score": 1, "reason": "x"}, answer.headers["location"] + "/credit-score"
    plain = await writer.post(path, body, headers=prefer)
    assert list(plain.json()) == ["id", "userId", "version", "position"]


async def test_a_setting_is_named_by_its_path(admin: Client) -> None:
    path = "/v1/system-config/lending/interestRate"
    assert (await admin.ask("PUT", path, {"value": 12.5})).status_code == 200
    row = (await admin.get(path, headers=await admin.caught_up())).json()
    assert (row["category"], row["key"], row["value"]) == ("lending", "interestRate", 12.5)
    twice = await admin.ask("PUT", path, {"value": 12.5, "key": "x"})
    assert code(twice) == (422, "invalid-fields")
    assert code(await admin.ask("PUT", path, {"value": 1001})) == (422, "out-of-range")
    assert (await admin.ask("DELETE", path)).status_code == 200
    assert code(await admin.ask("DELETE", path)) == (409, "already-done")
    unfit = "/v1/system-config/lending/interest%20rate"
    told = await admin.ask("PUT", unfit, {"value": 1})
    assert (told.status_code, told.json()["errors"][0]["pointer"]) == (422, "/key")
    assert code(await admin.ask("DELETE", unfit)) == (404, "not-found")


async def test_a_session_ends_at_once_for_reads_and_commands(admin: Client) -> None:
    other = await admin.as_("admin")
    assert (await other.get("/v1/auth/me")).json()["role"] == "superadmin"
    assert (await other.post("/v1/auth/logout")).status_code == 204
    assert code(await other.get("/v1/auth/me")) == (401, "unauthenticated")
    assert code(await other.post("/v1/users", ADA)) == (401, "unauthenticated")
    assert (await admin.get("/v1/auth/me")).status_code == 200


async def test_a_wrong_password_and_an_unknown_name_look_alike_and_are_soon_too_many(
    admin: Client,
) -> None:
    nobody = Client(admin.http, admin.app)
    for username in ("admin", "nobody"):
        answer = await nobody.post("/v1/auth/login", {"username": username, "password": "x"})
        assert code(answer) == (401, "invalid-credentials")
    for _ in range(5):
        answer = await nobody.post("/v1/auth/login", {"username": "nobody", "password": "x"})
    assert code(answer) == (429, "too-many-attempts")
    assert int(answer.headers["retry-after"]) > 0


async def test_unknown_paths_and_methods_are_problems_too(admin: Client) -> None:
    assert code(await admin.get("/v1/nothing")) == (404, "no-such-path")
    assert code(await admin.get("/v1/users/")) == (404, "no-such-path")
    answer = await admin.ask("DELETE", f"/v1/loans/{uuid4()}")
    assert code(answer) == (405, "method-not-allowed")
    assert answer.headers["allow"] == "GET, HEAD, PATCH"


async def test_the_request_id_and_the_client_address_reach_the_events(admin: Client) -> None:
    hops = "203.0.113.9, 198.51.100.7, 127.0.0.5"
    given = {"X-Request-Id": "trace-1", "X-Forwarded-For": hops, "User-Agent": "a browser"}
    answer = await admin.post("/v1/users", ADA, headers=given)
    assert answer.headers["x-request-id"] == "trace-1"
    made = await admin.post("/v1/users", ADA, headers={"X-Request-Id": "x" * 129})
    assert made.headers["x-request-id"] == made.json()["requestId"] != "x" * 129
    log = await admin.get("/v1/audit-logs?action=UserRegistered", headers=await admin.caught_up())
    (row,) = log.json()["items"]
    assert (row["requestId"], row["ipAddress"]) == ("trace-1", "198.51.100.7")
    assert row["userAgent"] == "a browser"


async def test_a_command_that_the_end_of_the_process_cuts_short_may_be_sent_again(
    admin: Client,
) -> None:
    under_way, never = asyncio.Event(), asyncio.Event()

    async def stay_away(*_: object, **__: object) -> None:
        under_way.set()
        await never.wait()

    admin.app.state.context.ledger.decide = stay_away
    asking = asyncio.create_task(admin.post("/v1/users", ADA))
    await under_way.wait()
    asking.cancel()
    answer = await asking
    assert code(answer) == (503, "busy")
    assert answer.headers["retry-after"] == "1"

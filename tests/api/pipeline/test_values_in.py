"""Values are read alike in every way in: a request, a line of bulk, an atomic file, a PATCH."""

import json
from typing import Any

from tests.api.conftest import ADA, Client

JSON = {"content-type": "application/json"}
LINES = {"content-type": "application/x-ndjson"}
UNFIT = ["\u200b", "Ada\u200b", "Ada\x07", "A\u202eda", "\ufeffAda", "Ada\nObi"]
INEXACT = ["1e400", "0.1000000000000000055511151231257827", "9007199254740993", "-1e-400"]


async def _every_way(admin: Client, op: str, body: str) -> list[tuple[int, str]]:
    """Status and first field code of a refused body, given as a request, in bulk and atomically."""
    method, path = op.split(" ")
    one = await admin.http.request(
        method, path, content=body.encode(), headers=admin.headers | JSON
    )
    line = f'{{"op": "{op}", "body": {body}}}\n'.encode()
    found = [one.json()]
    for query in ("", "?atomic=true"):
        answer = await admin.post(f"/v1/bulk{query}", content=line, headers=LINES)
        found.append(answer.json()["problem"] if query == "" else _problem(answer.json()))
    return [(each["status"], each["errors"][0]["code"]) for each in found]


def _problem(answer: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = answer.get("problem", answer)
    return found


async def test_what_nobody_sees_is_refused_in_every_way_in(admin: Client) -> None:
    for name in UNFIT:
        body = json.dumps(ADA | {"name": name})
        told = await _every_way(admin, "POST /v1/users", body)
        assert told == [(422, "unfit-character")] * 3, ascii(name)
    for path, body in [
        ("/v1/departments", {"name": "\u200b"}),
        ("/v1/admin-roles", {"name": "a\u00adb", "permissions": []}),
        ("/v1/sms-templates", {"name": "\u2060", "message": "Hi"}),
    ]:
        answer = await admin.post(path, body)
        assert answer.json()["errors"][0]["code"] == "unfit-character", path
    emoji = ADA | {
        "name": "Adaeze 👩🏽\u200d🌾",
        "email": "b@example.com",
        "phone": "08031234568",
    }
    assert (await admin.post("/v1/users", emoji)).status_code == 201


async def test_free_json_is_never_rounded_in_silence(admin: Client) -> None:
    user = (await admin.post("/v1/users", ADA)).json()["id"]
    loan = {"userId": user, "amount": 100, "network": "MTN", "metadata": {"x": 0.1}}
    made = (await admin.post("/v1/loans", loan)).json()["id"]
    for number in INEXACT:
        body = f'{{"metadata": {{"x": {number}}}}}'
        told = await _every_way(admin, f"PATCH /v1/loans/{made}", body)
        assert told == [(422, "inexact-number")] * 3, number
    told = await _every_way(admin, "PUT /v1/system-config/own/thing", '{"value": [1e400]}')
    assert told == [(422, "inexact-number")] * 3
    headers = {"Prefer": "return=representation"}
    kept = await admin.ask("PATCH", f"/v1/loans/{made}", {"metadata": None}, headers=headers)
    assert "x" not in kept.json()["metadata"]


async def test_an_id_in_a_body_is_spelled_as_in_a_path(admin: Client) -> None:
    user = (await admin.post("/v1/users", ADA)).json()["id"]
    for spelled in (f"{{{user}}}", f"urn:uuid:{user}", user.replace("-", "")):
        body = json.dumps({"userId": spelled, "amount": 100, "network": "MTN"})
        told = await _every_way(admin, "POST /v1/loans", body)
        assert told == [(422, "id")] * 3, spelled
        assert (await admin.get(f"/v1/users/{spelled}")).status_code == 404
        assert (await admin.get(f"/v1/loans?userId={spelled}")).status_code == 422


async def test_null_in_a_patch_clears_or_is_refused(admin: Client) -> None:
    user = (await admin.post("/v1/users", ADA)).json()["id"]
    for field in ("phone", "email", "name"):
        told = await _every_way(admin, f"PATCH /v1/users/{user}", json.dumps({field: None}))
        assert told == [(422, "required")] * 3
    me = f"/v1/admin-users/{(await admin.get('/v1/auth/me')).json()['id']}"
    headers = {"Prefer": "return=representation"}
    named = await admin.ask("PATCH", me, {"phone": "08031234560", "name": "A"}, headers=headers)
    assert named.json()["phone"] == "+2348031234560"
    bare = await admin.ask("PATCH", me, {"phone": None, "name": None}, headers=headers)
    assert (bare.json()["phone"], bare.json()["name"]) == (None, None)


async def test_a_provider_may_be_left_without_a_key(admin: Client) -> None:
    form = {
        "name": "Gate",
        "type": "payment_gateway",
        "provider": "Pay",
        "baseUrl": "https://pay.example.com",
        "apiKey": "a-key-of-a-gateway",
        "apiSecret": "a-secret-of-a-gateway",
    }
    one = f"/v1/api-integrations/{(await admin.post('/v1/api-integrations', form)).json()['id']}"
    headers = {"Prefer": "return=representation"}
    bare = await admin.ask("PATCH", one, {"apiKey": None}, headers=headers)
    assert (bare.json()["apiKey"]["set"], bare.json()["apiSecret"]["set"]) == (False, True)
    assert (await admin.post(one + "/activate")).status_code == 200
    needed = await admin.ask("PATCH", one, {"apiSecret": None})
    assert (needed.status_code, needed.json()["code"]) == (409, "secret-missing")
    await admin.post(one + "/deactivate")
    bare = await admin.ask("PATCH", one, {"apiSecret": None}, headers=headers)
    assert bare.json()["apiSecret"] == bare.json()["apiKey"] | {"formerValidUntil": None}

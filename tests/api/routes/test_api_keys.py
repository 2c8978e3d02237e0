"""API keys over HTTP: told once, limited, listed without the key, over with their owner."""

import json

import pytest

from tests.api.conftest import ADA, Client

KEYS = "/v1/api-keys"
READS = {"resource": "users", "actions": ["read"]}
USERS = {"resource": "users", "actions": ["read", "write"]}


async def test_a_key_is_told_once_and_lets_a_machine_in_within_its_scope(admin: Client) -> None:
    wish = {"name": "importer", "permissions": [READS]}
    headers = {"Idempotency-Key": "k1"}
    made = await admin.post(KEYS, wish, headers=headers)
    assert made.status_code == 201, made.text
    key, one = made.json()["key"], made.json()["id"]
    assert key.startswith("rim_")
    assert len(key) == 47
    again = await admin.post(KEYS, wish, headers=headers)
    assert (again.json()["id"], again.json()["key"]) == (one, None)
    assert again.headers["idempotency-replayed"] == "true"
    machine = admin.with_token(key)
    assert (await machine.get("/v1/users")).status_code == 200
    assert (await machine.post("/v1/users", ADA)).status_code == 403
    me = (await machine.get("/v1/auth/me")).json()
    assert (me["username"], me["permissions"]) == ("admin", [READS])
    row = (await admin.get(f"{KEYS}/{one}", headers=await admin.caught_up())).json()
    assert (row["name"], row["username"], row["permissions"]) == ("importer", "admin", [READS])
    assert row["lastUsedAt"] is not None
    listed = await admin.get(KEYS)
    assert [each["id"] for each in listed.json()["items"]] == [one]
    assert key not in listed.text
    gone = await admin.ask("DELETE", f"{KEYS}/{one}")
    assert gone.status_code == 200
    assert (await machine.get("/v1/users")).status_code == 401
    assert (await admin.ask("DELETE", f"{KEYS}/{one}")).json()["code"] == "already-done"


async def test_what_a_machine_did_names_the_key_and_what_a_person_did_names_none(
    admin: Client,
) -> None:
    made = (await admin.post(KEYS, {"name": "importer", "permissions": [USERS]})).json()
    machine = admin.with_token(made["key"])
    body = {"Content-Type": "application/x-ndjson"}
    line = json.dumps({"op": "POST /v1/users", "body": ADA})
    answer = await machine.post("/v1/bulk", content=line, headers=body)
    mine = json.loads(answer.text)["receipt"]["id"]
    await machine.post(f"/v1/users/{mine}/suspend", {"reason": "late"})
    assert (await machine.get("/v1/loans")).status_code == 403
    user = (await admin.user(1))["id"]
    asked = await admin.caught_up()
    events = (await admin.get("/v1/events?entity=User", headers=asked)).json()["items"]
    keys = [(each["subject"], each.get("apikeyid"), each.get("apikeyname")) for each in events]
    key = (made["id"], "importer")
    assert keys == [(mine, *key), (mine, *key), (user, None, None)]
    assert {each["actorname"] for each in events} == {"admin"}
    audit = (await admin.get("/v1/audit-logs?entity=User", headers=asked)).json()["items"]
    assert [(each["apiKeyId"], each["apiKeyName"]) for each in audit] == [
        (None, None), key, key,
    ]  # fmt: skip
    of_key = await admin.get(f"/v1/audit-logs?apiKeyId={made['id']}&entity=User")
    assert [each["entityId"] for each in of_key.json()["items"]] == [mine, mine]
    log = (await admin.get(f"/v1/admin-activity-logs?apiKeyId={made['id']}")).json()["items"]
    assert [(each["action"], each["apiKeyName"]) for each in log] == [
        ("List", "importer"),
        ("SuspendUser", "importer"),
        ("RegisterUser", "importer"),
    ]
    (line,) = (await admin.get("/v1/admin-activity-logs?action=CreateApiKey")).json()["items"]
    assert (line["apiKeyId"], line["apiKeyName"]) == (None, None)


@pytest.mark.unfollowed
async def test_an_event_names_the_key_beside_its_owner(admin: Client) -> None:
    made = (await admin.post(KEYS, {"name": "importer", "permissions": [USERS]})).json()
    user = await admin.with_token(made["key"]).post("/v1/users", ADA)
    assert user.status_code == 201
    log = (await admin.get("/v1/admin-activity-logs")).json()["items"]
    assert [(each["action"], each["resource"]) for each in log][:2] == [
        ("RegisterUser", "users"),
        ("CreateApiKey", "api-keys"),
    ]
    query = "SELECT body::json #>> '{stamp,actor,apiKey}' FROM ledger.events WHERE name = %s"
    assert await admin.app.state.context.pool.rows(query, ["UserRegistered"]) == [(made["id"],)]


@pytest.mark.unfollowed
async def test_a_key_cannot_make_keys_or_touch_what_one_logs_in_with(admin: Client) -> None:
    everything = [
        {"resource": name, "actions": ["read", "write", "delete"]}
        for name in ("api_keys", "admins", "roles")
    ]
    ada = await admin.take_on("ada", *everything)
    made = (await admin.post(KEYS, {"name": "robot", "permissions": everything})).json()
    robot = admin.with_token(made["key"])
    ada_id = (await ada.get("/v1/auth/me")).json()["id"]
    password = {"currentPassword": "correct horse battery staple", "newPassword": "x" * 20}
    for path, body in (
        (KEYS, {"name": "child", "permissions": [everything[0]]}),
        ("/v1/auth/password", password),
        (f"/v1/admin-users/{ada_id}/reset-password", {"password": "another long password"}),
    ):
        answer = await robot.post(path, body)
        assert (answer.status_code, answer.json()["code"]) == (403, "session-required"), path


@pytest.mark.unfollowed
async def test_a_key_is_made_only_of_what_one_has(admin: Client) -> None:
    may = {"resource": "api_keys", "actions": ["read", "write"]}
    ada = await admin.take_on("ada", may, READS)
    wish = {"name": "importer", "permissions": [USERS]}
    answer = await ada.post(KEYS, wish)
    assert (answer.status_code, answer.json()["code"]) == (403, "privilege-escalation")
    assert answer.json()["lacking"] == ["users:write"]
    eve = await admin.take_on("eve", USERS)
    assert (await eve.post(KEYS, wish)).json()["code"] == "forbidden"
    unknown = {"name": "x", "permissions": [{"resource": "gold", "actions": ["read"]}]}
    assert (await admin.post(KEYS, unknown)).status_code == 422


async def test_a_key_has_its_addresses_and_ends_with_its_owner(admin: Client) -> None:
    may = {"resource": "api_keys", "actions": ["read", "write"]}
    ada = await admin.take_on("ada", may, READS)
    ada_id = (await ada.get("/v1/auth/me")).json()["id"]
    wish = {"name": "importer", "permissions": [READS]}
    made = [await ada.post(KEYS, wish | more) for more in ({}, {"ipWhitelist": ["192.0.2.7"]})]
    free, bound = (admin.with_token(each.json()["key"]) for each in made)
    assert (await free.get("/v1/users")).status_code == 200
    blocked = await bound.get("/v1/users")
    assert (blocked.status_code, blocked.json()["code"]) == (403, "ip-blocked")
    there = {"X-Forwarded-For": "192.0.2.7"}
    assert (await bound.get("/v1/users", headers=there)).status_code == 200
    path = f"/v1/admin-users/{ada_id}"
    for end, back in (("suspend", "reinstate"), ("deactivate", "activate")):
        again = await (await admin.as_("ada")).post(KEYS, wish)
        one = admin.with_token(again.json()["key"])
        assert (await one.get("/v1/users")).status_code == 200
        await admin.post(f"{path}/{end}", {"reason": "lost"} if end == "suspend" else {})
        assert (await admin.post(f"{path}/{back}")).status_code == 200
        for each in (free, one):
            assert (await each.get("/v1/users")).status_code == 401


async def test_an_analyst_gets_a_key_from_who_may_make_some(admin: Client) -> None:
    events = {"resource": "events", "actions": ["read"]}
    halima = await admin.take_on("halima", events, READS)
    her_id = (await halima.get("/v1/auth/me")).json()["id"]
    wish = {"name": "notebook", "permissions": [events], "adminId": her_id}
    assert (await halima.post(KEYS, wish)).json()["code"] == "forbidden"
    made = await admin.post(KEYS, wish)
    assert made.status_code == 201, made.text
    machine = admin.with_token(made.json()["key"])
    assert (await machine.get("/v1/events?limit=1")).status_code == 200
    assert (await machine.get("/v1/users")).status_code == 403
    me = (await machine.get("/v1/auth/me")).json()
    assert (me["username"], me["permissions"]) == ("halima", [events])
    row = await admin.get(f"{KEYS}/{made.json()['id']}", headers=await admin.caught_up())
    assert (row.json()["adminId"], row.json()["username"]) == (her_id, "halima")

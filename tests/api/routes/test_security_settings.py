"""Security settings over HTTP: each holds from the next request; nobody locks themselves out."""

from typing import Any

import httpx
import pytest

from tests.api.conftest import PASSWORD, Client
from tests.api.pipeline.test_commands import code

PATH = "/v1/security-settings"
OFFICE, CAFE = "203.0.113.7", "198.51.100.20"


def at(ip: str) -> dict[str, str]:
    """What the trusted proxy of the tests says of a client at this address."""
    return {"X-Forwarded-For": ip}


async def set_(admin: Client, **wish: Any) -> httpx.Response:
    answer = await admin.ask("PATCH", PATH, wish, headers=at(OFFICE))
    assert answer.status_code == 200, answer.text
    return answer


async def test_the_settings_begin_with_their_defaults_and_change_field_by_field(
    admin: Client,
) -> None:
    before = (await admin.get(PATH, headers=await admin.caught_up())).json()
    assert before.pop("updatedAt")
    assert before.pop("id")
    assert before == {
        "passwordMinLength": 12,
        "passwordRequireUppercase": False,
        "passwordRequireLowercase": False,
        "passwordRequireNumbers": False,
        "passwordRequireSpecialChars": False,
        "sessionTimeout": 30,
        "maxLoginAttempts": 5,
        "lockoutDuration": 15,
        "twoFactorRequired": False,
        "twoFactorMethod": "app",
        "ipWhitelist": [],
        "ipBlacklist": [],
    }
    wish = {"sessionTimeout": 20, "twoFactorMethod": "sms", "ipBlacklist": ["10.0.0.0/8"]}
    prefer = {"Prefer": "return=representation"}
    after = (await admin.ask("PATCH", PATH, wish, headers=prefer)).json()
    assert {name: after[name] for name in before} == before | wish
    again = await admin.ask("PATCH", PATH, wish)
    assert (again.status_code, again.json()["version"]) == (200, 2)


async def test_only_who_may_reads_and_changes_them(admin: Client) -> None:
    reader = await admin.take_on("reader", {"resource": "security_settings", "actions": ["read"]})
    other = await admin.take_on("other", {"resource": "config", "actions": ["read", "write"]})
    assert (await reader.get(PATH, headers=await admin.caught_up())).status_code == 200
    assert code(await reader.ask("PATCH", PATH, {})) == (403, "forbidden")
    assert code(await other.get(PATH)) == (403, "forbidden")
    assert code(await Client(admin.http, admin.app).get(PATH)) == (401, "unauthenticated")


@pytest.mark.parametrize("bad", ["10.0.0.1/8", "1.2.3.4/33", "fe80::1%eth0"])
@pytest.mark.parametrize("field", ["ipWhitelist", "ipBlacklist"])
@pytest.mark.unfollowed
async def test_a_rule_that_is_no_address_and_no_network_is_named(
    admin: Client, field: str, bad: str
) -> None:
    answer = await admin.ask("PATCH", PATH, {field: ["192.0.2.1", bad]})
    assert code(answer) == (422, "invalid-fields")
    (error,) = answer.json()["errors"]
    assert (error["pointer"], error["code"]) == (f"/{field}/1", "address")


@pytest.mark.unfollowed
async def test_numbers_out_of_range_and_unknown_fields_are_422(admin: Client) -> None:
    for bad in (
        {"passwordMinLength": 7},
        {"sessionTimeout": 4},
        {"maxLoginAttempts": 101},
        {"lockoutDuration": 0},
        {"twoFactorMethod": "letter"},
        {"sessionTimeout": "30"},
        {"updatedAt": "2026-01-01T00:00:00Z"},
    ):
        assert code(await admin.ask("PATCH", PATH, bad)) == (422, "invalid-fields")


@pytest.mark.unfollowed
async def test_a_blocked_address_is_403_at_the_log_in_and_with_a_live_session(
    admin: Client,
) -> None:
    await set_(admin, ipBlacklist=[CAFE])
    login = {"username": "admin", "password": PASSWORD}
    for ip in (CAFE, f"::ffff:{CAFE}"):
        for answer in (
            await admin.http.post("/v1/auth/login", json=login, headers=at(ip)),
            await admin.get("/v1/auth/me", headers=at(ip)),
            await admin.get("/v1/users", headers=at(ip)),
            await admin.post("/v1/auth/logout", headers=at(ip)),
            await admin.ask("PATCH", PATH, {"ipBlacklist": []}, headers=at(ip)),
        ):
            assert code(answer) == (403, "ip-blocked")
    assert (await admin.get("/v1/auth/me", headers=at(OFFICE))).status_code == 200


@pytest.mark.unfollowed
async def test_a_whitelist_lets_in_nobody_else_and_the_blacklist_beats_it(admin: Client) -> None:
    await set_(admin, ipWhitelist=["203.0.113.0/24"], ipBlacklist=["203.0.113.8/32"])
    for ip, status in ((OFFICE, 200), ("203.0.113.8", 403), (CAFE, 403), ("2001:db8::1", 403)):
        assert (await admin.get("/v1/auth/me", headers=at(ip))).status_code == status


@pytest.mark.unfollowed
async def test_a_forged_header_changes_nothing(admin: Client) -> None:
    await set_(admin, ipBlacklist=[CAFE])
    for forged in (f"{OFFICE}, {CAFE}", f"127.0.0.1, {OFFICE},{CAFE}", f"nonsense,{CAFE}"):
        answer = await admin.get("/v1/auth/me", headers=at(forged))
        assert code(answer) == (403, "ip-blocked")
    transport = httpx.ASGITransport(app=admin.app, client=(CAFE, 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://rim.test") as direct:
        for forged in (OFFICE, f"{OFFICE}, 127.0.0.1", ""):
            headers = admin.headers | at(forged)
            answer = await direct.get("/v1/auth/me", headers=headers)
            assert code(answer) == (403, "ip-blocked")


@pytest.mark.parametrize(
    "wish",
    [
        {"ipBlacklist": [OFFICE]},
        {"ipBlacklist": [f"::ffff:{OFFICE}"]},
        {"ipBlacklist": ["203.0.113.0/24"]},
        {"ipWhitelist": [CAFE]},
    ],
)
@pytest.mark.unfollowed
async def test_nobody_locks_out_the_address_that_they_ask_from(
    admin: Client, wish: dict[str, Any]
) -> None:
    answer = await admin.ask("PATCH", PATH, wish, headers=at(OFFICE))
    assert code(answer) == (409, "self-lockout")
    assert (await admin.get("/v1/auth/me", headers=at(OFFICE))).status_code == 200


@pytest.mark.unfollowed
async def test_new_passwords_are_as_the_settings_ask_from_the_next_request_on(
    admin: Client,
) -> None:
    change = {"currentPassword": PASSWORD, "newPassword": "ox-reads"}
    answer = await admin.post("/v1/auth/password", change)
    assert code(answer) == (422, "weak-password")
    assert answer.json()["errors"][0]["pointer"] == "/newPassword"
    await set_(admin, passwordMinLength=8, passwordRequireUppercase=True)
    answer = await admin.post("/v1/auth/password", change)
    assert answer.json()["detail"] == "The password needs a capital letter."
    change["newPassword"] = "Ox-reads"
    assert (await admin.post("/v1/auth/password", change)).status_code == 204


@pytest.mark.unfollowed
async def test_a_common_password_is_refused_however_it_is_written(admin: Client) -> None:
    await set_(admin, passwordMinLength=8)
    for common in ("password1", "PassWord1", "iloveyou", "administrator"):
        change = {"currentPassword": PASSWORD, "newPassword": common}
        answer = await admin.post("/v1/auth/password", change)
        assert code(answer) == (422, "invalid-fields")
        assert answer.json()["errors"][0]["code"] == "common"
        assert common not in answer.text

"""The second factor over HTTP: enrolling, challenges, codes that count once."""

import asyncio

import pytest

from rim_ledger.admin.second_factor import SENT_MOST
from tests.api.conftest import PASSWORD, Client, running
from tests.api.routes.factors import (
    CONFIRM,
    DISABLE,
    ENROL,
    LOGIN,
    Clock,
    answered,
    challenge,
    enrolled,
    enrolled_by_message,
    sent_code,
)

SETTINGS = "/v1/security-settings"
ADMINS = {"resource": "admins", "actions": ["read", "write"]}


async def allow_attempts(admin: Client) -> None:
    """So that it is the challenge that says no, and not the count of the account's failures."""
    assert (await admin.ask("PATCH", SETTINGS, {"maxLoginAttempts": 100})).status_code == 200


async def id_of(client: Client) -> str:
    return str((await client.get("/v1/auth/me")).json()["id"])


async def test_an_app_is_enrolled_confirmed_and_then_asked_for(admin: Client) -> None:
    clock = Clock(admin)
    told = (await admin.post(ENROL, {})).json()
    assert told["method"] == "app"
    assert told["otpauthUri"].startswith("otpauth://totp/RIM%20Ledger:admin?secret=")
    assert told["secret"] in told["otpauthUri"]
    assert told["qrSvg"].startswith("<svg xmlns=")
    wrong = await admin.post(CONFIRM, {"code": "wrong"})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "wrong-code")
    assert (await admin.as_("admin")).headers, "not yet asked for"
    done = await admin.post(CONFIRM, {"code": clock.code(told["secret"])})
    assert len(set(done.json()["recoveryCodes"])) == 10
    assert (await admin.get("/v1/auth/me")).status_code == 401
    body = {"username": "admin", "password": PASSWORD}
    asked = (await admin.http.post(LOGIN, json=body)).json()
    assert (asked["methods"], "token" in asked) == (["app"], False)
    clock.passes(seconds=30)
    session = await answered(admin, asked["challenge"], clock.code(told["secret"]))
    assert session.json()["admin"]["username"] == "admin"
    admin = admin.with_token(session.json()["token"])
    assert (await admin.get("/v1/users")).status_code == 200
    row = await admin.get(f"/v1/admin-users/{await id_of(admin)}", headers=await admin.caught_up())
    assert row.json()["twoFactorEnabled"] is True


async def test_the_same_code_twice_at_once_lets_one_in_whatever_the_process(database: str) -> None:
    async with running(database) as one, running(database, following=False) as two:
        clock = Clock(one, two)
        secret, _ = await enrolled(one, clock)
        asked = [await challenge(each) for each in (one, two)]
        code = clock.code(secret)
        tries = [answered(one, asked[0], code), answered(two, asked[1], code)]
        answers = await asyncio.gather(*tries)
        assert sorted(each.status_code for each in answers) == [200, 401]
        (refused,) = [each for each in answers if each.status_code == 401]
        assert refused.json()["code"] == "invalid-code"


@pytest.mark.unfollowed
async def test_a_challenge_is_answered_once_whatever_the_codes(admin: Client) -> None:
    clock = Clock(admin)
    secret, _ = await enrolled(admin, clock)
    asked = await challenge(admin)
    codes = [clock.code(secret)]
    clock.passes(seconds=30)
    codes.append(clock.code(secret))
    answers = await asyncio.gather(*(answered(admin, asked, code) for code in codes))
    assert sorted(each.status_code for each in answers) == [200, 401]
    assert (await answered(admin, asked, codes[1])).json()["code"] == "invalid-challenge"


@pytest.mark.unfollowed
async def test_a_code_of_the_step_before_or_after_is_right_and_an_older_one_is_not(
    admin: Client,
) -> None:
    clock = Clock(admin)
    secret, _ = await enrolled(admin, clock)
    code = clock.code(secret)
    asked = await challenge(admin)
    clock.passes(seconds=60)
    assert (await answered(admin, asked, code)).status_code == 401
    clock.passes(seconds=-30)
    assert (await answered(admin, asked, code)).status_code == 200
    asked = await challenge(admin)
    clock.passes(seconds=30)
    ahead = clock.code(secret)
    clock.passes(seconds=-30)
    assert (await answered(admin, asked, ahead)).status_code == 200
    asked = await challenge(admin)
    assert (await answered(admin, asked, clock.code(secret))).status_code == 401, "gone by"


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.unfollowed
async def test_after_five_wrong_codes_the_challenge_is_void_for_the_right_one(
    admin: Client, *, at_once: bool
) -> None:
    clock = Clock(admin)
    await allow_attempts(admin)
    secret, recovery = await enrolled(admin, clock)
    asked = await challenge(admin)
    tries = [answered(admin, asked, f"wrong {n}") for n in range(5)]
    answers = await asyncio.gather(*tries) if at_once else [await each for each in tries]
    assert [each.json()["code"] for each in answers] == ["invalid-code"] * 5
    for code in (clock.code(secret), recovery[0]):
        void = await answered(admin, asked, code)
        assert (void.status_code, void.json()["code"]) == (401, "invalid-challenge")
    asked = await challenge(admin)
    assert (await answered(admin, asked, clock.code(secret))).status_code == 200


@pytest.mark.unfollowed
async def test_wrong_codes_lock_the_account_and_the_password_alone_does_not_make_up_for_them(
    admin: Client,
) -> None:
    clock = Clock(admin)
    secret, _ = await enrolled(admin, clock)
    for _ in range(5):
        asked = await challenge(admin)
        assert (await answered(admin, asked, "wrong")).status_code == 401
    locked = await answered(admin, asked, clock.code(secret))
    assert (locked.status_code, locked.json()["code"]) == (429, "too-many-attempts")
    body = {"username": "admin", "password": PASSWORD}
    assert (await admin.http.post(LOGIN, json=body)).status_code == 429
    clock.passes(minutes=15)
    asked = await challenge(admin)
    assert (await answered(admin, asked, clock.code(secret))).status_code == 200


@pytest.mark.parametrize("method", ["sms", "email"])
@pytest.mark.unfollowed
async def test_a_code_that_is_sent_counts_once_and_for_ten_minutes(
    admin: Client, method: str
) -> None:
    clock = Clock(admin)
    phone = {"phone": "08031234567", "email": "root@rim.example"}
    own = f"/v1/admin-users/{await id_of(admin)}"
    assert (await admin.ask("PATCH", own, phone)).status_code == 200
    await enrolled_by_message(admin, method)
    to = {"sms": "+2348031234567", "email": "root@rim.example"}[method]
    message = admin.outbox()[-1]
    assert (message["channel"], message["to"]) == (method, to)
    asked = await challenge(admin)
    code = sent_code(admin)
    clock.passes(minutes=10)
    assert (await answered(admin, asked, code)).json()["code"] == "invalid-challenge"
    asked = await challenge(admin)
    right = sent_code(admin)
    wrong = f"{(int(right) + 1) % 10**6:06}"
    assert (await answered(admin, asked, wrong)).json()["code"] == "invalid-code"
    clock.passes(minutes=9)
    answers = await asyncio.gather(*(answered(admin, asked, right) for _ in range(2)))
    assert sorted(each.status_code for each in answers) == [200, 401]
    assert (await answered(admin, asked, right)).json()["code"] == "invalid-challenge"


@pytest.mark.unfollowed
async def test_who_knows_a_password_cannot_have_codes_sent_without_end(admin: Client) -> None:
    await enrolled_by_message(admin, "email")
    for _ in range(SENT_MOST - 1):
        await challenge(admin)
    sent = len(admin.outbox())
    body = {"username": "admin", "password": PASSWORD}
    answer = await admin.http.post("/v1/auth/login", json=body)
    assert (answer.status_code, answer.json()["code"]) == (429, "too-many-attempts")
    assert int(answer.headers["retry-after"]) > 0
    assert len(admin.outbox()) == sent


@pytest.mark.unfollowed
async def test_a_recovery_code_counts_once_however_it_is_written(admin: Client) -> None:
    clock = Clock(admin)
    _, recovery = await enrolled(admin, clock)
    one, two = [await challenge(admin) for _ in range(2)]
    answers = await asyncio.gather(*(answered(admin, asked, recovery[0]) for asked in (one, two)))
    assert sorted(each.status_code for each in answers) == [200, 401]
    asked = await challenge(admin)
    assert (await answered(admin, asked, recovery[0])).status_code == 401
    spelt = recovery[1].replace("-", " ").lower()
    assert (await answered(admin, asked, spelt)).status_code == 200


async def test_a_new_password_or_a_suspension_voids_what_waits(admin: Client) -> None:
    clock = Clock(admin)
    ada = await admin.take_on_superadmin("ada")
    path = f"/v1/admin-users/{await id_of(ada)}"
    secret, _ = await enrolled(ada, clock)
    for command, body in (
        ("/reset-password", {"password": PASSWORD}),
        ("/suspend", {"reason": "lost a laptop"}),
    ):
        asked = await challenge(ada, "ada")
        assert (await admin.post(path + command, body)).status_code == 200
        clock.passes(seconds=30)
        void = await answered(ada, asked, clock.code(secret))
        assert (void.status_code, void.json()["code"]) == (401, "invalid-challenge")


async def test_who_must_have_a_second_factor_may_only_enrol_it(admin: Client) -> None:
    clock = Clock(admin)
    ada = await admin.take_on_superadmin("ada")
    reads = [{"resource": "users", "actions": ["read"]}]
    key = (await ada.post("/v1/api-keys", {"name": "robot", "permissions": reads})).json()
    assert (await admin.ask("PATCH", SETTINGS, {"twoFactorRequired": True})).status_code == 200
    body = {"username": "ada", "password": PASSWORD}
    session = (await ada.http.post(LOGIN, json=body)).json()
    assert session["enrolOnly"] is True
    for each in (ada, ada.with_token(session["token"])):
        me = await each.get("/v1/auth/me")
        assert (me.status_code, me.json()["permissions"]) == (200, [])
        words = {"currentPassword": PASSWORD, "newPassword": "another long password"}
        for answer in (
            await each.get("/v1/users"),
            await each.post("/v1/users", {}),
            await each.post("/v1/auth/password", words),
            await each.post("/v1/api-keys", {"name": "robot", "permissions": reads}),
            await ada.with_token(key["key"]).get("/v1/users"),
        ):
            assert (answer.status_code, answer.json()["code"]) == (403, "two-factor-required")
    assert (await ada.post("/v1/auth/logout")).status_code == 204
    ada = ada.with_token(session["token"])
    secret, _ = await enrolled(ada, clock)
    answer = await answered(ada, await challenge(ada, "ada"), clock.code(secret))
    assert answer.json()["enrolOnly"] is False
    assert (await ada.with_token(answer.json()["token"]).get("/v1/users")).status_code == 200
    assert (await ada.with_token(key["key"]).get("/v1/users")).status_code == 200


async def test_the_method_that_is_asked_for_or_an_app_is_enough(admin: Client) -> None:
    wish = {"twoFactorRequired": True, "twoFactorMethod": "sms"}
    ada = await admin.take_on_superadmin("ada")
    await enrolled_by_message(ada, "email")
    assert (await admin.ask("PATCH", SETTINGS, wish)).status_code == 200
    asked = await challenge(ada, "ada")
    session = (await answered(ada, asked, sent_code(ada))).json()
    assert session["enrolOnly"] is True, "an e-mail is not what is asked for"
    ada = ada.with_token(session["token"])
    assert (await ada.post(ENROL, {"method": "sms"})).json()["code"] == "already-done"
    assert (await ada.post(DISABLE, {})).status_code == 202
    assert (await ada.post(DISABLE, {"code": sent_code(ada)})).status_code == 204
    ada = await ada.as_("ada")
    assert (await ada.post(ENROL, {"method": "email"})).json()["code"] == "two-factor-method"
    assert (await ada.post(ENROL, {})).json()["code"] == "no-phone"
    assert (await ada.post(ENROL, {"method": "app"})).status_code == 200


@pytest.mark.unfollowed
async def test_who_has_a_code_does_without_a_second_factor(admin: Client) -> None:
    clock = Clock(admin)
    secret, _ = await enrolled(admin, clock)
    session = await answered(admin, await challenge(admin), clock.code(secret))
    admin = admin.with_token(session.json()["token"])
    assert (await admin.post(DISABLE, {})).json()["code"] == "code-needed"
    used = await admin.post(DISABLE, {"code": clock.code(secret)})
    assert (used.status_code, used.json()["code"]) == (422, "wrong-code")
    clock.passes(seconds=30)
    assert (await admin.post(DISABLE, {"code": clock.code(secret)})).status_code == 204
    assert (await admin.get("/v1/auth/me")).status_code == 401
    admin = await admin.as_("admin")
    assert (await admin.post(DISABLE, {})).json()["code"] == "already-done"
    assert (await admin.post(CONFIRM, {"code": "1"})).json()["code"] == "no-enrolment"


async def test_another_admin_takes_a_lost_second_factor_away(admin: Client) -> None:
    clock = Clock(admin)
    ada = await admin.take_on_superadmin("ada")
    path = f"/v1/admin-users/{await id_of(ada)}/reset-2fa"
    assert (await admin.post(path)).json()["code"] == "already-done"
    secret, _ = await enrolled(ada, clock)
    asked = await challenge(ada, "ada")
    clerk = await admin.take_on("clerk", ADMINS)
    assert (await clerk.post(path)).json()["code"] == "privilege-escalation"
    own = f"/v1/admin-users/{await id_of(admin)}/reset-2fa"
    assert (await admin.post(own)).json()["code"] == "self-action"
    assert (await admin.post(path)).status_code == 200
    void = await answered(ada, asked, clock.code(secret))
    assert void.json()["code"] == "invalid-challenge"
    assert (await (await ada.as_("ada")).get("/v1/auth/me")).status_code == 200


@pytest.mark.unfollowed
async def test_an_api_key_has_nothing_to_do_with_second_factors(admin: Client) -> None:
    wish = {"name": "robot", "permissions": [ADMINS]}
    robot = admin.with_token((await admin.post("/v1/api-keys", wish)).json()["key"])
    ada = await admin.take_on("ada", ADMINS)
    for path, body in (
        (ENROL, {}),
        (CONFIRM, {"code": "000000"}),
        (DISABLE, {}),
        (f"/v1/admin-users/{await id_of(ada)}/reset-2fa", {}),
    ):
        answer = await robot.post(path, body)
        assert (answer.status_code, answer.json()["code"]) == (403, "session-required"), path


@pytest.mark.unfollowed
async def test_an_unknown_challenge_is_over(admin: Client) -> None:
    answer = await answered(admin, "made up", "123456")
    assert (answer.status_code, answer.json()["code"]) == (401, "invalid-challenge")
    for code in ("", "x" * 65, 123456, None):
        body = {"challenge": "made up", "code": code}
        assert (await admin.post("/v1/auth/login/verify", body)).status_code == 422

"""The gate over HTTP, in two API processes at once: lockout, and sessions that end."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import psycopg
import pytest
from pydantic import SecretStr

from rim_ledger.admin import passwords
from rim_ledger.admin.bootstrap import FIRST_ADMIN
from rim_ledger.admin.permissions import ALL, permissions
from rim_ledger.engine.environment import SystemEnvironment
from tests.api.conftest import CHEAP, PASSWORD, Client, running, serving
from tests.api.pipeline.test_commands import code
from tests.api.routes.factors import Clock
from tests.api.routes.test_security_settings import CAFE, OFFICE, PATH, at

WRONG = "not the right password"


async def log_in(
    process: Client, username: str, password: str = WRONG, **more: Any
) -> httpx.Response:
    body = {"username": username, "password": password}
    return await process.http.post("/v1/auth/login", json=body, **more)


def let_pass(client: Client, **time: float) -> None:
    """Let time pass for one API process."""
    ahead = timedelta(**time)
    client.app.state.context.environment.now = lambda: SystemEnvironment().now() + ahead


@pytest.mark.unfollowed
async def test_over_the_limit_even_the_right_password_is_429_in_both_processes(
    admin: Client, database: str
) -> None:
    async with serving(database) as other:
        Clock(admin, other)
        for nth in range(5):
            assert (await log_in((admin, other)[nth % 2], "admin")).status_code == 401
        for process in (admin, other):
            for forged in (OFFICE, CAFE, "127.0.0.1"):
                answer = await log_in(process, "ADMIN", PASSWORD, headers=at(forged))
                assert code(answer) == (429, "too-many-attempts")
                assert answer.headers["retry-after"] == "900"
        change = {"currentPassword": PASSWORD, "newPassword": "another long password"}
        answer = await admin.post("/v1/auth/password", change)
        assert code(answer) == (429, "too-many-attempts")
        assert (await admin.at(other).get("/v1/auth/me")).status_code == 200
        let_pass(other, minutes=15)
        assert (await log_in(other, "admin", PASSWORD)).status_code == 200


@pytest.mark.unfollowed
async def test_a_wrong_present_password_counts_like_one_at_the_log_in(admin: Client) -> None:
    change = {"currentPassword": WRONG, "newPassword": "another long password"}
    for _ in range(5):
        answer = await admin.post("/v1/auth/password", change)
        assert code(answer) == (422, "wrong-password")
    assert (await log_in(admin, "admin", PASSWORD)).status_code == 429


@pytest.mark.unfollowed
async def test_the_limit_and_its_time_are_those_of_the_settings_now(admin: Client) -> None:
    Clock(admin)
    await admin.ask("PATCH", PATH, {"maxLoginAttempts": 3, "lockoutDuration": 60})
    for _ in range(3):
        assert (await log_in(admin, "admin")).status_code == 401
    limited = await log_in(admin, "admin", PASSWORD)
    assert limited.status_code == 429
    assert limited.headers["retry-after"] == "3600"
    await admin.ask("PATCH", PATH, {"maxLoginAttempts": 4})
    assert (await log_in(admin, "admin", PASSWORD)).status_code == 200


@pytest.mark.unfollowed
async def test_a_forged_header_does_not_hide_where_many_names_are_tried_from(admin: Client) -> None:
    await admin.ask("PATCH", PATH, {"maxLoginAttempts": 3})
    for nth in range(30):
        forged = at(f"192.0.2.{nth}, {CAFE}")
        assert (await log_in(admin, f"guess-{nth}", headers=forged)).status_code == 401
    limited = await log_in(admin, "admin", PASSWORD, headers=at(f"192.0.2.99, {CAFE}"))
    assert code(limited) == (429, "too-many-attempts")
    assert (await log_in(admin, "admin", PASSWORD, headers=at(OFFICE))).status_code == 200


@pytest.mark.unfollowed
async def test_the_right_password_many_times_at_once_is_right_each_time(
    admin: Client, database: str
) -> None:
    async with serving(database) as other:
        answers = await asyncio.gather(
            *(log_in((admin, other)[nth % 2], "admin", PASSWORD) for nth in range(12))
        )
        assert {each.status_code for each in answers} == {200}


@pytest.mark.unfollowed
async def test_wrong_passwords_at_once_in_two_processes_are_no_more_than_one_by_one(
    admin: Client, database: str
) -> None:
    async with serving(database) as other:
        answers = await asyncio.gather(
            *(log_in((admin, other)[nth % 2], "admin", f"guess {nth}") for nth in range(12))
        )
        statuses = sorted(each.status_code for each in answers)
        assert statuses == [401] * 5 + [429] * 7


async def test_an_unknown_name_and_a_wrong_password_look_alike_and_cost_one_hash_each(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[str] = []

    def counted(known: str, password: SecretStr) -> bool:
        compared.append(known.rpartition("$")[0].rpartition("$")[0])
        return matches(known, password)

    matches = passwords._matches
    monkeypatch.setattr(passwords, "_matches", counted)
    async with running(database, following=False) as admin:
        await admin.ask("PATCH", PATH, {"maxLoginAttempts": 100})
        suspended = (await admin.take_on("ada")).headers
        ada = (await admin.get("/v1/auth/me", headers=suspended)).json()["id"]
        await admin.post(f"/v1/admin-users/{ada}/suspend", {"reason": "away"})
        tries = {"admin": WRONG, "nobody": WRONG, "ada": PASSWORD, "ADMIN": WRONG}
        answers = set()
        compared.clear()
        for name, password in tries.items():
            answer = await log_in(admin, name, password, headers={"X-Request-Id": "same"})
            headers = [each for each in answer.headers.items() if each[0] != "ratelimit"]
            answers.add((answer.status_code, answer.text, *headers))
        assert len(answers) == 1
        assert code(answer) == (401, "invalid-credentials")
        assert compared == [CHEAP.hash("").rpartition("$")[0].rpartition("$")[0]] * 4
    with psycopg.connect(database) as connection:
        rows = connection.execute("SELECT * FROM ledger.attempts").fetchall()
        query = "SELECT position, name, body FROM ledger.events WHERE body ~ %s"
        telling = connection.execute(query, [f'"nobody"|{WRONG}|{PASSWORD}']).fetchall()
    assert len(rows) == 4
    assert "nobody" not in str(rows), "names are kept as hashes"
    assert telling == []


ENDINGS = ("password", "reset", "role", "suspend", "deactivate", "revoke-sessions")


@pytest.mark.parametrize("how", ENDINGS)
@pytest.mark.unfollowed
async def test_an_old_session_is_401_with_the_next_request_in_both_processes(
    admin: Client, database: str, how: str
) -> None:
    ada = await admin.take_on("ada", {"resource": "users", "actions": ["read", "write"]})
    role = (await admin.post("/v1/admin-roles", {"name": "r", "permissions": []})).json()
    again = await ada.as_("ada")
    ada_id = (await ada.get("/v1/auth/me")).json()["id"]
    new = {"password": "another long password"}
    async with serving(database) as other:
        sessions = [each.at(process) for each in (ada, again) for process in (admin, other)]
        for session in sessions:
            assert (await session.get("/v1/auth/me")).status_code == 200
        match how:
            case "password":
                change = {"currentPassword": PASSWORD, "newPassword": "another long password"}
                answer = await ada.post("/v1/auth/password", change)
            case "reset":
                answer = await admin.post(f"/v1/admin-users/{ada_id}/reset-password", new)
            case "role":
                wish = {"roleId": role["id"]}
                answer = await admin.post(f"/v1/admin-users/{ada_id}/role", wish)
            case "suspend":
                wish = {"reason": "lost a laptop"}
                answer = await admin.post(f"/v1/admin-users/{ada_id}/suspend", wish)
            case _:
                answer = await admin.post(f"/v1/admin-users/{ada_id}/{how}")
        assert answer.status_code in (200, 204), answer.text
        for session in sessions[::-1]:
            for late in (
                await session.post("/v1/users", {}),
                await session.get("/v1/users"),
                await session.get("/v1/auth/me"),
            ):
                assert code(late) == (401, "unauthenticated")


@pytest.mark.unfollowed
async def test_nobody_suspends_themselves(admin: Client) -> None:
    path = f"/v1/admin-users/{FIRST_ADMIN}/suspend"
    assert code(await admin.post(path, {"reason": "tired"})) == (409, "self-action")


@pytest.mark.parametrize("by", ["each other", "a third"])
async def test_two_superadmins_who_are_demoted_at_once_leave_one(
    admin: Client, database: str, by: str
) -> None:
    """Of two who demote each other, the second is told so if it was let in before the first was
    done, which in another process is a matter of luck; else it has no session any more."""

    role = (await admin.post("/v1/admin-roles", {"name": "r", "permissions": []})).json()
    people = await admin.take_on("people", *permissions(ALL))  # Who has less may not.
    ada = await admin.take_on_superadmin("ada")
    ada_id = (await ada.get("/v1/auth/me")).json()["id"]
    wish = {"roleId": role["id"]}
    async with serving(database) as other:
        one, two = (admin, ada) if by == "each other" else (people, people)
        answers = await asyncio.gather(
            one.post(f"/v1/admin-users/{ada_id}/role", wish),
            two.at(other).post(f"/v1/admin-users/{FIRST_ADMIN}/role", wish),
        )
        (late,) = [each for each in answers if each.status_code != 200]
        told = [(409, "last-superadmin")]
        assert code(late) in [*told, *([(401, "unauthenticated")] if one is not two else [])]


async def test_of_two_superadmins_who_demote_each_other_at_once_exactly_one_hears_409(
    admin: Client,
) -> None:
    role = (await admin.post("/v1/admin-roles", {"name": "r", "permissions": []})).json()
    ada = await admin.take_on_superadmin("ada")
    ada_id = (await ada.get("/v1/auth/me")).json()["id"]
    wish = {"roleId": role["id"]}
    answers = await asyncio.gather(
        admin.post(f"/v1/admin-users/{ada_id}/role", wish),
        ada.post(f"/v1/admin-users/{FIRST_ADMIN}/role", wish),
    )
    done, late = sorted(answers, key=lambda each: each.status_code)
    assert done.status_code == 200
    assert code(late) == (409, "last-superadmin")


@pytest.mark.unfollowed
async def test_a_session_left_alone_ends_and_is_not_revived(admin: Client, database: str) -> None:
    idle = await admin.as_("admin")
    for minutes in range(0, 60, 20):
        let_pass(admin, minutes=minutes)
        assert (await admin.get("/v1/auth/me")).status_code == 200
    for late in (await idle.get("/v1/auth/me"), await idle.post("/v1/users", {})):
        assert code(late) == (401, "unauthenticated")
    assert (await admin.ask("PATCH", PATH, {"sessionTimeout": 1440})).status_code == 200
    assert code(await idle.get("/v1/auth/me")) == (401, "unauthenticated")
    async with serving(database) as other:
        let_pass(other, minutes=40)
        assert code(await idle.at(other).get("/v1/auth/me")) == (401, "unauthenticated")
    assert (await admin.get("/v1/auth/me")).status_code == 200
    await admin.ask("PATCH", PATH, {"sessionTimeout": 5})
    let_pass(admin, minutes=46)
    assert code(await admin.get("/v1/auth/me")) == (401, "unauthenticated")


async def test_being_let_in_does_not_make_what_somebody_read_of_themselves_stale(
    admin: Client,
) -> None:
    me = f"/v1/admin-users/{(await admin.get('/v1/auth/me')).json()['id']}"
    seen = await admin.get(me, headers=await admin.caught_up())
    let_pass(admin, minutes=20)  # so that the session is noted to be in use
    tag = {"If-Match": seen.headers["etag"]}
    changed = await admin.ask("PATCH", me, {"name": "Ada"}, headers=tag)
    assert changed.status_code == 200
    assert (await admin.ask("PATCH", me, {"name": "Obi"}, headers=tag)).status_code == 412

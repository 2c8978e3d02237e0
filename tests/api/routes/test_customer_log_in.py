"""Borrowers at the gate, over HTTP: codes, uniform answers, limits, sessions that end at once."""

import asyncio
from typing import Any

import psycopg
import pytest

from rim_ledger.customers.access import INACTIVE_AFTER
from rim_ledger.customers.phone_code import ASKED_MOST, SENT_MOST
from tests.api.conftest import Client, serving
from tests.api.pipeline.test_commands import code as refusal
from tests.api.routes.borrowers import (
    CODE,
    LOGOUT,
    ME,
    answer_with,
    ask_for_code,
    code_for,
    code_in,
    log_in,
    logged_in,
    phone,
    sent,
)
from tests.api.routes.factors import Clock

STRANGER = phone(999)


def other_than(code: str) -> str:
    return f"{(int(code) + 1) % 10**6:06}"


async def tried(client: Client, to: str, code: str) -> tuple[int, str]:
    answer = await answer_with(client, to, code)
    return answer.status_code, answer.json().get("code", "")


async def is_in(borrower: Client) -> bool:
    answer = await borrower.get(ME)
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200


@pytest.mark.unfollowed
async def test_a_borrower_logs_in_with_the_code_that_was_sent_and_logs_out(admin: Client) -> None:
    user = await admin.user()
    code = await code_for(admin, "0803 000 0000")
    (message,) = await sent(admin)
    assert (message["channel"], message["to"], message["subject"]) == (
        "sms",
        "+2348030000000",
        None,
    )
    answer = await answer_with(admin, phone(), code)
    assert answer.status_code == 200, answer.text
    session = answer.json()
    own = {"id": user["id"], "userId": user["userId"]}
    assert session["user"] == own
    borrower = admin.with_token(session["token"])
    told = (await borrower.get(ME)).json()
    words = {"name": "Ada", "phone": "+2348030000000", "email": "u0@example.com"}
    assert told == own | words | {"status": "active"}
    other = await log_in(admin)
    assert (await borrower.post(LOGOUT)).status_code == 204
    assert not await is_in(borrower)
    assert await is_in(other)


@pytest.mark.unfollowed
async def test_admins_have_no_session_of_a_borrower(admin: Client) -> None:
    assert refusal(await admin.get(ME)) == (403, "forbidden")
    assert refusal(await admin.post(LOGOUT)) == (403, "forbidden")
    assert (await admin.get("/v1/auth/me")).status_code == 200


@pytest.mark.unfollowed
async def test_the_answers_tell_nobody_whose_phones_are_known(admin: Client) -> None:
    clock = Clock(admin)
    users = [await admin.user(number) for number in range(3)]
    await admin.post(f"/v1/users/{users[1]['id']}/suspend", {"reason": "lost"})
    assert (await admin.ask("DELETE", f"/v1/users/{users[2]['id']}")).status_code == 200
    asked, answered = [], []
    for to in (phone(0), phone(1), phone(2), STRANGER):
        answer = await ask_for_code(admin, to)
        asked.append((answer.status_code, answer.json()))
    (message,) = await sent(admin)
    assert message["to"] == "+2348030000000"
    wrong = other_than(code_in(message))
    for to in (phone(0), phone(1), phone(2), STRANGER):
        tries = [await answer_with(admin, to, wrong) for _ in range(6)]
        answered.append([(each.status_code, each.json()["detail"]) for each in tries])
    assert asked == [asked[0]] * 4
    assert answered == [answered[0]] * 4
    assert [status for status, _ in answered[0]] == [401] * 5 + [429]
    clock.passes(minutes=15)
    for to in (phone(0), STRANGER):
        assert await tried(admin, to, "123456") == (401, "invalid-code")


@pytest.mark.unfollowed
async def test_a_code_opens_one_session_also_in_two_processes_at_once(
    admin: Client, database: str
) -> None:
    await admin.user()
    async with serving(database) as other:
        code = await code_for(admin, phone())
        answers = await asyncio.gather(
            *(tried(process, phone(), code) for process in (admin, other, admin, other))
        )
        assert sorted(answers) == [(200, "")] + [(401, "invalid-code")] * 3


@pytest.mark.unfollowed
async def test_a_code_lasts_ten_minutes_and_until_there_is_a_newer_one(admin: Client) -> None:
    clock = Clock(admin)
    await admin.user()
    late = await code_for(admin, phone())
    clock.passes(minutes=10)
    assert await tried(admin, phone(), late) == (401, "invalid-code")
    first, second = await code_for(admin, phone()), await code_for(admin, phone())
    if first != second:  # One in a million.
        assert await tried(admin, phone(), first) == (401, "invalid-code")
    clock.passes(minutes=9)
    assert await tried(admin, phone(), second) == (200, "")


@pytest.mark.unfollowed
async def test_after_fifteen_tries_a_code_is_none_however_many_the_settings_allow(
    admin: Client,
) -> None:
    await admin.ask("PATCH", "/v1/security-settings", {"maxLoginAttempts": 100})
    await admin.user()
    code = await code_for(admin, phone())
    for _ in range(15):
        assert await tried(admin, phone(), other_than(code)) == (401, "invalid-code")
    assert await tried(admin, phone(), code) == (401, "invalid-code")
    assert await tried(admin, phone(), await code_for(admin, phone())) == (200, "")


@pytest.mark.unfollowed
async def test_wrong_codes_from_elsewhere_keep_no_borrower_out(admin: Client) -> None:
    await admin.user()
    code = await code_for(admin, phone())
    wrong, elsewhere = other_than(code), {"X-Forwarded-For": "203.0.113.9"}
    for status in [401] * 5 + [429]:
        answer = await answer_with(admin, phone(), wrong, headers=elsewhere)
        assert answer.status_code == status
    assert await tried(admin, phone(), code) == (200, "")


@pytest.mark.unfollowed
async def test_a_phone_is_sent_five_codes_an_hour_by_all_processes_together_and_then_one_at_a_time(
    admin: Client, database: str
) -> None:
    await admin.user()
    async with serving(database) as other:
        clock = Clock(admin, other)
        for to in (phone(), STRANGER):
            answers = [await ask_for_code((admin, other)[nth % 2], to) for nth in range(9)]
            assert {answer.status_code for answer in answers} == {202}
            assert len({answer.json()["expiresAt"] for answer in answers[4:]}) == 1
        messages = [*await sent(admin), *await sent(other)]
        assert len(messages) == SENT_MOST
        for minutes, more in ((9, 0), (1, 1), (5, 0), (5, 1)):
            clock.passes(minutes=minutes)
            assert (await ask_for_code(admin, phone())).status_code == 202
            assert len([*await sent(admin), *await sent(other)]) == len(messages) + more
            messages = [*await sent(admin), *await sent(other)]
        assert await tried(admin, phone(), code_in((await sent(admin))[-1])) == (200, "")


@pytest.mark.unfollowed
async def test_from_one_address_fifty_codes_are_asked_for_in_an_hour(admin: Client) -> None:
    clock = Clock(admin)
    for number in range(ASKED_MOST):
        assert (await ask_for_code(admin, phone(number))).status_code == 202
    answer = await ask_for_code(admin, STRANGER)
    assert refusal(answer) == (429, "too-many-attempts")
    assert int(answer.headers["Retry-After"]) == 3600
    clock.passes(hours=1)
    assert (await ask_for_code(admin, STRANGER)).status_code == 202


@pytest.mark.unfollowed
async def test_wrong_codes_keep_no_admin_out(admin: Client) -> None:
    await admin.ask("PATCH", "/v1/security-settings", {"maxLoginAttempts": 3})
    for number in range(10):
        for _ in range(3):
            assert (await answer_with(admin, phone(number), "000000")).status_code == 401
    assert refusal(await answer_with(admin, STRANGER, "000000")) == (429, "too-many-attempts")
    assert (await (await admin.as_("admin")).get("/v1/auth/me")).status_code == 200


@pytest.mark.parametrize("body", [{"phone": "12"}, {}, {"phone": phone(), "more": 1}])
@pytest.mark.unfollowed
async def test_what_is_no_phone_is_told_as_that(admin: Client, body: dict[str, Any]) -> None:
    assert (await admin.http.post(CODE, json=body)).status_code == 422


@pytest.mark.unfollowed
async def test_without_a_sender_nobody_is_promised_a_code(admin: Client) -> None:
    admin.app.state.context.sender.providers.outbox = None
    await admin.user()
    for to in (phone(), STRANGER):
        assert refusal(await ask_for_code(admin, to)) == (409, "no-sender")


@pytest.mark.unfollowed
async def test_after_180_days_of_silence_staff_verify_the_phone_first(admin: Client) -> None:
    clock = Clock(admin)
    user = await admin.user()
    assert await is_in(await log_in(admin))
    code = await code_for(admin, phone())
    clock.passes(days=INACTIVE_AFTER.days)
    admin = await admin.as_("admin")
    assert await tried(admin, phone(), code) == (401, "invalid-code")
    before = len(await sent(admin))
    assert (await ask_for_code(admin, phone())).status_code == 202
    assert len(await sent(admin)) == before
    reader = await admin.take_on("reader", {"resource": "users", "actions": ["read"]})
    path = f"/v1/users/{user['id']}/verify-phone"
    assert refusal(await reader.post(path)) == (403, "forbidden")
    assert (await admin.post(path)).status_code == 200
    assert await is_in(await log_in(admin))


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/suspend", {"reason": "lost the phone"}),
        ("PATCH", "", {"phone": phone(5)}),
        ("DELETE", "", None),
        ("POST", "/erase", None),
    ],
)
@pytest.mark.unfollowed
async def test_sessions_end_at_once_and_for_good_in_every_process(
    admin: Client, database: str, method: str, path: str, body: Any
) -> None:
    async with serving(database) as other:
        user = await admin.user()
        here = await log_in(admin)
        there = here.at(other)
        assert await is_in(here)
        assert await is_in(there)
        answer = await admin.ask(method, f"/v1/users/{user['id']}{path}", body)
        assert answer.status_code == 200, answer.text
        assert not await is_in(there)
        assert not await is_in(here)
        if path == "/suspend":
            await admin.post(f"/v1/users/{user['id']}/reinstate")
        assert not await is_in(there)


@pytest.mark.unfollowed
async def test_sessions_end_when_they_are_left_alone_and_after_twelve_hours(admin: Client) -> None:
    clock = Clock(admin)
    await admin.user()
    busy, idle = await log_in(admin), await log_in(admin)
    for _ in range(12 * 3 - 1):
        clock.passes(minutes=20)
        assert await is_in(busy)
    assert not await is_in(idle)
    clock.passes(minutes=20)
    assert not await is_in(busy)


@pytest.mark.unfollowed
async def test_another_name_or_e_mail_ends_no_session(admin: Client) -> None:
    user = await admin.user()
    borrower = await log_in(admin)
    change = {"name": "Ada Obi", "email": "ada@example.com", "phone": phone()}
    assert (await admin.ask("PATCH", f"/v1/users/{user['id']}", change)).status_code == 200
    assert await is_in(borrower)


@pytest.mark.unfollowed
async def test_neither_codes_nor_tokens_nor_addresses_of_borrowers_are_kept(
    admin: Client, database: str
) -> None:
    await admin.user()
    code = await code_for(admin, phone())
    answer = await answer_with(admin, phone(), code, headers={"User-Agent": "a-phone"})
    token = answer.json()["token"]
    assert await is_in(admin.with_token(token))
    waiting = await code_for(admin, phone())
    with psycopg.connect(database) as connection:
        logged = connection.execute("SELECT name, body FROM ledger.events").fetchall()
        challenges = connection.execute("SELECT id, code FROM ledger.challenges").fetchall()
        attempts = connection.execute("SELECT a::text FROM ledger.attempts a").fetchall()
    text = "\n".join(str(row) for row in logged)
    assert token not in text
    assert "8030000000" not in text
    assert f'"{code}"' not in text
    (said,) = [body for name, body in logged if name == "CustomerLoggedIn"]
    assert "a-phone" not in said
    assert "127.0.0.1" not in said
    ((_, known_by),) = challenges
    assert known_by
    assert known_by != waiting
    for row in (*challenges, *attempts):
        assert "8030000000" not in str(row)


async def test_a_borrower_leaves_no_line_in_the_log_of_activities(admin: Client) -> None:
    borrower = await logged_in(admin)
    assert (await borrower.get("/v1/users")).status_code == 403
    assert (await borrower.post("/v1/users", {})).status_code == 403
    own = (await borrower.get(ME)).json()["id"]
    assert (await borrower.get(f"/v1/users/{own}", headers=await admin.caught_up())).json()
    lines = (await admin.get("/v1/admin-activity-logs")).json()["items"]
    assert {line["adminName"] for line in lines} == {"admin"}

"""The log of activities: what admins did, tried, looked at and took along, through HTTP."""

import json
from typing import Any

import psycopg
import pytest

from tests.api.conftest import ADA, Client, running

LOG = "/v1/admin-activity-logs"


async def lines(client: Client, **filters: str) -> list[dict[str, Any]]:
    """The newest first."""
    answer = await client.get(LOG, params=filters)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


def told(line: dict[str, Any]) -> tuple[str, str, str | None, str]:
    return line["action"], line["resource"], line["resourceId"], line["details"]["outcome"]


async def test_a_command_leaves_a_line_with_who_what_and_from_where(admin: Client) -> None:
    me = (await admin.get("/v1/auth/me")).json()
    headers = {"X-Request-Id": "the-request", "User-Agent": "a panel"}
    made = await admin.post("/v1/users", ADA, headers=headers)
    (line,) = await lines(admin, action="RegisterUser")
    assert told(line) == ("RegisterUser", "users", made.json()["id"], "done")
    assert (line["adminId"], line["adminName"]) == (me["id"], "admin")
    assert (line["requestId"], line["userAgent"]) == ("the-request", "a panel")
    assert line["ipAddress"]
    one = await admin.get(f"{LOG}/{line['id']}")
    assert one.json() == line
    user = made.json()["id"]
    await admin.post(f"/v1/users/{user}/suspend", {"reason": "a word nobody shall see"})
    (line,) = await lines(admin, action="SuspendUser")
    assert told(line) == ("SuspendUser", "users", user, "done")
    assert "a word" not in str(line)


async def test_what_makes_something_names_what_it_made(admin: Client) -> None:
    user = (await admin.user())["id"]
    text = {"name": "N", "message": "Hello"}
    makes: list[tuple[str, str, Any]] = [
        ("RequestLoan", "/v1/loans", {"userId": user, "amount": 400, "network": "MTN"}),
        (
            "OpenTicket",
            "/v1/tickets",
            {"customerId": user, "subject": "A", "description": "B", "category": "loan"},
        ),
        ("CreateRole", "/v1/admin-roles", {"name": "clerk", "permissions": []}),
        ("CreateDepartment", "/v1/departments", {"name": "Context", "description": "All"}),
        ("CreateSmsTemplate", "/v1/sms-templates", text),
        (
            "DraftBroadcast",
            "/v1/broadcasts",
            {"title": "T", "message": "C", "type": "sms", "targetAudience": "all"},
        ),
        (
            "CreateApiKey",
            "/v1/api-keys",
            {"name": "key", "permissions": [{"resource": "users", "actions": ["read"]}]},
        ),
    ]
    for action, path, body in makes:
        made = await admin.post(path, body)
        assert made.status_code == 201, made.text
        (line,) = await lines(admin, action=action)
        assert line["resourceId"] == made.json()["id"], action
    broadcast = (await lines(admin, action="DraftBroadcast"))[0]["resourceId"]
    cloned = await admin.post(f"/v1/broadcasts/{broadcast}/clone")
    assert (await lines(admin, action="CloneBroadcast"))[0]["resourceId"] == cloned.json()["id"]
    kind = {"Content-Type": "text/csv"}
    file = b"date,reference,amount,provider,narration\n2026-01-01,R-1,5,x,y\n"
    for _ in range(2):
        statement = await admin.post("/v1/statements", content=file, headers=kind)
        line = (await lines(admin, action="ImportStatement"))[0]
        assert told(line) == ("ImportStatement", "statements", statement.json()["id"], "done")
    for bulk in ("/v1/bulk", "/v1/bulk?atomic=true"):
        op = json.dumps(
            {"op": "POST /v1/admin-roles", "body": {"name": bulk[-4:], "permissions": []}}
        )
        answer = await admin.post(
            bulk, content=op, headers={"Content-Type": "application/x-ndjson"}
        )
        made_id = json.loads(answer.text)["receipt"]["id"]
        assert (await lines(admin, action="CreateRole"))[0]["resourceId"] == made_id


async def test_a_refusal_is_logged_with_its_code_and_a_replay_is_not(admin: Client) -> None:
    user = (await admin.user())["id"]
    key = {"Idempotency-Key": "once"}
    for _ in range(2):
        answer = await admin.post(f"/v1/users/{user}/reinstate", {}, headers=key)
        assert answer.status_code == 409
    (line,) = await lines(admin, action="ReinstateUser")
    assert told(line) == ("ReinstateUser", "users", user, "invalid-transition")


@pytest.mark.parametrize(
    ("method", "path", "body", "action", "resource"),
    [
        ("POST", "/v1/users", ADA, "RegisterUser", "users"),
        ("POST", "/v1/users", {"phone": "no phone"}, "RegisterUser", "users"),
        ("GET", "/v1/loans", None, "List", "loans"),
        ("GET", "/v1/admin-users/+2348031234567", None, "Read", "admin-users"),
        ("GET", "/v1/journal.csv", None, "Export", "journal.csv"),
        ("GET", "/v1/trial-balance", None, "Read", "trial-balance"),
    ],
)
async def test_a_denial_is_logged_and_an_id_that_is_none_is_not_kept(
    admin: Client, method: str, path: str, body: Any, action: str, resource: str
) -> None:
    clerk = await admin.take_on("clerk", {"resource": "config", "actions": ["read"]})
    assert (await clerk.ask(method, path, body)).status_code == 403
    (line,) = [each for each in await lines(admin) if each["adminName"] == "clerk"][:1]
    assert told(line) == (action, resource, None, "forbidden")


async def test_whoever_is_shown_persons_leaves_a_line_and_whoever_is_not_does_not(
    admin: Client,
) -> None:
    user = (await admin.user())["id"]
    reading = {"resource": "users", "actions": ["read"]}
    clerk = await admin.take_on("clerk", reading)
    seeing = await admin.take_on("seer", reading, {"resource": "users.pii", "actions": ["read"]})
    headers = await admin.caught_up()
    for reader in (clerk, seeing):
        for path in (f"/v1/users/{user}", "/v1/users"):
            assert (await reader.get(path, headers=headers)).status_code == 200
    found = [each for each in await lines(admin) if each["resource"] == "users"]
    assert [(each["adminName"], *told(each)) for each in found[:2]] == [
        ("seer", "List", "users", None, "done"),
        ("seer", "Read", "users", user, "done"),
    ]
    assert not [each for each in found if each["adminName"] == "clerk"]
    assert (await admin.get("/v1/system-config")).status_code == 200
    assert (await lines(admin))[0]["resource"] != "system-config"


async def test_whoever_prefers_a_row_to_a_receipt_leaves_a_line_also_for_a_replay(
    admin: Client,
) -> None:
    headers = {"Idempotency-Key": "once"}
    user = (await admin.post("/v1/users", ADA, headers=headers)).json()["id"]
    again = await admin.post(
        "/v1/users", ADA, headers={**headers, "Prefer": "return=representation"}
    )
    assert (again.json()["name"], again.headers["Idempotency-Replayed"]) == ("Ada", "true")
    assert told((await lines(admin))[0]) == ("Read", "users", user, "done")


async def test_what_is_taken_along_is_logged(admin: Client) -> None:
    for path in ("/v1/journal.csv", "/v1/trial-balance.csv"):
        assert (await admin.get(path)).status_code == 200
    found = [told(each) for each in await lines(admin, action="Export")]
    assert found == [
        ("Export", "trial-balance.csv", None, "done"),
        ("Export", "journal.csv", None, "done"),
    ]


@pytest.mark.parametrize("query", ["phone=%2B2348031234567", "email=a@b.ng"])
async def test_a_question_about_persons_that_is_denied_is_logged(admin: Client, query: str) -> None:
    clerk = await admin.take_on("clerk", {"resource": "users", "actions": ["read"]})
    assert (await clerk.get(f"/v1/users?{query}")).status_code == 403
    assert told((await lines(admin))[0]) == ("List", "users", None, "forbidden")


SELF = [
    ("GET", "/v1/auth/me", "Read", "auth"),
    ("POST", "/v1/auth/logout", "LogOut", "auth"),
    ("POST", "/v1/auth/password", "ChangePassword", "auth"),
    ("POST", "/v1/auth/2fa/enrol", "EnrolTwoFactor", "auth"),
    ("POST", "/v1/auth/2fa/confirm", "ConfirmTwoFactor", "auth"),
    ("POST", "/v1/auth/2fa/disable", "DisableTwoFactor", "auth"),
]


@pytest.mark.parametrize(
    ("method", "path", "action", "resource"),
    [
        *SELF,
        ("POST", "/v1/users", "RegisterUser", "users"),
        ("POST", "/v1/bulk", "Bulk", "bulk"),
        ("POST", "/v1/bulk?atomic=true", "Bulk", "bulk"),
    ],
)
@pytest.mark.parametrize("known", [False, True])
async def test_a_blocked_address_is_logged_whatever_is_asked(
    admin: Client, method: str, path: str, action: str, resource: str, *, known: bool
) -> None:
    rules = {"ipBlacklist": ["203.0.113.0/24"]}
    assert (await admin.ask("PATCH", "/v1/security-settings", rules)).status_code == 200
    if not known:  # Another process has not met the caller.
        admin.app.state.context.callers.clear()
    there = {"X-Forwarded-For": "203.0.113.7", "Content-Type": "application/x-ndjson"}
    line = '{"op": "POST /v1/users", "body": {}}'
    if "bulk" not in path:
        line, there["Content-Type"] = "{}", "application/json"
    await admin.ask(method, path, headers=there, content=line)
    assert told((await lines(admin))[0]) == (action, resource, None, "ip-blocked")


@pytest.mark.parametrize(("method", "path", "action", "resource"), SELF[1:])
async def test_a_machine_that_does_what_only_a_person_may_is_logged(
    admin: Client, method: str, path: str, action: str, resource: str
) -> None:
    wish = {"name": "a machine", "permissions": [{"resource": "users", "actions": ["read"]}]}
    key = (await admin.post("/v1/api-keys", wish)).json()["key"]
    answer = await admin.with_token(key).ask(method, path, {})
    assert (answer.status_code, answer.json()["code"]) == (403, "session-required")
    assert told((await lines(admin))[0]) == (action, resource, None, "session-required")


async def test_the_lines_of_a_file_that_came_to_nothing_say_why(admin: Client) -> None:
    clerk = await admin.take_on("clerk", {"resource": "users", "actions": ["write"]})
    ops = [{"op": "POST /v1/users", "body": ADA}, {"op": "POST /v1/departments"}]
    ops[1]["body"] = {"name": "Billing"}
    body = "".join(json.dumps(op) + "\n" for op in ops)
    kind = {"Content-Type": "application/x-ndjson"}
    answer = await clerk.post("/v1/bulk?atomic=true", content=body, headers=kind)
    assert answer.status_code == 403
    found = sorted(told(each) for each in (await lines(admin))[:2])
    assert found == [
        ("CreateDepartment", "departments", None, "forbidden"),
        ("RegisterUser", "users", None, "aborted"),
    ]


async def test_each_line_of_a_file_is_logged_once(admin: Client) -> None:
    persons = [ADA | {"phone": f"0803123456{n}", "email": f"{n}@example.com"} for n in range(3)]
    ops = [{"op": "POST /v1/users", "body": person} for person in persons]
    body = "".join(json.dumps(op) + "\n" for op in ops)
    for path in ("/v1/bulk", "/v1/bulk?atomic=true"):
        kind = {"Content-Type": "application/x-ndjson"}
        await admin.http.post(path, content=body, headers=admin.headers | kind)
    found = await lines(admin, action="RegisterUser")
    outcomes = [each["details"]["outcome"] for each in found]
    assert outcomes == ["phone-taken", "done", "done", "done"]


async def test_nobody_rewrites_it(database: str) -> None:
    async with running(database) as client:
        await client.user()
        for method in ("PUT", "PATCH", "POST", "DELETE"):
            answer = await client.ask(method, LOG, {})
            assert answer.status_code == 405
            assert answer.headers["allow"] == "GET, HEAD"
    for statement in ("UPDATE ledger.activity SET action = ''", "DELETE FROM ledger.activity"):
        with (
            psycopg.connect(database) as connection,
            pytest.raises(psycopg.errors.InsufficientPrivilege, match="never changed"),
        ):
            connection.execute(statement.encode())


async def test_getting_in_is_logged_and_so_is_failing_to(admin: Client) -> None:
    me = (await admin.get("/v1/auth/me")).json()["id"]
    clerk = await admin.take_on("clerk", {"resource": "config", "actions": ["read"]})
    for name in ("admin", "nobody"):
        body = {"username": name, "password": "not the password"}
        assert (await admin.http.post("/v1/auth/login", json=body)).status_code == 401
    wrong = {"currentPassword": "not the password", "newPassword": "another good passw0rd"}
    assert (await admin.post("/v1/auth/password", wrong)).status_code == 422
    assert (await clerk.post("/v1/auth/logout")).status_code == 204
    assert (await clerk.get("/v1/system-config")).status_code == 401
    found = [
        (each["action"], each["adminName"], each["details"]["outcome"])
        for each in await lines(admin, resource="auth")
    ]
    assert found == [
        ("LogOut", "clerk", "done"),
        ("ChangePassword", "admin", "wrong-password"),
        ("LogIn", "", "invalid-credentials"),
        ("LogIn", "admin", "invalid-credentials"),
        ("LogIn", "clerk", "done"),
        ("LogIn", "admin", "done"),
    ]
    assert "nobody" not in str(await lines(admin))
    failed = await lines(admin, adminId=me, action="LogIn")
    assert [each["details"]["outcome"] for each in failed] == ["invalid-credentials", "done"]


async def test_what_anybody_can_have_refused_is_logged_once_an_hour_and_counted(
    database: str,
) -> None:
    async with running(database) as client:
        for name in ("nobody", "somebody", "nobody", *["admin"] * 8):
            body = {"username": name, "password": "not the password"}
            await client.http.post("/v1/auth/login", json=body)
        found = [
            (each["adminName"], each["details"]["outcome"])
            for each in await lines(client, action="LogIn")
        ]
        known = [("admin", "invalid-credentials")] * 5
        assert found == [
            ("admin", "too-many-attempts"),
            *known,
            ("", "invalid-credentials"),
            ("admin", "done"),
        ]
    with psycopg.connect(database) as connection:
        query = "SELECT outcome, sum(count)::int FROM ledger.refused_entries GROUP BY outcome"
        counted = dict(connection.execute(query).fetchall())
    assert counted == {"invalid-credentials": 3, "too-many-attempts": 3}


async def test_a_blocked_address_is_logged_with_whose_session_it_was(admin: Client) -> None:
    rules = {"ipBlacklist": ["203.0.113.0/24"]}
    assert (await admin.ask("PATCH", "/v1/security-settings", rules)).status_code == 200
    there = {"X-Forwarded-For": "203.0.113.7"}
    assert (await admin.get("/v1/loans", headers=there)).status_code == 403
    line = (await lines(admin))[0]
    assert told(line) == ("List", "loans", None, "ip-blocked")
    assert (line["adminName"], line["ipAddress"]) == ("admin", "203.0.113.7")

"""Two people through HTTP: what waits, who approves it, and that nothing slips by."""

import asyncio
import json
from typing import Any

import httpx
import psycopg

from tests.api.conftest import Client, running
from tests.api.routes.borrowers import log_in

NEEDED = "needs-approval"
WHY = {"reason": "Too much for her."}
LIMIT = {"limit": 50_000, "reason": "She pays in time."}
CHECKER = [
    {"resource": "proposals", "actions": ["read", "write"]},
    {"resource": "users.credit", "actions": ["read", "write"]},
    {"resource": "users", "actions": ["read", "write"]},
]


async def rule(admin: Client, command: str, **more: Any) -> dict[str, Any]:
    """A rule; the first is made by one admin alone."""
    answer = await admin.post("/v1/approval-rules", {"command": command, **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def row(admin: Client, path: str) -> dict[str, Any]:
    answer = await admin.get(path, headers=await admin.caught_up())
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def waits(answer: httpx.Response) -> str:
    """The path of the proposal that an answer is about."""
    assert answer.status_code == 202, answer.text
    body = answer.json()
    assert body.keys() == {"proposalId", "version", "position"}
    path = f"/v1/proposals/{body['proposalId']}"
    assert answer.headers["location"] == path
    assert answer.headers["ledger-position"] == str(body["position"])
    return path


def code(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    return str(answer.json()["code"])


async def limits(admin: Client) -> tuple[Client, str]:
    """A rule on credit limits above 10,000: who checks, and the path of a borrower."""
    checker = await admin.take_on("bisi", *CHECKER)
    await rule(admin, "SetCreditLimit", threshold=10_000)
    user = await admin.user(creditLimit=5_000)
    return checker, f"/v1/users/{user['id']}"


async def test_a_command_waits_and_is_done_when_another_admin_approves_it(admin: Client) -> None:
    checker = await admin.take_on("bisi", *CHECKER)
    await rule(admin, "SetCreditLimit", threshold=20_000)
    user = await admin.user(creditLimit=5_000)
    path = f"/v1/users/{user['id']}"
    small = await admin.post(f"{path}/credit-limit", LIMIT | {"limit": 20_000})
    assert small.status_code == 200
    proposal = waits(await admin.post(f"{path}/credit-limit", LIMIT))
    assert (await row(admin, path))["creditLimit"] == 20_000
    shown = await row(admin, proposal)
    assert shown["command"] == "SetCreditLimit"
    assert shown["permission"] == "users.credit:write"
    assert (shown["entity"], shown["target"]) == ("User", user["id"])
    assert (shown["body"], shown["words"]) == (
        {"limit": 50_000},
        {"reason": "She pays in time."},
    )
    assert (shown["amount"], shown["status"]) == (50_000, "pending")
    assert (shown["makerName"], shown["decidedBy"]) == ("admin", None)
    (effect,) = shown["effects"]
    assert effect["events"] == ["CreditLimitSet"]
    assert effect["fields"]["creditLimit"] == {"old": 20_000, "new": 50_000}
    looked = {each["id"]: each["version"] for each in shown["decidedOn"]}
    assert looked[user["id"]] == 2
    for decide in ("approve", "reject"):
        mine = await admin.post(f"{proposal}/{decide}", {} if decide == "approve" else WHY)
        assert code(mine, 403) == "separation-of-duties"
    done = await checker.post(f"{proposal}/approve")
    assert done.status_code == 200, done.text
    assert (await row(admin, path))["creditLimit"] == 50_000
    shown = await row(admin, proposal)
    assert (shown["status"], shown["decidedByName"]) == ("approved", "bisi")
    again = await checker.post(f"{proposal}/approve")
    assert code(again, 409) == "invalid-transition"
    audit = await admin.get("/v1/audit-logs?action=CreditLimitSet&sort=-timestamp")
    line = audit.json()["items"][0]
    assert (line["userName"], line["approvedByName"]) == ("admin", "bisi")
    assert line["changes"]["creditLimit"] == {"old": 20_000, "new": 50_000}
    earlier = audit.json()["items"][1]
    assert (earlier["approvedById"], earlier["approvedByName"]) == (None, None)
    events = (await admin.get(f"{path}/events")).json()["items"]
    assert (events[-1]["actorname"], events[-1]["approvedbyname"]) == ("admin", "bisi")


async def test_a_proposal_is_rejected_or_withdrawn(admin: Client) -> None:
    checker, path = await limits(admin)
    first = waits(await admin.post(f"{path}/credit-limit", LIMIT))
    assert code(await checker.post(f"{first}/withdraw"), 403) == "not-the-maker"
    assert (await checker.post(f"{first}/reject", WHY)).status_code == 200
    second = waits(await admin.post(f"{path}/credit-limit", LIMIT))
    assert (await admin.post(f"{second}/withdraw")).status_code == 200
    shown = await row(admin, first)
    assert (shown["status"], shown["reason"]) == ("rejected", "Too much for her.")
    inbox = await admin.get("/v1/proposals?status=withdrawn", headers=await admin.caught_up())
    assert [each["id"] for each in inbox.json()["items"]] == [second.rpartition("/")[2]]
    assert (await row(admin, path))["creditLimit"] == 5_000


async def test_what_a_rule_forbids_is_refused_at_once(admin: Client) -> None:
    clerk = await admin.take_on("clerk", {"resource": "users", "actions": ["read"]})
    await rule(admin, "SuspendUser")
    user = await admin.user()
    path = f"/v1/users/{user['id']}"
    assert code(await clerk.post(f"{path}/suspend", WHY), 403) == "forbidden"
    assert code(await admin.post(f"{path}/suspend"), 422) == "invalid-fields"
    assert code(await admin.post("/v1/users/USR-2020-000001/suspend", WHY), 404) == "not-found"
    stale = await admin.post(f"{path}/suspend", WHY, headers={"If-Match": '"9"'})
    assert code(stale, 412) == "stale-version"
    gone = f"/v1/users/{(await admin.user(1))['id']}"
    assert (await admin.ask("DELETE", gone)).status_code == 200
    assert code(await admin.post(f"{gone}/suspend", WHY), 409) == "user-gone"


async def test_the_same_key_is_answered_the_same_and_proposes_once(admin: Client) -> None:
    checker, user = await limits(admin)
    path, key = f"{user}/credit-limit", {"Idempotency-Key": "k-1"}
    first = await admin.post(path, LIMIT, headers=key)
    proposal = waits(first)
    again = await admin.post(path, LIMIT, headers=key)
    assert waits(again) == proposal
    assert again.json() == first.json()
    assert again.headers["idempotency-replayed"] == "true"
    one = {"Idempotency-Key": "a-1"}
    done = await checker.post(f"{proposal}/approve", headers=one)
    replayed = await checker.post(f"{proposal}/approve", headers=one)
    assert (done.status_code, replayed.status_code) == (200, 200)
    assert done.json() == replayed.json()
    # After it was done, too: the key says what was answered, and does nothing.
    assert waits(await admin.post(path, LIMIT, headers=key)) == proposal
    count = await admin.get("/v1/proposals", headers=await admin.caught_up())
    assert len(count.json()["items"]) == 1


async def test_twenty_approvals_at_once_in_two_processes_do_it_once(database: str) -> None:
    async with running(database) as first, running(database, following=False) as second:
        checkers = [await first.take_on(f"checker{nth}", *CHECKER) for nth in range(4)]
        await rule(first, "SetCreditLimit", threshold=10_000)
        user = await first.user(creditLimit=5_000)
        path = f"/v1/users/{user['id']}"
        proposal = waits(await first.post(f"{path}/credit-limit", LIMIT))
        asked = [each.at(second) if nth % 2 else each for nth in range(5) for each in checkers]
        assert len(asked) == 20
        answers = await asyncio.gather(*(each.post(f"{proposal}/approve") for each in asked))
        assert sorted(each.status_code for each in answers) == [200, *[409] * 19]
        codes = {each.json().get("code") for each in answers if each.status_code == 409}
        assert codes == {"invalid-transition"}
        events = await first.get(f"{path}/events", headers=await first.caught_up())
        names = [each["type"] for each in events.json()["items"]]
        assert names.count("CreditLimitSet") == 1


async def test_what_changed_meanwhile_is_said_and_may_be_approved_as_it_is(admin: Client) -> None:
    checker, path = await limits(admin)
    proposal = waits(await admin.post(f"{path}/credit-limit", LIMIT))
    lower = {"limit": 100, "reason": "first this"}
    assert (await checker.post(f"{path}/credit-limit", lower)).status_code == 200
    stale = await checker.post(f"{proposal}/approve")
    assert code(stale, 409) == "stale-proposal"
    (changed,) = stale.json()["changed"]
    assert changed["fields"]["creditLimit"] == {"old": 5_000, "new": 100}
    assert (changed["entity"], changed["version"]) == ("User", {"old": 1, "new": 2})
    seen = [{"id": changed["id"], "version": changed["version"]["new"]}]
    done = await checker.post(f"{proposal}/approve", {"versions": seen})
    assert done.status_code == 200, done.text
    assert (await row(admin, path))["creditLimit"] == 50_000


async def test_what_is_forbidden_by_then_fails(admin: Client) -> None:
    checker = await admin.take_on("bisi", *CHECKER)
    await rule(admin, "ReinstateUser")
    user = await admin.user()
    path = f"/v1/users/{user['id']}"
    await admin.post(f"{path}/suspend", WHY)
    first = waits(await admin.post(f"{path}/reinstate"))
    second = waits(await admin.post(f"{path}/reinstate"))
    assert (await checker.post(f"{first}/approve")).status_code == 200
    stale = (await checker.post(f"{second}/approve")).json()
    assert (stale["code"], stale["refusal"]) == ("stale-proposal", "invalid-transition")
    versions = [{"id": e["id"], "version": e["version"]["new"]} for e in stale["changed"]]
    key = {"Idempotency-Key": "once"}
    for _ in range(2):
        failed = await checker.post(f"{second}/approve", {"versions": versions}, headers=key)
        assert code(failed, 409) == "proposal-failed"
        assert failed.json()["failure"] == "invalid-transition"
    shown = await row(admin, second)
    assert (shown["status"], shown["failureCode"]) == ("failed", "invalid-transition")


async def test_lines_of_bulk_wait_and_atomic_files_are_refused(admin: Client) -> None:
    checker, user = await limits(admin)
    op = f"POST {user}/credit-limit"
    lines = [
        {"op": op, "body": LIMIT, "key": "b-1"},
        {"op": op, "body": LIMIT | {"limit": 9_000}, "key": "b-2"},
    ]

    async def send(client: Client, lines: list[Any], query: str = "") -> httpx.Response:
        body = "\n".join(map(json.dumps, lines)).encode()
        headers = client.headers | {"Content-Type": "application/x-ndjson"}
        return await client.http.post(f"/v1/bulk{query}", content=body, headers=headers)

    refused = await send(admin, lines, "?atomic=true")
    answers = [json.loads(line) for line in refused.text.splitlines()]
    assert [each["problem"]["code"] for each in answers] == [NEEDED, "aborted"]
    assert refused.status_code == 409
    answer = await send(admin, lines)
    first, second = [json.loads(line) for line in answer.text.splitlines()]
    assert (first["status"], second["status"]) == (202, 200)
    assert first["receipt"].keys() == {"proposalId", "version", "position"}
    again = json.loads((await send(admin, lines)).text.splitlines()[0])
    assert again == first | {"replayed": True}
    approve = {"op": f"POST /v1/proposals/{first['receipt']['proposalId']}/approve"}
    whole = await send(checker, [approve], "?atomic=true")
    assert json.loads(whole.text)["problem"]["code"] == "not-atomic"
    # The second line has changed the limit since the first was decided.
    stale = json.loads((await send(checker, [approve])).text)
    assert stale["problem"]["code"] == "stale-proposal"
    changed = stale["problem"]["changed"]
    seen = [{"id": each["id"], "version": each["version"]["new"]} for each in changed]
    done = json.loads((await send(checker, [approve | {"body": {"versions": seen}}])).text)
    assert done["status"] == 200
    assert (await row(admin, user))["creditLimit"] == 50_000


async def test_an_api_key_proposes_for_its_owner_who_does_not_approve(admin: Client) -> None:
    checker = await admin.take_on("bisi", *CHECKER)
    await rule(admin, "SetCreditLimit", threshold=10_000)
    user = await admin.user(creditLimit=5_000)
    made = await admin.post("/v1/api-keys", {"name": "robot", "permissions": CHECKER})
    robot = admin.with_token(made.json()["key"])
    path = f"/v1/users/{user['id']}"
    proposal = waits(await robot.post(f"{path}/credit-limit", LIMIT))
    shown = await row(admin, proposal)
    assert (shown["makerName"], shown["apiKey"]) == ("admin", made.json()["id"])
    for owner in (admin, robot):
        assert code(await owner.post(f"{proposal}/approve"), 403) == "separation-of-duties"
    other = waits(await checker.post(f"{path}/credit-limit", LIMIT))
    assert (await robot.post(f"{other}/approve")).status_code == 200
    audit = await admin.get(
        "/v1/audit-logs?action=ProposalApproved", headers=await admin.caught_up()
    )
    assert audit.json()["items"][0]["apiKeyName"] == "robot"
    # A key that has ended has its proposals fail.
    last = waits(await robot.post(f"{path}/credit-limit", LIMIT | {"limit": 60_000}))
    await admin.ask("DELETE", f"/v1/api-keys/{made.json()['id']}")
    failed = await checker.post(f"{last}/approve")
    assert (code(failed, 409), failed.json()["failure"]) == (
        "proposal-failed",
        "maker-not-active",
    )


async def test_another_account_with_the_makers_phone_does_not_approve(admin: Client) -> None:
    maker, twin = [await admin.take_on(name, *CHECKER) for name in ("bisi", "twin")]
    for client in (maker, twin):
        own = (await client.get("/v1/auth/me")).json()["id"]
        phone = {"phone": "08039999999"}
        changed = await admin.ask("PATCH", f"/v1/admin-users/{own}", phone)
        assert changed.status_code == 200, changed.text
    await rule(admin, "SetCreditLimit", threshold=10_000)
    user = await admin.user(creditLimit=5_000)
    path = f"/v1/users/{user['id']}"
    proposal = waits(await maker.post(f"{path}/credit-limit", LIMIT))
    for client in (maker, twin):
        answer = await client.post(f"{proposal}/approve")
        assert code(answer, 403) == "separation-of-duties"
    assert (await admin.post(f"{proposal}/approve")).status_code == 200


async def test_an_account_that_was_changed_meanwhile_does_not_approve(admin: Client) -> None:
    early = await admin.take_on("early", *CHECKER)
    await rule(admin, "SetCreditLimit", threshold=10_000)
    user = await admin.user(creditLimit=5_000)
    path = f"/v1/users/{user['id']}"
    proposal = waits(await admin.post(f"{path}/credit-limit", LIMIT))
    late = await admin.take_on("late", *CHECKER)
    assert code(await late.post(f"{proposal}/approve"), 403) == "separation-of-duties"
    own = (await early.get("/v1/auth/me")).json()
    roles = (await admin.get("/v1/admin-roles", headers=await admin.caught_up())).json()
    (role,) = [each for each in roles["items"] if each["name"] == own["role"]]
    fewer = {"permissions": CHECKER[:1]}
    await admin.ask("PATCH", f"/v1/admin-roles/{role['id']}", fewer)
    assert code(await early.post(f"{proposal}/approve"), 403) == "forbidden"
    await admin.ask("PATCH", f"/v1/admin-roles/{role['id']}", {"permissions": CHECKER})
    assert code(await early.post(f"{proposal}/approve"), 403) == "separation-of-duties"


async def test_secret_fields_wait_beside_the_log_and_go(database: str) -> None:
    secret = "whsec_c2VjcmV0IG9mIGEgcHJvdmlkZXI="
    async with running(database) as admin:
        checker = await admin.take_on_superadmin("bisi")
        body = {
            "name": "Paystack",
            "type": "payment_gateway",
            "provider": "Paystack",
            "baseUrl": "https://api.example.com",
        }
        made = await admin.post("/v1/api-integrations", body)
        assert made.status_code == 201, made.text
        await rule(admin, "RotateCredentials")
        path = f"/v1/api-integrations/{made.json()['id']}"
        proposal = waits(await admin.post(f"{path}/credentials", {"apiSecret": secret}))
        changed = await admin.ask("PATCH", path, {"apiSecret": secret})
        waits(changed)
        shown = await row(admin, proposal)
        assert (shown["body"], shown["words"], shown["secrets"]) == ({}, {}, ["apiSecret"])
        assert (await row(admin, path))["apiSecret"]["set"] is False
        assert (await checker.post(f"{proposal}/approve")).status_code == 200
        assert (await row(admin, path))["apiSecret"]["set"] is True
    with psycopg.connect(database) as connection:
        query = "SELECT secret FROM ledger.secrets WHERE purpose = 'proposed' ORDER BY secret"
        ended, waiting = [text for (text,) in connection.execute(query).fetchall()]
        bodies = connection.execute("SELECT string_agg(body, '') FROM ledger.events").fetchone()
    assert ended == ""
    assert waiting.startswith("~")
    assert bodies
    assert secret not in bodies[0]


async def test_a_password_that_was_proposed_opens_the_account(admin: Client) -> None:
    checker = await admin.take_on_superadmin("bisi")
    roles = (await admin.get("/v1/admin-roles", headers=await admin.caught_up())).json()
    role = next(each["id"] for each in roles["items"] if each["name"] == "auditor")
    await rule(admin, "AssignRole")
    body = {"username": "dayo", "email": "dayo@example.com", "roleId": role, "name": "Dayo"}
    password = "correct horse battery staple"
    proposal = waits(await admin.post("/v1/admin-users", body | {"password": password}))
    shown = await row(checker, proposal)
    assert shown["words"] == {"email": "dayo@example.com", "name": "Dayo"}
    assert shown["secrets"] == ["password"]
    assert (await checker.post(f"{proposal}/approve")).status_code == 200
    await admin.as_("dayo")
    shown = await row(checker, proposal)
    assert shown["words"] == {}
    assert (await row(admin, f"/v1/admin-users/{shown['target']}"))["username"] == "dayo"


async def test_a_disbursement_sends_its_airtime_once_it_is_approved(admin: Client) -> None:
    officer = await admin.take_on_superadmin("officer")
    third = await admin.take_on_superadmin("third")
    await rule(admin, "DisburseLoan", threshold=50)
    user = await admin.user()
    wish = {"userId": user["userId"], "amount": 100, "network": "MTN"}
    loan = f"/v1/loans/{(await admin.post('/v1/loans', wish)).json()['id']}"
    assert (await officer.post(f"{loan}/approve")).status_code == 200
    proposal = waits(await officer.post(f"{loan}/disburse"))
    assert (await row(admin, loan))["status"] == "approved"
    conflict = await admin.post(f"{proposal}/approve")
    assert code(conflict, 403) == "separation-of-duties", "admin registered the borrower"
    done = await third.post(f"{proposal}/approve")
    assert done.status_code == 200, done.text
    shown = await row(admin, loan)
    assert (shown["status"], shown["disbursement"]) == ("disbursed", "delivered")


async def test_settings_and_roles_wait_as_well(admin: Client) -> None:
    checker = await admin.take_on_superadmin("bisi")
    rules = [await rule(admin, "SetConfig")]
    for command in ("EditRole", "EraseUser"):
        made = await admin.post("/v1/approval-rules", {"command": command})
        assert (await checker.post(f"{waits(made)}/approve")).status_code == 200
    late = "/v1/system-config/lending/lateFee"
    proposal = waits(await admin.ask("PUT", late, {"value": 12.5}))
    assert (await row(admin, late))["value"] == 0
    assert (await row(admin, proposal))["body"] == {"value": 12.5}
    assert (await checker.post(f"{proposal}/approve")).status_code == 200
    assert (await row(admin, late))["value"] == 12.5
    same = await admin.ask("PUT", late, {"value": 12.5})
    assert same.status_code == 200, "what changes nothing needs no approval"
    back = waits(await admin.ask("DELETE", late))
    assert (await checker.post(f"{back}/approve")).status_code == 200
    role = (await admin.post("/v1/admin-roles", {"name": "clerk", "permissions": []})).json()
    edit = {"description": "Nothing yet", "maxAmount": None}
    proposal = waits(await admin.ask("PATCH", f"/v1/admin-roles/{role['id']}", edit))
    assert (await row(admin, proposal))["body"] == edit
    assert (await checker.post(f"{proposal}/approve")).status_code == 200
    off = await admin.ask("PATCH", f"/v1/approval-rules/{rules[0]['id']}", {"enabled": False})
    gone = await admin.ask("DELETE", f"/v1/approval-rules/{rules[0]['id']}")
    assert waits(off) != waits(gone)
    assert (await checker.post(f"{waits(gone)}/approve")).status_code == 200
    shown = await row(admin, f"/v1/approval-rules/{rules[0]['id']}")
    assert shown["archived"] is True


async def test_a_rule_names_a_command_that_can_wait(admin: Client) -> None:
    def body(command: str, **more: Any) -> dict[str, Any]:
        return {"command": command, **more}

    for command in (
        "ReverseTransactions",
        "CreateApiKey",
        "TestIntegration",
        "ApproveProposal",
    ):
        answer = await admin.post("/v1/approval-rules", body(command))
        assert code(answer, 422) == "unknown-command", command
    near = await admin.post("/v1/approval-rules", body("ReverseTransactions"))
    assert "did you mean ReverseTransaction?" in near.json()["detail"]
    none = await admin.post("/v1/approval-rules", body("EraseUser", threshold=5))
    assert code(none, 422) == "no-amount"
    clerk = await admin.take_on("clerk", {"resource": "users", "actions": ["read"]})
    assert code(await clerk.post("/v1/approval-rules", body("Nonsense")), 403) == "forbidden"
    for command in ("DisburseLoan", "ReverseTransaction", "WaiveCharges", "SetCreditLimit"):
        rule_ = body(command, threshold=5, enabled=False)
        assert (await admin.post("/v1/approval-rules", rule_)).status_code == 201
    again = await admin.post("/v1/approval-rules", body("DisburseLoan"))
    assert code(again, 409) == "approval-rule-exists"


async def test_a_statement_settles_nothing_that_takes_two_people(admin: Client) -> None:
    colleague = await admin.colleague()
    user = await admin.user()
    payment = {
        "type": "repayment",
        "userId": user["id"],
        "amount": 500,
        "paymentMethod": "card",
        "provider": "Paystack",
        "reference": "P-1",
    }
    made = await colleague.post("/v1/transactions", payment)
    assert made.status_code == 201, made.text
    await rule(admin, "Reconcile")
    lines = b"date,reference,amount,provider,narration\n2026-01-31,P-1,500.00,Paystack,x\n"
    headers = admin.headers | {"Content-Type": "text/csv"}
    answer = await admin.http.post("/v1/statements", content=lines, headers=headers)
    assert (answer.json()["refused"], answer.json()["matched"]) == (1, 0), answer.text
    shown = await row(admin, f"/v1/transactions/{made.json()['id']}")
    assert (shown["status"], shown["reconciledAt"]) == ("pending", None)


async def test_a_borrower_is_bound_by_no_rule_and_sees_no_proposal(admin: Client) -> None:
    await rule(admin, "RequestLoan")
    user = await admin.user()
    wish = {"userId": user["userId"], "amount": 100, "network": "MTN"}
    proposal = waits(await admin.post("/v1/loans", wish))
    shown = await row(admin, proposal)
    assert shown["amount"] == 100
    assert [each["entity"] for each in shown["effects"]] == ["User", "Loan"]
    own = await log_in(admin, 0)
    assert (await own.post("/v1/loans", wish | {"userId": user["id"]})).status_code == 201
    for path in ("/v1/proposals", proposal):
        assert code(await own.get(path), 403) == "forbidden"
    assert code(await own.post(f"{proposal}/withdraw"), 403) == "forbidden"


async def test_a_rule_of_another_process_binds_the_next_command(database: str) -> None:
    async with running(database) as first, running(database, following=False) as second:
        user = await first.user(creditLimit=5_000)
        path = f"/v1/users/{user['id']}/credit-limit"
        other = first.at(second)
        assert (await other.post(path, LIMIT | {"limit": 6_000})).status_code == 200
        await rule(first, "SetCreditLimit")
        waits(await other.post(path, LIMIT))


async def test_the_switch_of_all_messages_waits_as_well(admin: Client) -> None:
    checker = await admin.take_on_superadmin("bisi")
    await rule(admin, "SwitchOutbound")
    proposal = waits(await admin.post("/v1/outbound", {"enabled": False, "reason": "a test"}))
    assert (await row(admin, "/v1/outbound"))["enabled"] is True
    assert (await checker.post(f"{proposal}/approve")).status_code == 200
    assert (await row(admin, "/v1/outbound"))["enabled"] is False


async def test_the_log_of_activities_says_what_was_proposed_and_approved(admin: Client) -> None:
    checker, user = await limits(admin)
    path = f"{user}/credit-limit"
    proposal = waits(await admin.post(path, LIMIT))
    assert (await checker.post(f"{proposal}/approve")).status_code == 200
    logs = await admin.get("/v1/admin-activity-logs", headers=await admin.caught_up())
    lines = {each["action"]: each for each in logs.json()["items"]}
    assert lines["SetCreditLimit"]["details"]["outcome"] == "proposed"
    assert lines["SetCreditLimit"]["resourceId"] == user.rpartition("/")[2]
    assert lines["ApproveProposal"]["details"]["outcome"] == "done"
    assert lines["ApproveProposal"]["adminName"] == "bisi"


async def test_a_proposal_is_seen_by_who_may_read_what_it_is_about(admin: Client) -> None:
    _, user = await limits(admin)
    read = {"resource": "proposals", "actions": ["read"]}
    users = {"resource": "users", "actions": ["read"]}
    credit = {"resource": "users.credit", "actions": ["write"]}
    reader = await admin.take_on("reader", read, users)
    stranger = await admin.take_on("stranger", read)
    maker = await admin.take_on("maker", read, credit)
    path = f"{user}/credit-limit"
    first, own = waits(await admin.post(path, LIMIT)), waits(await maker.post(path, LIMIT))
    shown = await row(reader, first)
    assert shown["words"] == {"reason": "***"}, "persons are masked without users.pii"
    assert shown["makerName"] == "a***"
    assert code(await stranger.get(first), 404) == "not-found"
    for client, seen in ((reader, {first, own}), (stranger, set()), (maker, {own})):
        answer = await client.get("/v1/proposals", headers=await admin.caught_up())
        items = {f"/v1/proposals/{each['id']}" for each in answer.json()["items"]}
        assert items == seen


async def test_what_is_about_an_erased_person_fails(admin: Client) -> None:
    checker, path = await limits(admin)
    proposal = waits(await admin.post(f"{path}/credit-limit", LIMIT))
    erased = await admin.post(f"{path}/erase")
    assert erased.status_code == 200, erased.text
    assert (await row(admin, proposal))["words"] == {"reason": None}
    stale = (await checker.post(f"{proposal}/approve")).json()
    assert (stale["code"], stale["refusal"]) == ("stale-proposal", "erased")
    seen = [{"id": e["id"], "version": e["version"]["new"]} for e in stale["changed"]]
    failed = await checker.post(f"{proposal}/approve", {"versions": seen})
    assert (code(failed, 409), failed.json()["failure"]) == ("proposal-failed", "erased")

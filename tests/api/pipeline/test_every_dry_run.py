"""Every command of the catalogue is tried, then done: nothing is written, all is foretold."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final
from uuid import UUID

import pytest

from api.catalogue import ROUTES
from api.pipeline.routes import Route
from rim_ledger.delivery.port import Outcome, Verdict
from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.lending.disbursement import record_outcome
from rim_ledger.values import lagos_day
from tests.api.conftest import PASSWORD, Client
from tests.api.pipeline.predictions import Walk
from tests.api.routes.factors import Clock, enrolled
from tests.api.routes.test_alerts import OVERDUE, alarm, lend
from tests.api.routes.test_backups import clock
from tests.api.routes.test_broadcasts import DRAFT, Listening, courier, rows
from tests.api.routes.test_products import TERMS
from tests.api.routes.test_support import QUESTION
from tests.api.routes.test_templates import EMAIL, SMS
from tests.delivery.http_server import Request, a_provider, answer

pytestmark = pytest.mark.database

WHY: Final = {"reason": "It has to be."}
Steps = Callable[[Client, Walk], Awaitable[None]]
WALKS: Final[dict[str, tuple[Steps, set[str]]]] = {}
"""Each walk, and the commands that it takes."""


def takes(commands: str) -> Callable[[Steps], Steps]:
    def declare(steps: Steps) -> Steps:
        WALKS[steps.__name__] = steps, set(commands.split())
        return steps

    return declare


@takes(
    "RegisterUser ChangeContact SuspendUser ReinstateUser DeactivateUser ActivateUser"
    " SetCreditLimit SetCreditScore SwitchAutoLimit VerifyPhone OptOut OptIn DeleteUser EraseUser"
)
async def users(admin: Client, walk: Walk) -> None:
    made = await walk(
        admin,
        "POST /v1/users",
        {"phone": "08031112222", "email": "bola@example.com", "name": "Bola"},
    )
    one = f"/v1/users/{made['id']}"
    step = partial(walk, admin)
    await step(f"PATCH {one}", {"name": "Bola A.", "phone": "08031112223"})
    await step(f"POST {one}/credit-limit", WHY | {"limit": 7000})
    await step(f"POST {one}/credit-score", WHY | {"score": 700})
    await step(f"POST {one}/auto-limit", {"enabled": True})
    await step(f"POST {one}/verify-phone")
    await step(f"POST {one}/opt-out")
    await step(f"POST {one}/opt-in")
    await step(f"POST {one}/suspend", WHY)
    await step(f"POST {one}/reinstate")
    await step(f"POST {one}/deactivate")
    await step(f"POST {one}/activate")
    await step(f"DELETE {one}")
    await step(f"POST {one}/erase")


@takes(
    "CreateLoanProduct UpdateLoanProduct ArchiveLoanProduct RequestLoan SetLoanMetadata ApproveLoan"
    " RejectLoan RevokeApproval DisburseLoan ChargeFee WaiveCharges RescheduleLoan MarkDefaulted"
    " ReverseDefault WriteOffLoan UndoWriteOff ReverseDisbursement TopUpFloat AdjustFloat"
)
async def loans(admin: Client, walk: Walk) -> None:
    officer, user = await admin.colleague(), await admin.user()
    step = partial(walk, admin)
    await step("POST /v1/float/MTN/top-up", {"amount": 9000, "cost": 8800, "reference": "B-1"})
    await step("POST /v1/float/MTN/adjust", WHY | {"amount": -10})
    product = await step("POST /v1/loan-products", TERMS)
    await step(f"PATCH /v1/loan-products/{product['id']}", {"repaymentPeriod": 7})
    wish = {"userId": user["userId"], "amount": 100, "network": "MTN"}
    paths = [f"/v1/loans/{(await step('POST /v1/loans', wish))['id']}" for _ in range(3)]
    first, second, third = paths
    await step(f"PATCH {first}", {"metadata": {"branch": "Yaba"}})
    for one in paths:
        await walk(officer, f"POST {one}/approve")
    await walk(officer, f"POST {third}/revoke-approval", WHY)
    await walk(officer, f"POST {third}/reject", WHY)
    for one in (first, second):
        await walk(officer, f"POST {one}/disburse", outside=True)
    await step(f"POST {first}/charge-fee", WHY | {"amount": 7.5})
    await step(f"POST {first}/waive-charges", WHY | {"amount": 5})
    day = lagos_day(datetime.now(UTC)) + timedelta(days=40)
    await step(f"POST {first}/reschedule", WHY | {"dueDate": day.isoformat()})
    await step(f"POST {first}/default", WHY)
    await step(f"POST {first}/write-off", WHY)
    await step(f"POST {first}/undo-write-off", WHY)
    await step(f"POST {first}/reverse-default", WHY)
    back = WHY | {"telcoReference": "BACK-1"}
    await step(f"POST {second}/reverse-disbursement", back)
    await step(f"DELETE /v1/loan-products/{product['id']}")


@takes("SettleDisbursement ResolveDispute")
async def doubtful_top_ups(admin: Client, walk: Walk) -> None:
    officer = await admin.colleague()
    user = await admin.user(phone="08030009003")  # The simulated telco never answers.
    paths = list[tuple[str, str]]()
    for _ in range(2):
        wish = {"userId": user["userId"], "amount": 100, "network": "MTN"}
        made = (await admin.post("/v1/loans", wish)).json()
        path = f"/v1/loans/{made['id']}"
        for step in ("approve", "disburse"):
            assert (await officer.post(f"{path}/{step}")).status_code == 200
        paths.append((path, f"DSB-{made['loanId']}-1"))
    (settled, _), (disputed, reference) = paths
    found = {"outcome": "delivered", "evidence": "Their portal.", "telcoReference": "T-1"}
    await walk(officer, f"POST {settled}/settle", found)
    ledger = admin.app.state.context.ledger
    for outcome in (Outcome(Verdict.FAILED, "No."), Outcome(Verdict.DELIVERED, reference="T-2")):
        now = Stamp(at=datetime.now(UTC), actor=SYSTEM)
        id_ = (await admin.get(disputed, headers=await admin.caught_up())).json()["id"]
        await ledger.submit(record_outcome(UUID(id_), reference, outcome), now)
        if outcome.verdict is Verdict.FAILED:
            revoked = await officer.post(f"{disputed}/revoke-approval", WHY)
            assert revoked.status_code == 200, revoked.text
    await walk(
        admin,
        f"POST {disputed}/resolve-dispute",
        WHY | {"reference": reference, "outcome": "returned", "telcoReference": "BACK-2"},
    )


@takes(
    "RecordTransaction CompleteTransaction FailTransaction AddNote RefundTransaction"
    " ReverseTransaction Reconcile UndoReconciliation RefundCredit RecordSettlement"
)
async def payments(admin: Client, walk: Walk) -> None:
    other, user = await admin.colleague(), await admin.user()
    third = await admin.take_on_superadmin("third")
    step, them = partial(walk, admin), partial(walk, other)
    loan = {"userId": user["userId"], "amount": 100, "network": "MTN"}
    lent = f"/v1/loans/{(await admin.post('/v1/loans', loan)).json()['id']}"
    for word in ("approve", "disburse"):
        assert (await other.post(f"{lent}/{word}")).status_code == 200
    body = {"type": "repayment", "userId": user["id"], "amount": 150, "paymentMethod": "cash"}
    await step("POST /v1/transactions", body)
    card = body | {"paymentMethod": "card", "provider": "paystack", "amount": 80}
    made = [
        (await step("POST /v1/transactions", card | {"reference": f"R-{n}"}))["id"]
        for n in range(3)
    ]
    first, second, failed = (f"/v1/transactions/{each}" for each in made)
    await step(f"POST {first}/notes", {"note": "She called."})
    for one in (first, second):
        await them(f"POST {one}/complete")
    await them(f"POST {failed}/fail", WHY | {"fundsCaptured": True})
    await walk(third, f"POST {failed}/refund", WHY)
    await step(f"POST {first}/reconcile", {"notes": "In their list."})
    await step(f"POST {first}/undo-reconciliation", WHY)
    await walk(third, f"POST {first}/reverse", WHY)
    paid_out = {"amount": 20, "paymentMethod": "bank_transfer", "reference": "OUT-1"}
    await walk(third, f"POST /v1/users/{user['id']}/refund-credit", paid_out)
    day = lagos_day(datetime.now(UTC)).isoformat()
    settled = {"provider": "paystack", "gross": 80, "fee": 3, "reference": "P-1", "date": day}
    await walk(third, "POST /v1/settlements", settled)


@takes(
    "CreateDepartment UpdateDepartment ArchiveDepartment CreateAgent UpdateAgent SetAvailability"
    " RetireAgent OpenTicket AssignTicket UnassignTicket StartWork EscalateTicket AcceptEscalation"
    " ResolveTicket ReopenTicket CloseTicket ChangePriority ChangeCategory ChangeDepartment"
    " TagTicket UntagTicket PostMessage MarkMessagesRead"
)
async def the_desk(admin: Client, walk: Walk) -> None:
    step, user = partial(walk, admin), await admin.user()
    other = await admin.colleague()
    me, them = [(await each.get("/v1/auth/me")).json()["id"] for each in (admin, other)]
    phone = {"phone": "08039990001"}
    assert (await other.ask("PATCH", f"/v1/admin-users/{me}", phone)).status_code == 200
    phone = {"phone": "08039990002"}
    assert (await admin.ask("PATCH", f"/v1/admin-users/{them}", phone)).status_code == 200
    department = (await step("POST /v1/departments", {"name": "Billing"}))["id"]
    await step(f"PATCH /v1/departments/{department}", {"description": "Bills."})
    for each, tier in ((me, 1), (them, 2)):
        hired = {"id": each, "department": department, "tier": tier}
        await step("POST /v1/support-agents", hired)
    await step(f"POST /v1/support-agents/{me}/availability", {"status": "available"})
    ticket = await step("POST /v1/tickets", QUESTION | {"customerId": user["id"]})
    one = f"/v1/tickets/{ticket['id']}"
    await step(f"POST {one}/priority", {"priority": "high"})
    await step(f"POST {one}/category", {"category": "technical"})
    await step(f"POST {one}/department", {"department": department})
    await step(f"POST {one}/tags", {"tag": "MTN"})
    await step(f"POST {one}/untag", {"tag": "MTN"})
    await step(f"POST {one}/assign", {"assignedTo": me})
    await step(f"POST {one}/unassign")
    await step(f"POST {one}/assign", {"assignedTo": me})
    await step(f"POST {one}/start")
    await step(f"POST {one}/messages", {"message": "We look into it."})
    await step(f"POST {one}/messages/read")
    await step(f"POST {one}/escalate", WHY | {"to": them})
    await walk(other, f"POST {one}/accept")
    await walk(other, f"POST {one}/resolve", {"resolution": "Sent again."})
    await walk(other, f"POST {one}/reopen", WHY)
    await walk(other, f"POST {one}/resolve", {"resolution": "Sent again."})
    await walk(other, f"POST {one}/close")
    await step(f"PATCH /v1/support-agents/{me}", {"tier": 2})
    for each in (me, them):
        await step(f"DELETE /v1/support-agents/{each}")
    await step(f"DELETE /v1/departments/{department}")


@takes(
    "CreateEmailTemplate UpdateEmailTemplate EnableEmailTemplate DisableEmailTemplate"
    " ArchiveEmailTemplate CreateSmsTemplate UpdateSmsTemplate EnableSmsTemplate DisableSmsTemplate"
    " ArchiveSmsTemplate CreateAlert UpdateAlert DisableAlert EnableAlert AcknowledgeAlert"
    " ArchiveAlert"
)
async def templates_and_alerts(admin: Client, walk: Walk) -> None:
    step = partial(walk, admin)
    for kind, form, change in (
        ("email", EMAIL, {"subject": "A subject"}),
        ("sms", SMS, {"message": "{{name}} owes 6"}),
    ):
        path = f"/v1/{kind}-templates"
        one = f"{path}/{(await step(f'POST {path}', form))['id']}"
        await step(f"PATCH {one}", change)
        await step(f"POST {one}/disable")
        await step(f"POST {one}/enable")
        await step(f"DELETE {one}")
    one = f"/v1/system-alerts/{(await step('POST /v1/system-alerts', OVERDUE))['id']}"
    await lend(admin)
    await admin.get(one, headers=await admin.caught_up())
    await alarm(admin).evaluate(datetime.now(UTC) + timedelta(days=40))
    await step(f"POST {one}/acknowledge")
    await step(f"PATCH {one}", {"threshold": 3})
    await step(f"POST {one}/disable")
    await step(f"POST {one}/enable")
    await step(f"DELETE {one}")


@takes(
    "DraftBroadcast EditBroadcast ScheduleBroadcast UnscheduleBroadcast SendBroadcast"
    " PauseBroadcast ResumeBroadcast CancelBroadcast CloneBroadcast RetryNotification"
)
async def broadcasts(admin: Client, walk: Walk) -> None:
    for number in range(2):
        await admin.user(number)
    step = partial(walk, admin)
    one = f"/v1/broadcasts/{(await step('POST /v1/broadcasts', DRAFT))['id']}"
    await step(f"PATCH {one}", {"title": "We have moved"})
    year = datetime.now(UTC).year + 1
    await step(f"POST {one}/schedule", {"scheduledFor": f"{year}-01-15T09:00:00+01:00"})
    await step(f"POST {one}/unschedule")
    await step(f"POST {one}/send")
    await step(f"POST {one}/pause")
    await step(f"POST {one}/resume")
    await courier(admin, Listening("+2348030000000")).deliver_due()
    (failed,) = await rows(admin, f"{one}/recipients?status=failed")
    await step(f"POST /v1/notifications/{failed['id']}/retry")
    twin = f"/v1/broadcasts/{(await step(f'POST {one}/clone'))['id']}"
    await step(f"POST {twin}/cancel")


@takes(
    "CreateIntegration UpdateIntegration RotateCredentials TestIntegration ActivateIntegration"
    " DeactivateIntegration ArchiveIntegration SetConfig ResetConfig SwitchOutbound"
)
async def the_system(admin: Client, walk: Walk) -> None:
    heard: list[Request] = []

    async def answering(request: Request) -> bytes:
        heard.append(request)
        return answer(204, b"")

    step = partial(walk, admin)
    async with a_provider(answering) as url:
        vtu = {"name": "VTU", "type": "telecom", "provider": "vtu", "baseUrl": url}
        vtu |= {"apiKey": "a-key-of-the-telco", "apiSecret": "a-secret-of-the-telco"}
        made = await step("POST /v1/api-integrations", vtu)
        one = f"/v1/api-integrations/{made['id']}"
        await step(f"PATCH {one}", {"name": "VTU 2"})
        await step(f"POST {one}/credentials", {"apiSecret": "another-secret"})
        await step(f"POST {one}/test")
        await step(f"POST {one}/activate")
        await step(f"POST {one}/deactivate")
        await step(f"DELETE {one}")
    assert len(heard) == 1, "the dry run calls nobody"
    await step("PUT /v1/system-config/lending/interestRate", {"value": 12.5})
    await step("DELETE /v1/system-config/lending/interestRate")
    await step("POST /v1/outbound", {"enabled": False} | WHY)


@takes(
    "CreateRole EditRole DeleteRole CreateAdmin EditAdmin AssignRole SuspendAdmin ReinstateAdmin"
    " DeactivateAdmin ActivateAdmin ResetPassword RevokeSessions ResetTwoFactor"
    " EditSecuritySettings CreateApiKey RevokeApiKey"
)
async def admins(admin: Client, walk: Walk) -> None:
    step = partial(walk, admin)
    nothing = {"name": "nothing", "permissions": []}
    role = (await step("POST /v1/admin-roles", nothing))["id"]
    other = (await step("POST /v1/admin-roles", nothing | {"name": "other"}))["id"]
    spare = (await step("POST /v1/admin-roles", nothing | {"name": "spare"}))["id"]
    await step(f"PATCH /v1/admin-roles/{role}", {"description": "May do nothing."})
    eve = {"username": "eve", "email": "eve@example.com", "password": PASSWORD, "roleId": role}
    one = f"/v1/admin-users/{(await step('POST /v1/admin-users', eve))['id']}"
    await step(
        "POST /v1/admin-users", {"username": "bisi", "email": "bisi@example.com", "roleId": role}
    )
    await step(f"PATCH {one}", {"name": "Eve"})
    await step(f"POST {one}/role", {"roleId": other})
    await step(f"POST {one}/suspend", WHY)
    await step(f"POST {one}/reinstate")
    await step(f"POST {one}/deactivate")
    await step(f"POST {one}/activate")
    await step(f"POST {one}/reset-password", {"password": f"{PASSWORD} 2"})
    await step(f"POST {one}/revoke-sessions")
    key = {"name": "key", "permissions": [{"resource": "users", "actions": ["read"]}]}
    made = await step("POST /v1/api-keys", key)
    await step(f"DELETE /v1/api-keys/{made['id']}")
    await step("PATCH /v1/security-settings", {"maxLoginAttempts": 9})
    ada, time = await admin.take_on_superadmin("ada"), Clock(admin)
    of_ada = (await ada.get("/v1/auth/me")).json()["id"]
    await enrolled(ada, time)
    await step(f"POST /v1/admin-users/{of_ada}/reset-2fa")
    await step(f"DELETE /v1/admin-roles/{spare}")


@takes(
    "CreateApprovalRule ChangeApprovalRule RemoveApprovalRule ApproveProposal RejectProposal"
    " WithdrawProposal"
)
async def approvals(admin: Client, walk: Walk) -> None:
    checker, user = await admin.colleague(), await admin.user()
    rule = (await walk(admin, "POST /v1/approval-rules", {"command": "SetCreditLimit"}))["id"]
    limit = f"POST /v1/users/{user['id']}/credit-limit"
    made = [
        (await walk(admin, limit, WHY | {"limit": each}))["proposalId"] for each in (10, 20, 30)
    ]
    done, rejected, withdrawn = (f"POST /v1/proposals/{each}" for each in made)
    await walk(checker, f"{done}/approve")
    await walk(checker, f"{rejected}/reject", WHY)
    await walk(admin, f"{withdrawn}/withdraw")
    for op, body in (
        (f"PATCH /v1/approval-rules/{rule}", {"threshold": 5}),
        (f"DELETE /v1/approval-rules/{rule}", None),
    ):
        waits = await walk(admin, op, body)
        await walk(checker, f"POST /v1/proposals/{waits['proposalId']}/approve")


@takes("StartBackup VerifyBackup DeleteBackup EditBackupSettings")
async def backups(admin: Client, walk: Walk) -> None:
    step = partial(walk, admin)
    await step("PATCH /v1/backup-settings", {"enabled": False})
    one = f"/v1/backups/{(await step('POST /v1/backups', {'type': 'full'}))['id']}"
    await clock(admin)
    await step(f"POST {one}/verify")
    await clock(admin)
    await step(f"DELETE {one}")


def test_every_command_is_walked() -> None:
    declared = [name for _, names in WALKS.values() for name in names]
    assert len(declared) == len(set(declared))
    assert set(declared) == {each.command.__name__ for each in ROUTES if isinstance(each, Route)}


@pytest.mark.parametrize("name", WALKS)
async def test_a_dry_run_writes_nothing_and_tells_what_is_done(
    admin: Client, database: str, name: str
) -> None:
    steps, commands = WALKS[name]

    walk = Walk(admin, database)
    await steps(admin, walk)
    assert walk.walked >= commands

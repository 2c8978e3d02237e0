"""What a loan's figures come from, through HTTP: as they are, and as they were known."""

from typing import Any

from tests.api.conftest import Client
from tests.api.routes.test_journal import lend_and_repay

REASON = "The form is not signed"


async def test_each_figure_of_a_loan_is_explained_by_its_events(admin: Client) -> None:
    made = await lend_and_repay(admin)
    answer = await admin.get(f"/v1/loans/{made['loan']['loanId']}/explain")
    figures = answer.json()["figures"]

    def moves(figure: str) -> list[tuple[str, object]]:
        return [(each["event"], each["to"]) for each in figures[figure]["events"]]

    assert moves("amountDue") == [("LoanRequested", 115)]
    assert moves("amountPaid") == [("LoanRequested", 0), ("LoanRepaid", 115)]
    assert moves("outstandingAmount") == [("LoanRequested", 115), ("LoanRepaid", 0)]
    assert [to for _, to in moves("status")] == [
        "pending",
        "approved",
        "disbursed",
        "repaying",
        "completed",
    ]
    assert [event for event, _ in moves("dueDate")] == ["LoanDisbursed"]
    paid = figures["amountPaid"]["events"][1]
    assert paid["because"]["transactionId"] == made["payment"]["id"]
    assert figures["amountPaid"]["rule"]["version"] == "allocation-v1"
    assert (await admin.get("/v1/loans/LOAN-2026-999999/explain")).status_code == 404


async def rejected_loan(admin: Client) -> dict[str, Any]:
    """A loan that was turned down for REASON by the super-admin; the receipts."""
    user = await admin.user()
    loan = await admin.post("/v1/loans", {"userId": user["id"], "amount": 400, "network": "MTN"})
    path = f"/v1/loans/{loan.json()['id']}"
    rejected = await admin.post(f"{path}/reject", {"reason": REASON})
    assert rejected.status_code == 200, rejected.text
    return {"user": user, "loan": loan.json(), "rejected": rejected.json(), "path": path}


async def last_move(client: Client, path: str) -> dict[str, Any]:
    """What moved the status last."""
    answer = await client.get(f"{path}/explain", headers=await client.caught_up())
    assert answer.status_code == 200, answer.text
    move: dict[str, Any] = answer.json()["figures"]["status"]["events"][-1]
    return move


async def test_what_was_known_then_is_explained_by_position_and_by_time(admin: Client) -> None:
    made = await rejected_loan(admin)
    seen = await admin.caught_up()
    events = (await admin.get(f"{made['path']}/events", headers=seen)).json()["items"]
    first, last = events[0], events[-1]
    for as_of in (str(first["position"]), first["recordedat"].replace("+", "%2B")):
        answer = await admin.get(f"{made['path']}/explain?asOf={as_of}")
        status = answer.json()["figures"]["status"]
        assert status["value"] == "pending", as_of
        assert [each["event"] for each in status["events"]] == ["LoanRequested"]
        then = answer.json()["position"]
        assert first["position"] <= then < last["position"]
        assert answer.headers["ledger-position"] == str(then)
    now = (await admin.get(f"{made['path']}/explain")).json()
    assert now["figures"]["status"]["value"] == "rejected"
    before = await admin.get(f"{made['path']}/explain?asOf=1")
    assert (before.status_code, before.json()["code"]) == (404, "not-found")
    wrong = await admin.get(f"{made['path']}/explain?asOf=yesterday")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid-parameter")


async def test_who_moved_a_figure_is_named(admin: Client) -> None:
    made = await rejected_loan(admin)
    me = (await admin.get("/v1/auth/me")).json()["id"]
    by = (await last_move(admin, made["path"]))["by"]
    assert by == {"type": "admin", "id": me, "name": "admin"}
    wish = {
        "name": "the scoring job",
        "permissions": [{"resource": "loans", "actions": ["write", "read"]}],
    }
    key = (await admin.post("/v1/api-keys", wish)).json()
    body = {"userId": made["user"]["id"], "amount": 300, "network": "MTN"}
    loan = await admin.with_token(key["key"]).post("/v1/loans", body)
    by = (await last_move(admin, f"/v1/loans/{loan.json()['id']}"))["by"]
    assert by["name"] == "admin"
    assert (by["apiKeyId"], by["apiKeyName"]) == (key["id"], "the scoring job")


async def test_reasons_are_shown_to_who_may_see_persons_and_that_is_logged(admin: Client) -> None:
    made = await rejected_loan(admin)
    reading = {"resource": "loans", "actions": ["read"]}
    clerk = await admin.take_on("clerk", reading)
    assert (await last_move(admin, made["path"]))["because"] == {"reason": REASON}
    assert (await last_move(clerk, made["path"]))["because"] == {"reason": "***"}
    log = (await admin.get("/v1/admin-activity-logs?resource=loans&action=Read")).json()["items"]
    assert [(each["adminName"], each["resourceId"]) for each in log] == [
        ("admin", made["loan"]["id"])
    ]
    erased = await admin.post(f"/v1/users/{made['user']['id']}/erase")
    assert erased.status_code == 200, erased.text
    for reader in (admin, clerk):
        assert (await last_move(reader, made["path"]))["because"] == {"reason": None}

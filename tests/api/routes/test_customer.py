"""What borrowers see and may ask for over HTTP: their own, and nothing else."""

import json
from typing import Any

import httpx
import psycopg
import pytest

from tests.api.conftest import Client, serving
from tests.api.pipeline.test_commands import code
from tests.api.routes.borrowers import ME, log_in, logged_in
from tests.api.routes.files import png
from tests.api.routes.test_support import QUESTION, Context

ROW = {"Prefer": "return=representation"}


async def own_id(borrower: Client) -> str:
    return str((await borrower.get(ME)).json()["id"])


async def seen(client: Client, path: str) -> Any:
    """What somebody reads, once the tables are up to date."""
    answer = await client.get(path, headers=await client.caught_up())
    assert answer.status_code == 200, answer.text
    return answer.json()


async def items(client: Client, path: str) -> list[dict[str, Any]]:
    return list((await seen(client, path))["items"])


async def opened(borrower: Client, **more: Any) -> str:
    """A ticket that a borrower opens."""
    wish = QUESTION | {"customerId": await own_id(borrower)} | more
    made = await borrower.post("/v1/tickets", wish)
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def borrowed(admin: Client, user: str, amount: int = 100) -> str:
    """A loan that staff requested for a user."""
    made = await admin.post("/v1/loans", {"userId": user, "amount": amount, "network": "MTN"})
    assert made.status_code == 201, made.text
    return str(made.json()["id"])


async def paid(admin: Client, user: str) -> str:
    """A payment that staff took from a user."""
    wish = {"type": "repayment", "userId": user, "amount": 5, "paymentMethod": "cash"}
    made = await admin.post("/v1/transactions", wish)
    assert made.status_code == 201, made.text
    note = await admin.post(f"/v1/transactions/{made.json()['id']}/notes", {"note": "odd"})
    assert note.status_code == 200, note.text
    return str(made.json()["id"])


async def test_borrowers_read_themselves_in_the_clear(admin: Client) -> None:
    borrower = await logged_in(admin)
    me = await seen(borrower, f"/v1/users/{await own_id(borrower)}")
    words = {"phone": "+2348030000000", "email": "u0@example.com", "name": "Ada"}
    assert {**me, **words, "creditLimit": 100_000.0} == me
    by_number = await seen(borrower, f"/v1/users/{me['userId']}")
    assert by_number == me


async def test_borrowers_see_their_own_and_nothing_that_is_for_staff(admin: Client) -> None:
    ada, bola = await logged_in(admin, 0), await logged_in(admin, 1)
    mine, theirs = await own_id(ada), await own_id(bola)
    loans = [await borrowed(admin, each) for each in (mine, theirs)]
    payments = [await paid(admin, each) for each in (mine, theirs)]
    tickets = [await opened(each) for each in (ada, bola)]
    await admin.post(f"/v1/tickets/{tickets[0]}/tags", {"tag": "vip"})
    hidden = {
        "loans": {
            *("approvedBy", "rejectedBy", "disputed", "disputes", "metadata"),
            *("writtenOffAt", "writtenOffBy", "writtenOffAmount"),
        },
        "transactions": {
            "quarantine",
            "providerClaim",
            "reconciledAt",
            "reconciledBy",
            "notes",
            "metadata",
        },
        "tickets": {
            "assignedTo",
            "department",
            "escalatedTo",
            "escalatedToName",
            "resolvedBy",
            "tags",
            "responseOverdue",
            "resolutionOverdue",
            "breached",
        },
    }
    for name, (own, other) in zip(hidden, (loans, payments, tickets), strict=True):
        whole = await seen(admin, f"/v1/{name}/{own}")
        row = await seen(ada, f"/v1/{name}/{own}")
        assert whole.keys() - row.keys() == hidden[name]
        assert row == {field: whole[field] for field in row}
        assert await items(ada, f"/v1/{name}") == [row]
        assert await items(ada, f"/v1/users/{mine}/{name}") == [row]
        for path in (f"/v1/{name}/{other}", f"/v1/users/{theirs}/{name}"):
            assert code(await ada.get(path)) == (404, "not-found")
        unknown = await ada.get(f"/v1/{name}/{mine}")
        assert (await ada.get(f"/v1/{name}/{other}")).json()["detail"] == (unknown.json()["detail"])
    assert code(await ada.get(f"/v1/users/{theirs}")) == (404, "not-found")
    assert code(await ada.get(f"/v1/users/{theirs}/timeline")) == (404, "not-found")


async def test_a_borrowers_timeline_leaves_out_what_is_for_staff(admin: Client) -> None:
    ada = await logged_in(admin)
    user = await own_id(ada)
    loan = await borrowed(admin, user)
    refused = await admin.post(f"/v1/loans/{loan}/reject", {"reason": "no history"})
    assert refused.status_code == 200, refused.text
    await paid(admin, user)
    ticket = await opened(ada)
    await admin.post(f"/v1/tickets/{ticket}/tags", {"tag": "vip"})
    path = f"/v1/users/{user}/timeline"
    whole, own = await items(admin, path), await items(ada, path)
    assert [each["id"] for each in whole] == [each["id"] for each in own]
    assert "userName" not in own[0]
    named = {each["action"]: each["changes"] for each in own}
    assert named["LoanRejected"]["status"] == {"old": "pending", "new": "rejected"}
    assert named["TicketTagged"] == named["TransactionNoted"] == {}
    assert named["TicketOpened"]["subject"]["new"] == QUESTION["subject"]
    told = json.dumps([each["changes"] for each in whole])
    for word in ("rejectedBy", "metadata", "notes", "tags", "vip", "odd"):
        assert f'"{word}"' in told
        assert f'"{word}"' not in json.dumps(own)


@pytest.mark.parametrize(
    "query",
    [
        "transactions?quarantine=true",
        "tickets?tag=vip",
        "tickets?breached=true",
        "tickets?assignedTo=01900000-0000-7000-8000-000000000001",
        "tickets?department=01900000-0000-7000-8000-000000000001",
    ],
)
async def test_nobody_learns_by_a_filter_what_is_not_shown(admin: Client, query: str) -> None:
    ada = await logged_in(admin)
    assert (await admin.get(f"/v1/{query}")).status_code == 200
    assert (await ada.get(f"/v1/{query}")).status_code == 422


async def test_looking_back_is_for_staff(admin: Client) -> None:
    ada = await logged_in(admin)
    user = await own_id(ada)
    for path in (f"/v1/users/{user}", "/v1/loans", "/v1/tickets"):
        assert (await admin.get(f"{path}?asOf=1")).status_code in (200, 404)
        assert code(await ada.get(f"{path}?asOf=1")) == (422, "unknown-parameter")
    assert code(await ada.get(f"/v1/users/{user}/events")) == (403, "forbidden")


async def test_a_customer_never_sees_the_ticket_of_another(admin: Client) -> None:
    ada, bola = await logged_in(admin, 0), await logged_in(admin, 1)
    ticket = await opened(bola)
    number = (await seen(admin, f"/v1/tickets/{ticket}"))["ticketNumber"]
    file = {"file": ("a.png", png())}
    sent = await bola.post(f"/v1/tickets/{ticket}/attachments", files=file)
    assert sent.status_code == 201, sent.text
    before = await seen(admin, f"/v1/tickets/{ticket}")
    for name, unknown in ((ticket, await own_id(ada)), (number, "TKT-2026-999999")):
        for method, more, body in (
            ("GET", "", None),
            ("GET", "/messages", None),
            ("GET", f"/attachments/{sent.json()['id']}", None),
            ("POST", "/messages", {"message": "me too"}),
            ("POST", "/messages", {"wrong": "shape"}),
            ("POST", "/messages/read", {}),
        ):
            answers = [
                await ada.ask(method, f"/v1/tickets/{each}{more}", body) for each in (name, unknown)
            ]
            assert code(answers[0]) == (404, "not-found"), (method, more)
            told = [each.json()["detail"] for each in answers]
            assert told[0].replace(name, "") == told[1].replace(unknown, "")
        answer = await ada.post(f"/v1/tickets/{name}/attachments", files=file)
        assert code(answer) == (404, "not-found")
    assert await seen(admin, f"/v1/tickets/{ticket}") == before


async def test_a_customer_and_an_agent_talk_in_a_ticket(admin: Client) -> None:
    context = await Context(admin).begin()
    ada = await logged_in(admin, 7)
    ticket = await opened(ada)
    path = f"/v1/tickets/{ticket}"
    sent = await ada.post(f"{path}/attachments", files={"file": ("a.png", png())})
    assert sent.status_code == 201, sent.text
    said = {"message": "It is this.", "attachmentIds": [sent.json()["id"]]}
    assert (await ada.post(f"{path}/messages", said)).status_code == 200
    ann = await context.agent("ann")
    assert (await ann.post(f"{path}/messages", {"message": "Thanks."})).status_code == 200
    assert (await ada.post(f"{path}/messages/read")).status_code == 200
    question, answer = await items(ada, f"{path}/messages?sort=createdAt")
    assert (question["senderType"], question["senderName"]) == ("customer", "Ada")
    assert (question["message"], question["isRead"]) == ("It is this.", False)
    assert (answer["senderType"], answer["isRead"]) == ("agent", True)
    got = await ada.get(question["attachments"][0]["url"])
    assert (got.status_code, got.content) == (200, png())
    by_agent = await items(ann, f"{path}/messages?sort=createdAt")
    assert by_agent[0]["senderId"] == await own_id(ada)
    history = await items(admin, f"{path}/history?sort=timestamp")
    assert history[0]["action"] == "TicketOpened"
    assert history[0]["performedBy"] is None
    assert history[0]["performedByName"].startswith("USR-")
    assert code(await ada.get(f"{path}/history")) == (403, "forbidden")


async def test_a_borrower_requests_a_loan_at_the_configured_terms(admin: Client) -> None:
    ada = await logged_in(admin)
    user = await own_id(ada)
    wish = {"userId": user, "amount": 500, "network": "MTN"}
    made = await ada.post("/v1/loans", wish, headers=ROW)
    assert made.status_code == 201, made.text
    loan = made.json()
    terms = {"interestRate": 15, "repaymentPeriod": 30, "amountDue": 575.0, "status": "pending"}
    assert {**loan, **terms, "userId": user} == loan
    assert "metadata" not in loan
    other = await admin.take_on_superadmin("second")
    assert (await other.post(f"/v1/loans/{loan['id']}/approve")).status_code == 200
    assert code(await ada.post("/v1/loans", wish | {"amount": 200_000})) == (
        409,
        "credit-limit-exceeded",
    )


@pytest.mark.parametrize(
    "more",
    [
        {"interestRate": 0},
        {"repaymentPeriod": 365},
        {"metadata": {"vip": True}},
        {"occurredAt": "now"},
    ],
)
@pytest.mark.unfollowed
async def test_terms_and_times_are_up_to_the_staff(admin: Client, more: dict[str, Any]) -> None:
    ada = await logged_in(admin)
    if "occurredAt" in more:
        more["occurredAt"] = admin.app.state.context.environment.now().isoformat()
    wish = {"userId": await own_id(ada), "amount": 500, "network": "MTN"} | more
    assert code(await ada.post("/v1/loans", wish)) == (403, "forbidden")


@pytest.mark.parametrize("more", [{"priority": "urgent"}, {"tags": ["vip"]}, {"department": None}])
@pytest.mark.unfollowed
async def test_where_a_ticket_belongs_is_up_to_the_staff(
    admin: Client, more: dict[str, Any]
) -> None:
    ada = await logged_in(admin)
    wish = QUESTION | {"customerId": await own_id(ada)} | more
    assert code(await ada.post("/v1/tickets", wish)) == (403, "forbidden")


@pytest.mark.unfollowed
async def test_nobody_asks_in_the_name_of_another_borrower(admin: Client) -> None:
    ada, bola = await logged_in(admin, 0), await logged_in(admin, 1)
    theirs = await own_id(bola)
    number = (await bola.get(ME)).json()["userId"]
    for name in (theirs, number, "USR-2026-999999"):
        loan = {"userId": name, "amount": 500, "network": "MTN"}
        ticket = QUESTION | {"customerId": name}
        for path, wish in (("/v1/loans", loan), ("/v1/tickets", ticket)):
            answer = await ada.post(path, wish)
            assert code(answer) == (404, "not-found")
            assert answer.json()["detail"] == f"There is no user {name}."


@pytest.mark.unfollowed
async def test_bulk_is_not_open_to_borrowers_also_once_they_are_known(admin: Client) -> None:
    ada = await logged_in(admin)
    wish = {"userId": await own_id(ada), "amount": 500, "network": "MTN"}
    lines = json.dumps({"op": "POST /v1/loans", "body": wish})
    kind = {"Content-Type": "application/x-ndjson"}
    for query in ("", "?atomic=true"):
        answer: httpx.Response = await ada.post(f"/v1/bulk{query}", content=lines, headers=kind)
        assert code(answer) == (403, "forbidden")


@pytest.mark.unfollowed
async def test_a_key_is_one_borrowers_own(admin: Client, database: str) -> None:
    ada, bola = await logged_in(admin, 0), await logged_in(admin, 1)
    key = {"Idempotency-Key": "the same"}
    answers = []
    async with serving(database) as other:
        for borrower in (ada, ada.at(other), bola):
            wish = {"userId": await own_id(borrower), "amount": 500, "network": "MTN"}
            answers.append(await borrower.post("/v1/loans", wish, headers=key))
    assert [each.status_code for each in answers] == [201] * 3, answers[-1].text
    assert answers[0].json() == answers[1].json()
    assert answers[1].headers["Idempotency-Replayed"] == "true"
    assert answers[2].json()["id"] != answers[0].json()["id"]
    with psycopg.connect(database) as connection:
        query = "SELECT count(*) FROM ledger.events WHERE name = 'LoanRequested'"
        assert connection.execute(query).fetchone() == (2,)


async def test_whoever_is_set_aside_still_sees_what_is_theirs(admin: Client) -> None:
    user = await admin.user()
    await admin.post(f"/v1/users/{user['id']}/deactivate")
    ada = await log_in(admin)
    assert (await seen(ada, f"/v1/users/{user['id']}"))["status"] == "inactive"
    wish = {"userId": user["id"], "amount": 500, "network": "MTN"}
    assert code(await ada.post("/v1/loans", wish)) == (409, "user-not-active")

"""Telcos that call back over HTTP: as good as an answer, once, and of their own top-ups only."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID

from projections.follow.rebuild import rebuild
from rim_ledger.system.integration import ApiIntegration, IntegrationActivated
from rim_ledger.system.integration_commands import open_breaker
from tests.api.conftest import Client, running, serving
from tests.api.routes.providers import DELIVERED, FAILED, asked, connected, word
from tests.api.routes.test_callbacks import INTEGRATIONS, OTHER, SECRET, Gateway, paid, row
from tests.delivery.http_server import a_provider
from tests.delivery.telco import Mood, MoodyTelco
from tests.sample import STAMP


def pending() -> MoodyTelco:
    """A telco that says nothing definite at once."""
    return MoodyTelco(lambda _: Mood.PENDING)


async def happened(admin: Client) -> Counter[str]:
    """How often each event that is about loans and their top-ups happened."""
    query = (
        "SELECT name, count(*) FROM ledger.event_log"
        " WHERE name ~ '^(LoanDisburs|Transaction)' GROUP BY 1"
    )
    return Counter(dict(await admin.app.state.context.pool.rows(query)))


async def test_a_signed_delivery_disburses_the_loan_in_the_telcos_name(admin: Client) -> None:
    officer = await admin.take_on_superadmin("bisi")
    async with a_provider(pending().answer) as url:
        telco = await connected(admin, url)
        loan, reference = await asked(admin, officer)
        assert (await row(admin, loan))["disbursement"] == "unknown"
        said = word(DELIVERED, reference, amount=100, provider="vtu", telcoReference="T-7")
        answer = await telco.call(said)
        assert answer.status_code == 200, answer.text
        assert answer.json().keys() == {"id", "loanId", "version", "position"}
        assert loan.endswith(answer.json()["id"])
        shown = await row(admin, loan)
        assert (shown["status"], shown["telcoReference"]) == ("disbursed", "T-7")
        again = await telco.call(said)
        assert (again.text, again.headers["idempotency-replayed"]) == (answer.text, "true")
        other = await telco.call(said, key="m-2")
        assert (other.status_code, other.json()["version"]) == (200, answer.json()["version"])
        await admin.app.state.context.dispatch.query(UUID(answer.json()["id"]))
    assert (await happened(admin))["LoanDisbursed"] == 1
    logs = await admin.get("/v1/audit-logs?action=LoanDisbursed")
    assert logs.json()["items"][0]["userName"] == "VTU"


async def test_a_failure_is_tried_again_and_a_delivery_that_comes_after_all_is_in_dispute(
    admin: Client,
) -> None:
    officer = await admin.take_on_superadmin("bisi")
    async with a_provider(pending().answer) as url:
        telco = await connected(admin, url)
        loan, first = await asked(admin, officer)
        assert (await telco.call(word(FAILED, first, reason="no-float"))).status_code == 200
        assert (await row(admin, loan))["disbursement"] == "failed"
        assert (await officer.post(loan + "/disburse")).status_code == 200
        for key in ("m-2", "m-3"):
            late = await telco.call(word(DELIVERED, first), key=key)
            assert late.status_code == 200, late.text
        assert (await row(admin, loan))["disbursement"] == "unknown"
        second = first.removesuffix("1") + "2"
        assert (await telco.call(word(DELIVERED, second), key="m-4")).status_code == 200
    assert (await row(admin, loan))["status"] == "disbursed"
    told = await happened(admin)
    assert (told["LoanDisbursed"], told["LoanDisbursementDisputed"]) == (1, 1)


async def test_airtime_in_dispute_is_listed_until_it_is_owed_or_resolved_and_not_sent_again(
    admin: Client,
) -> None:
    async def in_dispute(admin: Client) -> list[tuple[str, list[str]]]:
        query = "/v1/loans?disputed=true&sort=createdAt"
        listed = await admin.get(query, headers=await admin.caught_up())
        assert listed.status_code == 200, listed.text
        return [(each["id"], each["disputes"]) for each in listed.json()["items"]]

    officer, provider = await admin.take_on_superadmin("bisi"), pending()
    async with a_provider(provider.answer) as url:
        telco = await connected(admin, url)
        late = [await asked(admin, officer, number) for number in (0, 1)]
        for loan, reference in late:
            await telco.call(word(FAILED, reference), key=f"{reference}.1")
            why = {"reason": "The telco declined."}
            assert (await officer.post(loan + "/revoke-approval", why)).status_code == 200
            await telco.call(word(DELIVERED, reference), key=f"{reference}.2")
        both = [(loan[-36:], [reference]) for loan, reference in late]
        assert await in_dispute(admin) == both
        (lent, first), (declined, second) = late
        for step in ("approve", "disburse"):
            assert (await officer.post(f"{lent}/{step}")).status_code == 200
        assert (await row(admin, lent))["status"] == "disbursed"
        assert provider.heard == {first: 1, second: 1}
    why = {"reason": "The borrower does not answer."}
    assert (await officer.post(declined + "/reject", why)).status_code == 200
    assert await in_dispute(admin) == both[1:]
    found = {"reference": second, "outcome": "returned", "reason": "In their statement."}
    found |= {"telcoReference": "BACK-1"}
    alone = await officer.post(declined + "/resolve-dispute", found)
    assert (alone.status_code, alone.json()["code"]) == (403, "separation-of-duties")
    for status in (200, 409):
        answer = await admin.post(declined + "/resolve-dispute", found)
        assert answer.status_code == status, answer.text
    assert answer.json()["code"] == "not-in-dispute"
    assert await in_dispute(admin) == []
    answer = await admin.get("/v1/trial-balance", headers=await admin.caught_up())
    balances = {each["account"]: each["balance"] for each in answer.json()["accounts"]}
    assert (balances["1100.MTN"], balances["1190"]) == (-100, 0)
    journal = await admin.get("/v1/journal?account=1190")
    assert len(journal.json()["items"]) == 4


async def test_another_amount_moves_nothing_and_is_listed_until_staff_looked(
    admin: Client, database: str
) -> None:
    officer = await admin.take_on_superadmin("bisi")
    async with a_provider(pending().answer) as url:
        telco = await connected(admin, url)
        loan, reference = await asked(admin, officer)
        answer = await telco.call(word(DELIVERED, reference, amount=50))
    assert answer.status_code == 200, answer.text
    assert (await row(admin, loan))["disbursement"] == "unknown"
    (item,) = (await admin.get("/v1/transactions?quarantine=true")).json()["items"]
    assert (item["reference"], item["status"]) == (reference, "pending")
    claim = {"type": DELIVERED, "amount": 50.0, "provider": "vtu", "messageId": "m-1"}
    assert item["providerClaim"] == claim
    found = {"outcome": "delivered", "evidence": "Their portal shows 100."}
    settled = await officer.post(loan + "/settle", found)
    assert settled.status_code == 200, settled.text
    looked = await officer.post(f"/v1/transactions/{item['id']}/reconcile")
    assert looked.status_code == 200, looked.text
    left = await admin.get("/v1/transactions?quarantine=true", headers=await admin.caught_up())
    assert left.json()["items"] == []
    checked = await rebuild(database, admin.app.state.context.vault, check=True)
    assert checked.differences == ()


async def test_of_what_was_asked_of_others_or_of_nobody_there_is_nothing_to_tell(
    admin: Client,
) -> None:
    officer = await admin.take_on_superadmin("bisi")
    async with a_provider(pending().answer) as url:
        telco = await connected(admin, url, config={"networks": ["MTN"]})
        other = await connected(admin, url, name="Baxi", config={"networks": ["Glo"]})
        loan, reference = await asked(admin, officer)
        for who, named in ((other, reference), (telco, "DSB-LOAN-2026-999999-1")):
            answer = await who.call(word(DELIVERED, named))
            assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
        assert (await row(admin, loan))["disbursement"] == "unknown"
        assert (await telco.call(word(DELIVERED, reference))).status_code == 200


async def test_who_is_in_error_is_heard_and_who_was_stopped_or_does_not_sign_is_a_stranger(
    admin: Client,
) -> None:
    officer = await admin.take_on_superadmin("bisi")
    async with a_provider(pending().answer) as url:
        telco = await connected(admin, url)
        loan, reference = await asked(admin, officer)
        integration = UUID(telco.path.rsplit("/", 1)[1])
        await admin.app.state.context.ledger.submit(open_breaker(integration, 5), STAMP)
        path = f"{INTEGRATIONS}/{integration}"
        assert (await row(admin, path))["status"] == "error"
        said = word(DELIVERED, reference)
        assert (await telco.call(said, secret=OTHER)).status_code == 401
        assert (await telco.call(said)).status_code == 200
        assert (await row(admin, loan))["status"] == "disbursed"
        await admin.post(path + "/deactivate")
        assert (await telco.call(said, key="m-2")).status_code == 401


WRONG: list[tuple[Any, str, str]] = [
    (
        word("top-up.pending", "R-1"),
        "/type",
        "Input should be 'top-up.delivered' or 'top-up.failed'",
    ),
    (paid(), "/type", "Input should be 'top-up.delivered' or 'top-up.failed'"),
    (
        word("message.delivered", "R-1"),
        "/type",
        "Input should be 'top-up.delivered' or 'top-up.failed'",
    ),
    ({"data": {"reference": "R-1"}}, "/type", "Field required"),
    ({"type": DELIVERED, "data": {}}, "/data/reference", "Field required"),
    (word(DELIVERED, "R-1", amount="100"), "/data/amount", "an amount in naira is a JSON number"),
    (word(DELIVERED, "R 1"), "/data/reference", "String should match pattern"),
    ([], "", "this is a JSON object"),
]


async def test_a_signed_word_that_is_none_for_a_telco_is_told_what_would_be_right(
    admin: Client,
) -> None:
    async with a_provider(pending().answer) as url:
        telco = await connected(admin, url)
        for said, pointer, words in WRONG:
            answer = await telco.call(said if said else b"[]")
            assert (answer.status_code, answer.json()["code"]) == (422, "invalid-fields")
            errors = answer.json()["errors"]
            assert any(each["pointer"] == pointer and words in each["detail"] for each in errors), (
                errors
            )


async def test_who_sends_email_never_calls_back(admin: Client) -> None:
    body = {"name": "Post", "type": "email", "provider": "post", "apiKey": "post"}
    where = {"baseUrl": "smtps://mail.example.com", "config": {"from": "rim@example.com"}}
    made = await admin.post(INTEGRATIONS, body | where | {"apiSecret": SECRET})
    assert made.status_code == 201, made.text
    id_ = UUID(made.json()["id"])

    def activate(uow: Any) -> UUID:
        uow.append(ApiIntegration, id_, [IntegrationActivated()])
        return id_

    await admin.app.state.context.ledger.submit(activate, STAMP)
    answers = [
        await Gateway(admin, str(id_)).call(said)
        for said in (paid(), word(DELIVERED, "R-1"), word("message.delivered", "R-1"), b"{")
    ]
    assert {answer.status_code for answer in answers} == {401}


async def test_words_questions_and_staff_at_once_in_two_processes_come_to_one_outcome(
    database: str,
) -> None:
    """Whatever comes first, each top-up that came is lent once."""
    telco = pending()
    async with running(database) as admin:
        officer = await admin.take_on_superadmin("bisi")
        async with a_provider(telco.answer) as url, serving(database) as process:
            provider = await connected(admin, url)
            there = Gateway(process, provider.path.rsplit("/", 1)[1])
            loans = [await asked(admin, officer, number) for number in range(6)]
            both = [(provider, admin), (there, process)]
            asking: list[Any] = []
            for nth, (loan, reference) in enumerate(loans):
                for turn, (door, side) in enumerate(both * 3):
                    type_ = FAILED if nth % 2 and turn == nth else DELIVERED
                    asking.append(door.call(word(type_, reference), key=f"{reference}.{turn}"))
                    asking.append(side.app.state.context.dispatch.query(UUID(loan[-36:])))
                found = {"outcome": "delivered", "evidence": "Seen in their portal."}
                asking += [officer.at(side).post(loan + "/settle", found) for _, side in both]
            answers = await asyncio.gather(*asking)
            statuses = {getattr(each, "status_code", 200) for each in answers}
            assert statuses <= {200, 409}
            for loan, _ in loans:
                assert (await row(admin, loan))["status"] == "disbursed"
            told = await happened(admin)
            assert told["LoanDisbursed"] == told["TransactionCompleted"] == len(loans)
            assert told["LoanDisbursementDisputed"] == 0
            assert telco.delivered.total() == len(telco.delivered) == len(loans)
            answer = await admin.get("/v1/trial-balance", headers=await admin.caught_up())
            balances = {each["account"]: each["balance"] for each in answer.json()["accounts"]}
            lent = 100 * len(loans)
            assert (balances["1100.MTN"], balances["1200.MTN"]) == (-lent, lent)
            assert "1190" not in balances

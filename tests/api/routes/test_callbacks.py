"""Integrations and their callbacks over HTTP: signed or turned away, once, and no secret shown."""

import asyncio
import json
import logging
from datetime import datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest
from psycopg import sql

from api.app import Api
from api.config.settings import Settings
from projections.follow.rebuild import rebuild
from rim_ledger.delivery.signature import sign
from tests.api.conftest import SECRET as MASTER
from tests.api.conftest import WORLD, Client, running
from tests.api.routes.factors import Clock

SECRET = "whsec_c2VjcmV0LW9mLXRoZS10ZXN0cy0wMDAx"
OTHER = "another-secret-of-the-tests"
KEY = "pk_live_of_the_tests"
PAYSTACK = {
    "name": "Paystack",
    "type": "payment_gateway",
    "provider": "paystack",
    "baseUrl": "https://api.paystack.co",
}
INTEGRATIONS = "/v1/api-integrations"


class Gateway:
    """A payment provider that knows a secret, and calls back."""

    def __init__(self, client: Client, id_: str) -> None:
        self.client, self.path = client, f"/v1/callbacks/{id_}"

    async def call(
        self,
        said: Any = None,
        *,
        key: str = "m-1",
        secret: str = SECRET,
        late: int = 0,
        **headers: str | None,
    ) -> httpx.Response:
        body = said if isinstance(said, bytes) else json.dumps(said or paid()).encode()
        now = self.client.app.state.context.environment.now()
        moment = str(int(now.timestamp()) - late)
        given = {
            "webhook-id": key,
            "webhook-timestamp": moment,
            "webhook-signature": sign(secret, key, moment, body),
            "content-type": "application/json",
        }
        given |= {name.replace("_", "-"): value for name, value in headers.items()}  # type: ignore[dict-item]
        sent = {name: value for name, value in given.items() if value is not None}
        return await self.client.http.post(self.path, content=body, headers=sent)


def paid(**said: Any) -> dict[str, Any]:
    claim = {"reference": "P-1", "amount": 50, "provider": "paystack"} | said
    return {"type": "payment.succeeded", "data": claim}


async def gateway(admin: Client) -> tuple[Gateway, str]:
    """An active integration, and its path for staff."""
    made = await admin.post(INTEGRATIONS, PAYSTACK)
    assert made.status_code == 201, made.text
    path = f"{INTEGRATIONS}/{made.json()['id']}"
    rotated = await admin.post(path + "/credentials", {"apiKey": KEY, "apiSecret": SECRET})
    assert rotated.status_code == 200, rotated.text
    assert (await admin.post(path + "/activate")).status_code == 200
    return Gateway(admin, made.json()["id"]), path


async def payment(admin: Client, reference: str = "P-1", **more: Any) -> str:
    """A repayment of 50 that waits for its money; the path."""
    user = await admin.user(int(reference[2:]))
    body = {
        "type": "repayment",
        "userId": user["id"],
        "amount": 50,
        "paymentMethod": "card",
        "provider": "paystack",
        "reference": reference,
    }
    made = await admin.post("/v1/transactions", body | more)
    assert made.status_code == 201, made.text
    return f"/v1/transactions/{made.json()['id']}"


async def row(admin: Client, path: str) -> dict[str, Any]:
    return dict((await admin.get(path, headers=await admin.caught_up())).json())


async def test_a_signed_callback_completes_the_payment_in_the_integrations_name(
    admin: Client,
) -> None:
    provider, path = await gateway(admin)
    waiting = await payment(admin)
    answer = await provider.call()
    assert answer.status_code == 200, answer.text
    assert waiting.endswith(answer.json()["id"])
    shown = await row(admin, waiting)
    assert (shown["status"], shown["unallocated"]) == ("completed", 50.0)
    logs = await admin.get("/v1/audit-logs?action=TransactionCompleted")
    entry = logs.json()["items"][0]
    assert (entry["actorType"], entry["userName"]) == ("integration", "Paystack")
    assert path.endswith(entry["actorId"])
    assert entry["userId"] is None


async def test_a_callback_that_is_too_early_is_moved_up_and_its_word_is_kept(admin: Client) -> None:
    provider, _ = await gateway(admin)
    ahead = (WORLD.now() + timedelta(minutes=4)).isoformat(timespec="microseconds")
    waiting = await payment(admin, occurredAt=ahead)
    said = paid() | {"timestamp": "2026-01-05T10:00:00+01:00"}
    assert (await provider.call(said)).status_code == 200
    assert (await row(admin, waiting))["status"] == "completed"
    told = (await admin.get("/v1/events?type=TransactionCompleted")).json()["items"][-1]
    assert told["saidat"] == "2026-01-05T09:00:00Z"
    assert datetime.fromisoformat(told["time"]) == datetime.fromisoformat(ahead)


async def test_a_failed_payment_is_failed_and_may_be_captured(admin: Client) -> None:
    provider, _ = await gateway(admin)
    waiting = await payment(admin)
    said = {**paid(fundsCaptured=True), "type": "payment.failed"}
    assert (await provider.call(said)).status_code == 200
    assert (await row(admin, waiting))["status"] == "failed"
    refund = waiting + "/refund", {"reason": "unused"}
    alone = await admin.post(*refund)
    assert (alone.status_code, alone.json()["code"]) == (403, "separation-of-duties")
    assert (await (await admin.colleague()).post(*refund)).status_code == 200


async def test_whoever_does_not_sign_is_turned_away_all_alike(admin: Client) -> None:
    Clock(admin)
    provider, _ = await gateway(admin)
    waiting = await payment(admin)
    idle = (await admin.post(INTEGRATIONS, PAYSTACK | {"apiSecret": SECRET})).json()["id"]
    answers = [
        await provider.call(webhook_signature=None),
        await provider.call(webhook_id=None),
        await provider.call(webhook_timestamp=None),
        await provider.call(webhook_id="m-2"),
        await provider.call(secret=OTHER),
        await provider.call(late=301),
        await provider.call(late=-301),
        await provider.call(b"{", secret=OTHER),
        await provider.call({"type": "nonsense"}, secret=OTHER),
        await provider.call(secret=OTHER, content_type="text/plain"),
        await Gateway(admin, idle).call(),
        await Gateway(admin, waiting.rsplit("/", 1)[1]).call(),
        await Gateway(admin, "paystack").call(),
        await provider.client.http.post(provider.path, json=paid(), headers=admin.headers),
    ]
    told = [
        {**answer.json(), "requestId": "", "instance": "", "status": answer.status_code}
        for answer in answers
    ]
    assert told[0]["status"] == 401
    assert all(each == told[0] for each in told), told
    assert (await row(admin, waiting))["status"] == "pending"


async def test_a_message_acts_once_however_often_it_comes(admin: Client) -> None:
    provider, _ = await gateway(admin)
    waiting = await payment(admin)
    answers = await asyncio.gather(*(provider.call() for _ in range(20)))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.text for answer in answers}) == 1
    replayed = [answer.headers.get("idempotency-replayed") for answer in answers]
    assert replayed.count(None) == 1
    assert (await row(admin, waiting))["unallocated"] == 50.0
    others = await asyncio.gather(*(provider.call(key=f"n-{n}") for n in range(20)))
    assert {answer.status_code for answer in others} == {200}
    logs = await admin.get("/v1/audit-logs?action=TransactionCompleted")
    assert len(logs.json()["items"]) == 1
    reused = await provider.call(paid(amount=51))
    assert (reused.status_code, reused.json()["code"]) == (422, "idempotency-key-reused")


async def test_a_wrong_amount_waits_in_quarantine_until_staff_settle_it(
    admin: Client, database: str
) -> None:
    provider, _ = await gateway(admin)
    waiting, other = await payment(admin), await payment(admin, "P-2")
    answer = await provider.call(paid(amount=49.5))
    assert answer.status_code == 200
    quarantined = "/v1/transactions?quarantine=true"
    found = await admin.get(quarantined, headers=await admin.caught_up())
    (item,) = found.json()["items"]
    assert (item["status"], item["quarantine"]) == ("pending", True)
    claim = {"type": "payment.succeeded", "amount": 49.5, "provider": "paystack"}
    assert item["providerClaim"] == claim | {"messageId": "m-1"}
    checked = await rebuild(database, admin.app.state.context.vault, check=True)
    assert checked.differences == ()
    free = (await admin.get("/v1/transactions?quarantine=false")).json()["items"]
    assert [each["id"] for each in free] == [other.rsplit("/", 1)[1]]
    assert (await (await admin.colleague()).post(waiting + "/complete")).status_code == 200
    after = await admin.get(quarantined, headers=await admin.caught_up())
    assert after.json()["items"] == []


async def test_a_callback_may_come_before_the_payment_is_recorded(admin: Client) -> None:
    provider, _ = await gateway(admin)
    early = await provider.call()
    assert (early.status_code, early.json()["code"]) == (404, "not-found")
    assert early.json()["detail"] == "There is no transaction of that reference."
    waiting = await payment(admin)
    assert (await provider.call()).status_code == 200
    assert (await row(admin, waiting))["status"] == "completed"


async def test_the_former_secret_counts_as_long_as_it_is_said(admin: Client) -> None:
    provider, path = await gateway(admin)
    await payment(admin)
    assert (await provider.call(paid(amount=1))).status_code == 200
    await admin.post(path + "/credentials", {"apiSecret": OTHER})
    again = await provider.call(paid(amount=1))
    assert again.headers["idempotency-replayed"] == "true"
    assert (await row(admin, path))["apiSecret"]["formerValidUntil"]
    assert (await admin.post(path + "/credentials", {"overlapHours": 0})).status_code == 200
    assert (await provider.call()).status_code == 401
    assert (await provider.call(key="m-2")).status_code == 401
    assert (await provider.call(key="m-2", secret=OTHER)).status_code == 200
    await admin.post(path + "/deactivate")
    assert (await provider.call(key="m-3", secret=OTHER)).status_code == 401


UNREADABLE: list[tuple[Any, int, str]] = [
    (b"{", 400, "malformed-json"),
    ({"type": "payment.pending", "data": paid()["data"]}, 422, "invalid-fields"),
    (paid(amount="50"), 422, "invalid-fields"),
    (paid(amount=0), 422, "invalid-fields"),
    ({"type": "payment.succeeded", "data": {"amount": 50}}, 422, "invalid-fields"),
    ({"data": paid()["data"], "timestamp": "2026-01-01T00:00:00Z"}, 422, "invalid-fields"),
    (b" " * 65_537, 413, "body-too-large"),
]


async def test_several_processes_know_the_same_secret_and_act_once_together(
    admin: Client, database: str
) -> None:
    provider, path = await gateway(admin)
    await payment(admin)
    app = Api(Settings(secret_key=MASTER).on(database))
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://rim.test") as http,
    ):
        there = Gateway(Client(http, app), path.rsplit("/", 1)[1])
        assert (await there.call(paid(amount=1))).status_code == 200
        await admin.post(path + "/credentials", {"apiSecret": OTHER, "overlapHours": 0})
        assert (await there.call(key="m-2")).status_code == 401
        for key in ("m-2", "m-3"):
            everywhere = [each.call(key=key, secret=OTHER) for each in (there, provider) * 10]
            answers = await asyncio.gather(*everywhere)
            assert {answer.status_code for answer in answers} == {200}
            assert len({answer.text for answer in answers}) == 1


async def test_a_signed_message_that_cannot_be_read_is_told_what_is_wrong(admin: Client) -> None:
    provider, _ = await gateway(admin)
    for said, status, code in UNREADABLE:
        answer = await provider.call(said)
        assert (answer.status_code, answer.json()["code"]) == (status, code)
    typed = await provider.call(content_type="text/plain")
    assert (typed.status_code, typed.json()["code"]) == (415, "unsupported-media-type")


async def test_fields_that_are_not_ours_are_passed_over(admin: Client) -> None:
    provider, _ = await gateway(admin)
    waiting = await payment(admin)
    more = {"timestamp": "2026-01-01T00:00:00Z", "id": 7, "livemode": True}
    said = paid(currency="NGN", fees={"bank": 1.5}, funds_captured="by card") | more
    first = await provider.call(said)
    assert first.status_code == 200, first.text
    assert (await row(admin, waiting))["status"] == "completed"
    for same in (paid(), paid(amount=50.0, currency=None) | {"attempt": 2}):
        again = await provider.call(same)
        assert again.json() == first.json()
        assert again.headers["idempotency-replayed"] == "true"


async def test_staff_see_of_a_secret_only_that_it_is_set_and_which(admin: Client) -> None:
    _, path = await gateway(admin)
    shown = await row(admin, path)
    assert shown["apiSecret"]["set"] is True
    assert shown["apiSecret"]["last4"] == SECRET[-4:]
    known = {"set", "last4", "fingerprint", "setAt"}
    assert shown["apiSecret"].keys() == known | {"formerValidUntil"}
    found = await admin.get(INTEGRATIONS + "?provider=paystack&type=payment_gateway")
    assert [each["status"] for each in found.json()["items"]] == ["active"]
    move = {"baseUrl": "https://elsewhere.example"}
    answer = await admin.ask("PATCH", path, move)
    assert (answer.status_code, answer.json()["code"]) == (409, "secret-reentry-required")
    again = await admin.ask("PATCH", path, move | {"apiKey": KEY, "apiSecret": OTHER})
    assert again.status_code == 200
    reader = await admin.take_on("reader", {"resource": "integrations", "actions": ["read"]})
    assert (await reader.get(path)).status_code == 200
    assert (await reader.post(path + "/deactivate")).status_code == 403


async def test_no_secret_is_found_in_any_table_answer_or_log(
    database: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    async with running(database) as admin:
        provider, path = await gateway(admin)
        await payment(admin)
        keyed = {"Idempotency-Key": "k-1", "Prefer": "return=representation"}
        answers = [
            await admin.post(path + "/credentials", {"apiSecret": OTHER}, headers=keyed),
            await admin.post(path + "/credentials", {"apiSecret": OTHER}, headers=keyed),
            await admin.post(path + "/credentials", {"apiKey": [OTHER], "apiSecret": SECRET + "%"}),
            await provider.call(secret=OTHER),
            await admin.get(path, headers=await admin.caught_up()),
            await admin.get(INTEGRATIONS),
            await admin.get("/v1/audit-logs"),
        ]
        for secret in (SECRET, SECRET.removeprefix("whsec_"), OTHER, KEY):
            assert not [each.text for each in answers if secret in each.text]
            assert secret not in caplog.text
            assert holding(database, secret) == []
        assert holding(database, "Paystack") != []


def holding(url: str, text: str) -> list[str]:
    """The tables in which some row holds a text."""
    with psycopg.connect(url) as connection:
        tables = connection.execute(
            "SELECT schemaname, tablename FROM pg_tables"
            " WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        found = []
        for schema, table in tables:
            query = sql.SQL("SELECT count(*) FROM {} t WHERE t::text LIKE %s")
            ((rows,),) = connection.execute(
                query.format(sql.Identifier(schema, table)), [f"%{text}%"]
            ).fetchall()
            if rows:
                found.append(f"{schema}.{table}")
        return found

"""Integrations over HTTP: tested by a real call, and never against what is not a provider."""

from decimal import Decimal
from typing import Any, cast

import pytest

from api.config.delivery import providers
from api.config.settings import Settings
from rim_ledger.delivery.egress import Egress
from rim_ledger.delivery.http import TopUp
from rim_ledger.delivery.port import UNKNOWN, Outcome, Verdict
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.values import Network
from tests.api.conftest import Client, running
from tests.delivery.http_server import Request, a_provider, always, answer
from tests.delivery.test_egress import naming
from tests.spec import TestWorld

ALL = "/v1/api-integrations"
SECRET, KEY = "a-secret-of-the-telco", "a-key-of-the-telco"


async def add(admin: Client, url: str, **more: Any) -> str:
    body = {"name": "VTU", "type": "telecom", "provider": "vtu", "baseUrl": url}
    made = await admin.post(ALL, body | {"apiKey": KEY, "apiSecret": SECRET} | more)
    assert made.status_code == 201, made.text
    return f"{ALL}/{made.json()['id']}"


async def row(admin: Client, one: str) -> dict[str, Any]:
    found = await admin.get(one, headers=await admin.caught_up())
    assert found.status_code == 200, found.text
    return dict(found.json())


async def test_a_provider_that_answers_may_act(database: str) -> None:
    heard: list[Request] = []

    async def answering(request: Request) -> bytes:
        heard.append(request)
        return answer(204, b"")

    async with running(database) as admin:
        async with a_provider(answering) as url:
            one = await add(admin, url + "/v2")
            early = await admin.post(one + "/activate")
            assert (early.status_code, early.json()["code"]) == (409, "not-tested")
            tested = await admin.post(one + "/test", headers={"Idempotency-Key": "t"})
            assert tested.status_code == 200, tested.text
            again = await admin.post(one + "/test", headers={"Idempotency-Key": "t"})
            assert again.json() == tested.json()
            assert (await admin.post(one + "/activate")).status_code == 200
        shown = await row(admin, one)
        assert (shown["status"], shown["lastTestResult"]) == ("active", "success")
        assert shown["lastTested"]
        assert set(shown["apiKey"]) == {"set", "last4", "fingerprint", "setAt"}
        assert KEY not in str(shown)
        assert SECRET not in str(shown)
    assert (heard[0].method, heard[0].path) == ("GET", "/v2")
    assert heard[0].headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (answer(500, b"secrets of the provider"), "status-500"),
        (answer(401), "status-401"),
        (answer(302, location="https://93.184.215.14/"), "redirect"),
        (answer(200, b"x" * 70_000), "too-long"),
        (None, "broken"),
    ],
)
async def test_a_provider_that_does_not_is_told_from_one_that_does(
    admin: Client, text: bytes | None, reason: str
) -> None:
    async with a_provider(always(text)) as url:
        one = await add(admin, url)
        tested = await admin.post(one + "/test", headers={"Prefer": "return=representation"})
    assert tested.status_code == 200
    shown = tested.json()
    assert (shown["lastTestResult"], shown["lastTestReason"]) == ("failed", reason)
    assert "secrets of the provider" not in tested.text
    assert (await admin.post(one + "/activate")).json()["code"] == "not-tested"


async def test_while_nothing_may_leave_nobody_is_called(admin: Client) -> None:
    heard: list[Request] = []

    async def answering(request: Request) -> bytes:
        heard.append(request)
        return answer(204, b"")

    async with a_provider(answering) as url:
        one = await add(admin, url)
        assert (await admin.post("/v1/outbound", {"enabled": False})).status_code == 200
        tested = await admin.post(one + "/test")
        assert (tested.status_code, tested.json()["code"]) == (409, "outbound-stopped")
        assert heard == []


@pytest.mark.parametrize(
    "url",
    [
        "https://169.254.169.254/latest/meta-data",
        "https://10.0.0.1",
        "https://[fe80::1]",
        "https://0xa9fea9fe",
        "https://[::ffff:169.254.169.254]",
    ],
)
async def test_an_address_inside_a_network_is_blocked(admin: Client, url: str) -> None:
    one = await add(admin, url)
    tested = await admin.post(one + "/test")
    assert (tested.status_code, tested.json()["code"]) == (422, "blocked-address")
    assert (await row(admin, one))["lastTested"] is None


@pytest.mark.parametrize(
    "to",
    ["http://169.254.169.254/", "https://10.0.0.1/", "//127.0.0.1/", "file:///etc", "https://[::1"],
)
async def test_a_redirect_into_a_network_is_blocked_and_not_followed(
    admin: Client, to: str
) -> None:
    async with a_provider(always(answer(307, location=to))) as url:
        one = await add(admin, url)
        tested = await admin.post(one + "/test")
    assert (tested.status_code, tested.json()["code"]) == (422, "blocked-address")


async def test_a_name_that_is_rebound_between_two_tests_is_blocked(admin: Client) -> None:
    async with a_provider(always(answer(200))) as url:
        one = await add(admin, url.replace("127.0.0.1", "localhost"))
        looks = naming(["127.0.0.1"], ["169.254.169.254"])
        admin.app.state.context.dispatch.providers.egress = Egress(development=True, resolve=looks)
        assert (await admin.post(one + "/test")).status_code == 200
        key = {"Idempotency-Key": "rebound"}
        tested = await admin.post(one + "/test", headers=key)
        assert (tested.status_code, tested.json()["code"]) == (422, "blocked-address")


async def test_only_who_may_change_integrations_has_them_called(database: str) -> None:
    heard: list[Request] = []

    async def answering(request: Request) -> bytes:
        heard.append(request)
        return answer(200)

    async with running(database) as admin, a_provider(answering) as url:
        one = await add(admin, url)
        reader = await admin.take_on("reader", {"resource": "integrations", "actions": ["read"]})
        assert (await reader.post(one + "/test")).status_code == 403
        nobody = await admin.post(f"{ALL}/01900000-0000-7000-8000-000000000001/test")
        assert nobody.status_code == 404
        wrong = await admin.post(one + "/test", {"url": url})
        assert wrong.status_code == 422
    assert heard == []


async def test_integrations_are_found_by_type_status_and_provider_and_archived(
    admin: Client,
) -> None:
    one = await add(admin, "https://vtu.example")
    await add(admin, "https://sms.example", type="sms", provider="termii")
    here = await admin.caught_up()
    for query in ("type=telecom", "provider=vtu", "status=inactive&type=telecom"):
        found = (await admin.get(f"{ALL}?{query}", headers=here)).json()["items"]
        assert [f"{ALL}/{each['id']}" for each in found] == [one]
    changed = await admin.ask("PATCH", one, {"provider": "other"})
    assert changed.json()["code"] == "secret-reentry-required"
    assert (await admin.ask("DELETE", one)).status_code == 200
    assert (await row(admin, one))["archived"] is True
    assert (await admin.post(one + "/test")).json()["code"] == "already-done"


async def test_in_production_nothing_is_simulated_and_nothing_is_sent() -> None:
    settings = Settings(secret_key=b"a secret of the tests, 32 bytes.", env="production")
    none = providers(settings, "postgresql://nowhere", cast("Ledger", None), TestWorld())
    order = TopUp("DSB-LOAN-2026-000001-1", "+2348031234567", Network.MTN, Decimal(100))
    lane, now = none.airtime(None, cast("UnitOfWork", None)), TestWorld().now()
    assert lane.name == "none"
    assert await lane.send(order) == Outcome(Verdict.FAILED, "No telco is connected.")
    assert await lane.query(order.reference, now, now) == UNKNOWN

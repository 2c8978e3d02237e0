"""Messages leave through integrations: over real HTTP and SMTP, and not when they may not."""

import asyncio
import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from projections.measures import TableMeasures
from rim_ledger.delivery.egress import Egress
from rim_ledger.delivery.port import Channel
from tests.api.conftest import Client, running, serving
from tests.api.routes.borrowers import ask_for_code
from tests.api.routes.test_broadcasts import courier, drafted, loop_time, row, rows, sent
from tests.api.routes.test_one_time import invite
from tests.delivery.http_server import Request, a_provider, answer
from tests.delivery.mailbox import PASSWORD, USER, Mailbox, a_mail_server
from tests.delivery.test_egress import naming

ALL = "/v1/api-integrations"
CONFIG = "/v1/system-config/notifications"


class Gateway:
    """A provider of SMS: it takes messages, unless it is away or does not know the number."""

    def __init__(self) -> None:
        self.got: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.at: list[float] = []
        self.away, self.mute, self.unknown = False, False, ""

    async def answer(self, request: Request) -> bytes | None:
        if request.method == "GET":
            self.asked.append(request.path.rpartition("/")[2])
            return answer(503) if self.mute else answer(200, b'{"status": "sent"}')
        if self.away:
            return answer(503)
        message = json.loads(request.body)
        if message["to"] == self.unknown:
            return answer(400)
        self.at.append(loop_time())
        self.got.append(message)
        return answer(202)


async def added(admin: Client, kind: str, url: str, **config: Any) -> str:
    """An integration with a key and a secret; its path."""
    sender = {"sms": "RIM", "email": "ledger@rim.example"}[kind]
    body = {"name": kind, "type": kind, "provider": kind, "baseUrl": url}
    secrets = {"apiKey": USER, "apiSecret": PASSWORD}
    made = await admin.post(ALL, body | secrets | {"config": {"from": sender} | config})
    assert made.status_code == 201, made.text
    return f"{ALL}/{made.json()['id']}"


async def connected(admin: Client, kind: str, url: str, **config: Any) -> str:
    """The same, tested and active."""
    one = await added(admin, kind, url, **config)
    for step in ("/test", "/activate"):
        done = await admin.post(one + step)
        assert done.status_code == 200, done.text
    return one


async def status(admin: Client, one: str) -> str:
    return str((await row(admin, one))["status"])


async def test_codes_tokens_tests_and_broadcasts_take_the_way_that_is_connected(
    database: str,
) -> None:
    box, gateway = Mailbox(), Gateway()
    async with running(database) as admin:
        async with a_mail_server(box) as smtp, a_provider(gateway.answer) as http:
            await connected(admin, "email", smtp)
            await connected(admin, "sms", http)
            await invite(admin)
            await admin.user()
            assert (await ask_for_code(admin, "+2348030000000")).status_code == 202
            await admin.app.state.context.phone_codes.drain()
            template = {"name": "hello", "message": "Hello {{name}}", "variables": ["name"]}
            made = await admin.post("/v1/sms-templates", template)
            assert made.status_code == 201, made.text
            wish = {"to": "+2348030000001", "values": {"name": "Ada"}}
            tried = await admin.post(f"/v1/sms-templates/{made.json()['id']}/test-send", wish)
            assert tried.status_code == 200, tried.text
            path = await drafted(admin, type="both")
            await sent(admin, path)
            await courier(admin).deliver_due()
            assert (await row(admin, path))["sentCount"] == 2
        assert admin.outbox() == []
    own = {"A role was made", "An account was made"}  # What super-admins are alerted to.
    subjects = [each["Subject"] for each in box.got if each["Subject"] not in own]
    assert subjects == ["You are invited to RIM Ledger", "We moved"]
    assert {each["Subject"] for each in box.got} >= own
    assert [each["to"] for each in gateway.got] == [
        "+2348030000000",
        "+2348030000001",
        "+2348030000000",
    ]
    assert {each["from"] for each in gateway.got} == {"RIM"}


async def test_a_mail_server_is_tested_and_none_of_its_secrets_is_shown(database: str) -> None:
    box = Mailbox()
    async with running(database) as admin:
        async with a_mail_server(box) as url:
            one = await added(admin, "email", url)
            shown = await admin.post(one + "/test", headers={"Prefer": "return=representation"})
            assert shown.json()["lastTestResult"] == "success", shown.text
            wrong = await admin.post(one + "/credentials", {"apiSecret": "a-wrong-password"})
            assert wrong.status_code == 200
            failed = await admin.post(
                one + "/test", headers={"Prefer": "return=representation", "Idempotency-Key": "2"}
            )
        told = failed.json()
        assert (told["lastTestResult"], told["lastTestReason"]) == ("failed", "log-in-refused")
        for secret in (USER, PASSWORD, "a-wrong-password"):
            assert secret not in shown.text + failed.text
        assert (await admin.post(one + "/activate")).json()["code"] == "not-tested"
    assert (box.left, box.got) == (1, [])


@pytest.mark.parametrize(
    "url",
    ["smtp://169.254.169.254:25", "smtps://10.0.0.1", "smtp://[fe80::1]", "smtp://0xa9fea9fe"],
)
async def test_a_mail_server_inside_of_a_network_is_blocked(admin: Client, url: str) -> None:
    one = await added(admin, "email", url)
    tested = await admin.post(one + "/test")
    assert (tested.status_code, tested.json()["code"]) == (422, "blocked-address")
    assert (await row(admin, one))["lastTested"] is None


@pytest.mark.unfollowed
async def test_a_mail_server_that_is_rebound_between_two_tests_is_blocked(admin: Client) -> None:
    async with a_mail_server(Mailbox()) as url:
        one = await added(admin, "email", url.replace("127.0.0.1", "localhost"))
        looks = naming(["127.0.0.1"], ["169.254.169.254"])
        admin.app.state.context.dispatch.providers.egress = Egress(development=True, resolve=looks)
        assert (await admin.post(one + "/test")).status_code == 200
        again = await admin.post(one + "/test", headers={"Idempotency-Key": "rebound"})
        assert (again.status_code, again.json()["code"]) == (422, "blocked-address")


@pytest.mark.unfollowed
async def test_what_is_wrong_with_an_integration_is_told_with_its_place(admin: Client) -> None:
    mail = {"name": "M", "type": "email", "provider": "m", "baseUrl": "smtp://mail.example"}
    sms = {"name": "S", "type": "sms", "provider": "s", "baseUrl": "https://sms.example"}
    sender = {"config": {"from": "ledger@rim.example"}}
    for body, code, place in (
        (mail, "invalid-sender", "/config/from"),
        (mail | sender | {"baseUrl": "https://mail.example"}, "wrong-scheme", "/baseUrl"),
        (mail | sender | {"apiKey": "ledger"}, "missing", "/apiSecret"),
        (sms | {"baseUrl": "smtps://sms.example"}, "wrong-scheme", "/baseUrl"),
        (sms | {"config": {"perSecond": 0}}, "invalid-rate", "/config/perSecond"),
    ):
        refused = await admin.post(ALL, body)
        assert (refused.status_code, refused.json()["code"]) == (422, code), refused.text
        assert refused.json()["errors"][0]["pointer"] == place


async def test_a_provider_that_keeps_failing_gets_no_more_until_it_is_well(database: str) -> None:
    gateway = Gateway()
    async with running(database) as admin:
        for number in range(12):
            await admin.user(number)
        await admin.ask("PUT", f"{CONFIG}/smsPerSecond", {"value": 20})
        async with a_provider(gateway.answer) as url:
            one = await connected(admin, "sms", url)
            measures = TableMeasures(admin.app.state.context.url)
            gateway.unknown = "+2348030000000"
            path = await drafted(admin, targetAudience="custom", customUserIds=await ids(admin, 1))
            await sent(admin, path)
            await courier(admin).deliver_due()
            (failed,) = await rows(admin, f"{path}/recipients?status=failed")
            assert await measures.failing(datetime.now(UTC)) == set(), "it was about one number"

            gateway.away = True
            path = await drafted(admin)
            await sent(admin, path)
            await courier(admin).deliver_due()
            assert await status(admin, one) == "error"
            assert await measures.failing(datetime.now(UTC)) == {Channel.SMS}
            stands = await row(admin, path)
            assert (stands["phase"], stands["unknownCount"], stands["sentCount"]) == (
                "sending",
                5,
                0,
            )
            gateway.away = False
            assert await courier(admin).deliver_due() == 0

            retried = await admin.post(f"/v1/notifications/{failed['id']}/retry")
            await courier(admin).deliver_due()
            single = await row(admin, retried.headers["location"])
            assert single["errorMessage"] == "The provider of sms messages is out of use."
            late = await admin.post(f"{await drafted(admin)}/send")
            assert (late.status_code, late.json()["code"]) == (503, "sender-out-of-use")
            code = await ask_for_code(admin, "+2348030000001")
            assert (code.status_code, code.json()["code"]) == (503, "sender-out-of-use")
            assert gateway.got == []

            gateway.unknown = ""
            assert (await admin.post(one + "/test")).status_code == 200
            assert await status(admin, one) == "active"
            await courier(admin).deliver_due()
            done = await row(admin, path)
            assert (done["phase"], done["sentCount"], done["unknownCount"]) == ("sent", 7, 5)
            assert len(gateway.got) == 7


async def ids(admin: Client, count: int) -> list[str]:
    users = await rows(admin, "/v1/users?sort=createdAt")
    return [each["id"] for each in users[:count]]


async def test_numbers_and_mailboxes_that_are_refused_say_nothing_of_the_provider(
    database: str,
) -> None:
    box = Mailbox()
    async with running(database) as admin:
        for number in range(7):
            await admin.user(number, email=f"nobody{number}@rim.example")
        async with a_mail_server(box) as url:
            one = await connected(admin, "email", url)
            path = await drafted(admin, type="email")
            await sent(admin, path)
            await courier(admin).deliver_due()
            assert (await row(admin, path))["failedCount"] == 7
            assert await status(admin, one) == "active"
    assert box.got == []


async def test_what_was_in_hand_is_asked_about_where_it_went(database: str) -> None:
    first, second = Gateway(), Gateway()
    async with running(database) as admin:
        for number in range(3):
            await admin.user(number)
        async with a_provider(first.answer) as one, a_provider(second.answer) as other:
            former = await connected(admin, "sms", one)
            path = await drafted(admin)
            await sent(admin, path)
            await die(admin)
            moved = {"baseUrl": other, "apiKey": USER, "apiSecret": PASSWORD}
            refused = await admin.ask("PATCH", former, moved)
            assert refused.json()["code"] == "messages-under-way"
            assert (await admin.post(former + "/deactivate")).status_code == 200
            await connected(admin, "sms", other)
            second.asked.clear()
            await courier(admin).deliver_due()
            assert (await row(admin, path))["sentCount"] == 3
            assert (await admin.ask("PATCH", former, moved)).status_code == 200
        assert len(set(first.asked[1:])) == 3
        assert (second.asked, second.got, first.got) == ([], [], [])


async def test_who_does_not_answer_is_asked_again_until_nobody_uses_them_any_more(
    database: str,
) -> None:
    gateway = Gateway()
    async with running(database) as admin:
        for number in range(3):
            await admin.user(number)
        async with a_provider(gateway.answer) as url:
            one = await connected(admin, "sms", url)
            path = await drafted(admin)
            await sent(admin, path)
            await die(admin)
            gateway.mute = True
            for _ in range(3):
                assert await courier(admin).deliver_due() == 0
            stands = await row(admin, path)
            assert (stands["phase"], stands["unknownCount"]) == ("sending", 0)
            assert await status(admin, one) == "error", "questions are calls as well"
            assert (await admin.post(one + "/deactivate")).status_code == 200
            await courier(admin).deliver_due()
            assert (await row(admin, path))["unknownCount"] == 3
            assert (await admin.ask("DELETE", one)).status_code == 200
        assert gateway.got == []


async def die(admin: Client) -> None:
    """Begin to hand over what waits, and die with it in hand."""

    async def dying(*_: Any) -> Any:
        raise asyncio.CancelledError

    with pytest.MonkeyPatch.context() as patch, pytest.raises(asyncio.CancelledError):
        patch.setattr("rim_ledger.delivery.port.Lane.send", dying)
        await courier(admin).deliver_due()


@pytest.mark.parametrize("own", [True, False])
async def test_two_processes_keep_to_the_rate_of_one_provider(database: str, own: bool) -> None:
    gateway = Gateway()
    async with running(database) as admin:
        for number in range(8):
            await admin.user(number)
        rate, other = (8, 1000) if own else (1000, 8)
        await admin.ask("PUT", f"{CONFIG}/smsPerSecond", {"value": other})
        config = {"perSecond": rate} if own else {}
        async with serving(database) as process, a_provider(gateway.answer) as url:
            await connected(admin, "sms", url, **config)
            for _ in range(2):
                await sent(admin, await drafted(admin))
            begun = loop_time()
            couriers = [courier(admin), courier(process)]
            await asyncio.gather(*(each.deliver_due() for each in couriers))
        # 16 messages in batches of two: the last may not begin before 14/8 seconds have passed.
        assert len(gateway.at) == 16
        assert max(gateway.at) - begun >= 14 / 8 - 0.05


async def test_one_provider_after_another_does_not_wait_for_the_former(database: str) -> None:
    gateway, next_ = Gateway(), Gateway()
    async with running(database) as admin:
        await admin.user(1)
        async with a_provider(gateway.answer) as url, a_provider(next_.answer) as other:
            first = await connected(admin, "sms", url, perSecond=1)
            await sent(admin, await drafted(admin))
            await courier(admin).deliver_due()
            assert (await admin.post(first + "/deactivate")).status_code == 200
            second = await connected(admin, "sms", other, perSecond=1)
            await sent(admin, await drafted(admin))
            await courier(admin).deliver_due()
        paces = await admin.app.state.context.pool.rows("SELECT provider FROM ledger.paces")
        assert {name for (name,) in paces} == {each.rpartition("/")[2] for each in (first, second)}
        assert Counter(map(len, (gateway.got, next_.got))) == {1: 2}

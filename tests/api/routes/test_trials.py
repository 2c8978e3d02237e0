"""Trying a template under a key: it goes once, and what did not go may be asked for again."""

import asyncio
from typing import Any

import pytest

from tests.api.conftest import Client, running
from tests.api.routes.test_messages_leave import Gateway, connected
from tests.api.routes.test_templates import SMS, TEXTS, kept
from tests.delivery.http_server import Request, a_provider

WISH = {"to": "08031234567", "values": {"name": "Ada"}}


class Hesitant(Gateway):
    """Takes a message only once it is told to go on."""

    def __init__(self) -> None:
        super().__init__()
        self.asked_to, self.go_on = asyncio.Event(), asyncio.Event()

    async def answer(self, request: Request) -> bytes | None:
        if request.method == "POST":
            self.asked_to.set()
            await self.go_on.wait()
        return await super().answer(request)


async def tried(admin: Client, path: str, key: str = "once") -> Any:
    return await admin.post(f"{path}/test-send", WISH, headers={"Idempotency-Key": key})


async def test_what_did_not_go_goes_when_it_is_asked_for_again_under_the_same_key(
    database: str,
) -> None:
    gateway = Gateway()
    async with running(database) as admin:
        async with a_provider(gateway.answer) as url:
            await connected(admin, "sms", url)
            path = await kept(admin, TEXTS, SMS)
            gateway.unknown = "+2348031234567"
            refused = await tried(admin, path)
            assert (refused.status_code, refused.json()["code"]) == (503, "not-sent")
            gateway.unknown = ""
            went = await tried(admin, path)
            assert (went.status_code, went.headers.get("Idempotency-Replayed")) == (200, None)
            again = await tried(admin, path)
            assert (again.status_code, again.headers["Idempotency-Replayed"]) == (200, "true")
            assert again.json() == went.json()
            logged = (await admin.get("/v1/admin-activity-logs?action=TrySms")).json()["items"]
            outcomes = [each["details"]["outcome"] for each in logged]
            assert outcomes == ["done", "failed"]
        assert [each["body"] for each in gateway.got] == ["Ada owes ₦5"]


async def test_two_at_once_under_one_key_send_one(admin: Client) -> None:
    gateway = Hesitant()
    async with a_provider(gateway.answer) as url:
        await connected(admin, "sms", url)
        path = await kept(admin, TEXTS, SMS)
        first = asyncio.create_task(tried(admin, path))
        await gateway.asked_to.wait()
        second = await tried(admin, path)
        assert (second.status_code, second.json()["code"]) == (409, "request-in-progress")
        gateway.go_on.set()
        assert (await first).status_code == 200
    assert len(gateway.got) == 1


async def test_trials_wait_for_room(admin: Client) -> None:
    gateway, context = Hesitant(), admin.app.state.context
    context.trials = asyncio.Semaphore(1)
    async with a_provider(gateway.answer) as url:
        await connected(admin, "sms", url)
        path = await kept(admin, TEXTS, SMS)
        first = asyncio.create_task(tried(admin, path))
        await gateway.asked_to.wait()
        gateway.asked_to.clear()
        second = asyncio.create_task(tried(admin, path, "another"))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(gateway.asked_to.wait(), 0.5)
        gateway.go_on.set()
        assert [(await each).status_code for each in (first, second)] == [200, 200]
    assert len(gateway.got) == 2


async def test_without_a_database_nothing_is_sent_and_it_may_be_asked_for_again(
    admin: Client,
) -> None:
    path, context = await kept(admin, TEXTS, SMS), admin.app.state.context
    url, context.url = context.url, "postgresql://nobody@/nothing?host=/nowhere"
    refused = await tried(admin, path)
    assert (refused.status_code, refused.json()["code"]) == (503, "store-unavailable")
    assert admin.outbox() == []
    context.url = url
    assert (await tried(admin, path)).status_code == 200
    assert len(admin.outbox()) == 1

"""Providers of SMS that call back over HTTP: counts stay exact, and nothing is sent again."""

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest

from projections.follow.rebuild import rebuild
from tests.api.conftest import Client, serving
from tests.api.routes.providers import connected, word
from tests.api.routes.test_broadcasts import Listening, courier, drafted, row, sent
from tests.api.routes.test_callbacks import OTHER, Gateway, paid
from tests.delivery.http_server import Request, a_provider, always, answer

DELIVERED, FAILED = "message.delivered", "message.failed"
TERMII = {"name": "Termii", "type": "sms", "provider": "termii"}


async def termii(admin: Client) -> Gateway:
    async with a_provider(always(answer(200))) as url:
        return await connected(admin, url, **TERMII)


async def told(admin: Client, users: int, through: Gateway) -> tuple[str, list[str]]:
    """A broadcast by SMS that was taken by the provider, and the references of its messages."""
    for number in range(users):
        await admin.user(number)
    path = await drafted(admin, type="sms")
    await admin.get(path, headers=await admin.caught_up())
    await sent(admin, path)
    provider = Listening()
    assert await courier(admin, provider, UUID(through.path[-36:])).deliver_due() >= users
    return path, [reference for _, _, reference in provider.sent]


async def counts(admin: Client, path: str) -> tuple[int, int, int]:
    shown = await row(admin, path)
    found: dict[str, int] = {}
    for status in ("sent", "delivered", "failed"):
        rows = await admin.get(f"{path}/recipients?status={status}&limit=200")
        found[status] = len(rows.json()["items"])
    sent_, failed = shown["sentCount"], shown["failedCount"]
    assert (sent_, failed) == (found["sent"] + found["delivered"], found["failed"])
    return found["sent"], found["delivered"], found["failed"]


async def test_a_message_arrives_or_fails_and_the_broadcast_counts_it(
    admin: Client, database: str
) -> None:
    provider = await termii(admin)
    path, (first, second, _) = await told(admin, 3, provider)
    assert await counts(admin, path) == (3, 0, 0)
    arrived = await provider.call(word(DELIVERED, first))
    assert arrived.status_code == 200, arrived.text
    assert arrived.json().keys() == {"id", "version", "position"}
    assert arrived.json()["id"] == first
    again = await provider.call(word(DELIVERED, first))
    assert (again.text, again.headers["idempotency-replayed"]) == (arrived.text, "true")
    assert (await provider.call(word(FAILED, second), key="m-2")).status_code == 200
    assert await counts(admin, path) == (1, 1, 1)
    shown = await row(admin, f"/v1/notifications/{second}")
    assert (shown["status"], shown["errorMessage"]) == (
        "failed",
        "The provider says that it failed.",
    )
    checked = await rebuild(database, admin.app.state.context.vault, check=True)
    assert checked.differences == ()


async def test_a_word_that_comes_too_late_moves_nothing_and_is_found_by_staff(
    admin: Client,
) -> None:
    provider = await termii(admin)
    path, (first,) = await told(admin, 1, provider)
    for key, type_ in enumerate((DELIVERED, FAILED, FAILED, DELIVERED)):
        late = await provider.call(word(type_, first), key=f"m-{key}")
        assert late.status_code == 200, late.text
    assert await counts(admin, path) == (0, 1, 0)
    found = await admin.get("/v1/notifications?providerClaim=failed")
    assert [each["id"] for each in found.json()["items"]] == [first]


async def test_codes_of_the_log_in_and_what_nobody_knows_are_not_sent_again(admin: Client) -> None:
    handed = list[str]()

    async def take(request: Request) -> bytes:
        handed.append(request.headers.get("idempotency-key", ""))
        return answer(200)

    async with a_provider(take) as url:
        provider = await connected(admin, url, **TERMII)
        user = await admin.user(7)
        code = await admin.http.post("/v1/auth/customer/code", json={"phone": "08030000007"})
        assert code.status_code < 300, code.text
        await admin.app.state.context.phone_codes.drain()
    for reference in (handed[-1], user["id"], "nobody-knows"):
        heard = await provider.call(word(DELIVERED, reference), key=reference)
        assert (heard.status_code, heard.json()) == (200, {"known": False})


@pytest.mark.parametrize(
    "said", [paid(), word("top-up.delivered", "R-1"), word("message.sent", "R-1")]
)
async def test_a_provider_of_sms_speaks_of_messages_only(
    admin: Client, said: dict[str, Any]
) -> None:
    provider = await termii(admin)
    heard = await provider.call(said)
    assert (heard.status_code, heard.json()["code"]) == (422, "invalid-fields")
    words = "Input should be 'message.delivered' or 'message.failed'"
    assert {"pointer": "/type", "code": "literal-error", "detail": words} in (
        heard.json()["errors"]
    )
    assert (await provider.call(said, secret=OTHER)).status_code == 401


async def test_words_of_many_messages_at_once_in_two_processes_are_counted_once(
    admin: Client, database: str
) -> None:
    provider = await termii(admin)
    path, references = await told(admin, 12, provider)
    async with serving(database) as process:
        there = Gateway(process, provider.path.rsplit("/", 1)[1])
        answers = await asyncio.gather(
            *(
                door.call(word(FAILED if nth % 3 == 0 else DELIVERED, each), key=f"{nth}.{key}")
                for nth, each in enumerate(references)
                for key, door in enumerate((provider, there, provider, there))
            )
        )
        assert {each.status_code for each in answers} == {200}
        assert await counts(admin, path) == (0, 8, 4)


async def test_the_three_forms_are_described_by_their_type(admin: Client) -> None:
    document = json.loads((await admin.http.get("/openapi.json")).text)
    post = document["paths"]["/v1/callbacks/{integration}"]["post"]
    named = post["requestBody"]["content"]["application/json"]["schema"]["$ref"]
    schemas = document["components"]["schemas"]
    form = schemas[named.rpartition("/")[2]]
    names = ("PaymentCallback", "TopUpCallback", "MessageCallback")
    assert [each["$ref"].rpartition("/")[2] for each in form["oneOf"]] == [*names]
    assert form["discriminator"]["propertyName"] == "type"
    for name in names:
        for word_ in schemas[name]["properties"]["type"]["enum"]:
            assert form["discriminator"]["mapping"][word_].endswith(name)
    assert post["security"] == []

"""Broadcasts over HTTP and on the real ledger: everybody once, whoever carries, and at a rate."""

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import UUID

import psycopg
import pytest

from projections.audience import find_audience
from projections.follow.rebuild import rebuild
from rim_ledger.delivery.port import UNKNOWN, Message, Outcome, Verdict
from rim_ledger.notifications.delivery_worker import DeliveryWorker
from rim_ledger.vault.personal_keys import Vault
from tests.api.conftest import WORLD, Client
from tests.api.pipeline.test_commands import code
from tests.notifications.desk import Through

DRAFT: dict[str, Any] = {
    "title": "We moved",
    "message": "Find us at 1 Marina.",
    "type": "sms",
    "targetAudience": "all",
    "purpose": "notice",
}
BROADCASTS = "/v1/broadcasts"


def loop_time() -> float:
    return asyncio.get_running_loop().time()


class Listening:
    """A sender that remembers; it may fail, fall silent, or die with a message in hand."""

    def __init__(self, *failing: str, silent: str = "", answer: Verdict = Verdict.UNKNOWN) -> None:
        self.failing, self.silent, self.answer = failing, silent, answer
        self.sent: list[tuple[str, str, str]] = []
        self.asked: list[str] = []
        self.at: list[float] = []

    async def send(self, order: Message) -> Outcome:
        self.at.append(loop_time())
        if order.to in self.failing:
            return Outcome(Verdict.FAILED, "The provider declined.")
        self.sent.append((order.channel, order.to, order.reference))
        return UNKNOWN if order.to == self.silent else Outcome(Verdict.ACCEPTED)

    async def query(self, reference: str) -> Outcome:
        self.asked.append(reference)
        return Outcome(self.answer)


def courier(
    admin: Client, listening: Listening | None = None, sms: UUID | None = None
) -> DeliveryWorker:
    """One who carries to whoever listens, or else to the service's own providers."""
    context = admin.app.state.context
    through = Through(listening, sms) if listening else context.sender.providers
    return DeliveryWorker(
        context.url, context.ledger, through, WORLD, partial(find_audience, context.url)
    )


async def drafted(admin: Client, **more: Any) -> str:
    made = await admin.post(BROADCASTS, DRAFT | more)
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"{BROADCASTS}/{made.json()['id']}"
    return str(made.headers["location"])


async def sent(admin: Client, path: str) -> None:
    answer = await admin.post(f"{path}/send")
    assert answer.status_code == 200, answer.text


async def row(admin: Client, path: str) -> dict[str, Any]:
    answer = await admin.get(path, headers=await admin.caught_up())
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def rows(admin: Client, path: str) -> list[dict[str, Any]]:
    answer = await admin.get(path, headers=await admin.caught_up())
    assert answer.status_code == 200, answer.text
    return list(answer.json()["items"])


async def test_a_broadcast_reaches_everybody_once_and_shows_every_field(admin: Client) -> None:
    users = [(await admin.user(number))["id"] for number in range(5)]
    path = await drafted(admin, type="both")
    await sent(admin, path)
    assert (await row(admin, path))["status"] == "scheduled"
    assert await courier(admin).deliver_due() > 0
    done = await row(admin, path)
    assert (done["status"], done["phase"], done["sentCount"]) == ("sent", "sent", 10)
    assert (done["failedCount"], done["unknownCount"], done["excludedCount"]) == (0, 0, 0)
    assert (done["audienceSize"], done["customUserIds"], done["createdBy"]) == (
        5,
        None,
        (await admin.get("/v1/auth/me")).json()["id"],
    )
    told = Counter((each["channel"], each["to"]) for each in admin.outbox())
    assert len(told) == 10
    assert set(told.values()) == {1}
    recipients = await rows(admin, f"{path}/recipients")
    assert Counter(each["recipient"] for each in recipients) == dict.fromkeys(users, 2)
    references = {each["reference"] for each in admin.outbox()}
    assert references == {each["id"] for each in recipients}
    one = recipients[0]
    assert (one["type"], one["status"], one["recipientType"]) == ("broadcast", "sent", "user")
    assert (one["title"], one["message"]) == (DRAFT["title"], DRAFT["message"])
    assert one["sentAt"]
    assert (one["userId"], one["adminId"]) == (one["recipient"], None)
    query = f"?channel=sms&status=sent&recipient={users[0]}&recipientType=user"
    (found,) = await rows(admin, f"/v1/notifications{query}")
    assert await row(admin, f"/v1/notifications/{found['id']}") == found
    since = f"{one['sentAt']}"
    assert len(await rows(admin, f"/v1/notifications?sentAtFrom={since}")) >= 1
    listed = await rows(admin, f"{BROADCASTS}?status=sent&targetAudience=all")
    assert [each["id"] for each in listed] == [done["id"]]
    assert await courier(admin).deliver_due() == 0


async def test_each_audience_is_who_is_so_at_the_moment(admin: Client) -> None:
    ids = [(await admin.user(number))["id"] for number in range(5)]
    await admin.post(f"/v1/users/{ids[1]}/suspend", {"reason": "fraud"})
    await admin.post(f"/v1/users/{ids[2]}/deactivate")
    await admin.post(f"/v1/users/{ids[3]}/opt-out")
    await admin.post(f"/v1/users/{ids[4]}/erase")
    assert (await row(admin, f"/v1/users/{ids[3]}"))["optedOut"] is True
    for audience, purpose, who in (
        ("all", "notice", {0, 2, 3}),
        ("active_users", "notice", {0, 3}),
        ("inactive_users", "notice", {2}),
        ("active_users", "marketing", {0}),
    ):
        path = await drafted(admin, targetAudience=audience, purpose=purpose)
        await sent(admin, path)
        size = (await row(admin, path))["audienceSize"]
        assert size == len(who), (audience, purpose)
        if purpose == "notice":
            listening = Listening()
            await courier(admin, listening).deliver_due()
            assert {to for _, to, _ in listening.sent} == {f"+234803{n:07}" for n in who}
    nobody = await drafted(admin, targetAudience="overdue_users")
    refused = await admin.post(f"{nobody}/send")
    assert (refused.status_code, refused.json()["code"]) == (409, "empty-audience")


async def test_chosen_users_are_named_by_either_id_and_are_known(admin: Client) -> None:
    one, two = await admin.user(1), await admin.user(2)
    await admin.user(3)
    names = [one["userId"], two["id"], two["userId"]]
    path = await drafted(admin, targetAudience="custom", customUserIds=names)
    assert sorted((await row(admin, path))["customUserIds"]) == sorted([one["id"], two["id"]])
    await sent(admin, path)
    listening = Listening()
    await courier(admin, listening).deliver_due()
    assert len(listening.sent) == 2
    unknown = [one["id"], "01900000-0000-7000-8000-000000000009"]
    wish = DRAFT | {"targetAudience": "custom", "customUserIds": unknown}
    refused = await admin.post(BROADCASTS, wish)
    assert (refused.status_code, refused.json()["code"]) == (422, "unknown-user")
    assert refused.json()["errors"][0]["pointer"] == "/customUserIds/1"
    many = [one["id"]] * 100_001
    refused = await admin.post(BROADCASTS, wish | {"customUserIds": many})
    assert refused.status_code == 422
    taken = await admin.post(BROADCASTS, wish | {"customUserIds": many[:100_000]})
    assert taken.status_code == 201


async def test_a_scheduled_one_goes_out_when_its_time_has_come(admin: Client) -> None:
    await admin.user(1)
    path = await drafted(admin)
    soon = datetime.now(UTC) + timedelta(hours=1)
    asked = await admin.post(f"{path}/schedule", {"scheduledFor": soon.isoformat()})
    assert asked.status_code == 200, asked.text
    late = await admin.post(f"{path}/schedule", {"scheduledFor": "2026-01-01T00:00:00"})
    assert late.status_code == 422, "a time has an offset"
    listening = Listening()
    assert await courier(admin, listening).deliver_due() == 0
    await courier(admin, listening).deliver_due(soon + timedelta(seconds=1))
    assert (await row(admin, path))["status"] == "sent"
    assert len(listening.sent) == 1


async def test_several_carry_one_broadcast_and_nobody_is_told_twice(admin: Client) -> None:
    for number in range(30):
        await admin.user(number)
    path = await drafted(admin)
    await sent(admin, path)
    listening = Listening()
    couriers = [courier(admin, listening) for _ in range(3)]
    await asyncio.gather(*(each.deliver_due() for each in couriers))
    assert sorted(to for _, to, _ in listening.sent) == [f"+234803{n:07}" for n in range(30)]
    assert (await row(admin, path))["sentCount"] == 30


@pytest.mark.parametrize(
    ("answer", "again", "counts"),
    [
        (Verdict.UNKNOWN, 0, (1, 0, 1)),
        (Verdict.ACCEPTED, 0, (2, 0, 0)),
        (Verdict.FAILED, 0, (1, 1, 0)),
        (Verdict.ABSENT, 1, (2, 0, 0)),
    ],
)
async def test_what_a_courier_had_in_hand_when_it_died_is_asked_about(
    admin: Client, answer: Verdict, again: int, counts: tuple[int, int, int]
) -> None:
    for number in range(2):
        await admin.user(number)
    await admin.ask("PUT", "/v1/system-config/notifications/smsPerSecond", {"value": 4})
    path = await drafted(admin)
    await sent(admin, path)

    class Dies(Listening):
        async def send(self, order: Message) -> Outcome:
            await super().send(order)
            raise asyncio.CancelledError

    dies, heir = Dies(), Listening(answer=answer)
    with pytest.raises(asyncio.CancelledError):
        await courier(admin, dies).deliver_due()
    assert len(dies.sent) == 1
    await courier(admin, heir).deliver_due()
    reference = dies.sent[0][2]
    assert heir.asked == [reference]
    assert [each for _, _, each in heir.sent].count(reference) == again
    done = await row(admin, path)
    assert (done["sentCount"], done["failedCount"], done["unknownCount"]) == counts
    (one,) = [each for each in await rows(admin, f"{path}/recipients") if each["id"] == reference]
    assert one["handOver"] == ("unknown" if answer is Verdict.UNKNOWN else "done")


async def test_a_provider_that_falls_silent_leaves_the_outcome_unknown(admin: Client) -> None:
    for number in range(2):
        await admin.user(number)
    path = await drafted(admin)
    await sent(admin, path)
    listening = Listening(silent="+2348030000000")
    await courier(admin, listening).deliver_due()
    await courier(admin, listening).deliver_due()
    done = await row(admin, path)
    assert (done["sentCount"], done["unknownCount"], done["status"]) == (1, 1, "sent")
    assert len(listening.sent) == 2


async def test_a_clone_is_a_draft_of_its_own(admin: Client) -> None:
    path = await drafted(admin, purpose="marketing")
    cloned = await admin.post(f"{path}/clone")
    assert cloned.status_code == 201, cloned.text
    twin = await row(admin, cloned.headers["location"])
    first = await row(admin, path)
    assert twin["id"] != first["id"]
    for name in ("title", "message", "type", "targetAudience", "purpose", "status"):
        assert twin[name] == first[name], name


@pytest.mark.parametrize("path", [f"{BROADCASTS}/{{}}/clone", "/v1/notifications/{}/retry"])
async def test_of_what_is_not_there_nothing_is_repeated(admin: Client, path: str) -> None:
    for id_ in ("no-id", "LOAN-2026-000001", str(UUID(int=7))):
        assert code(await admin.post(path.format(id_))) == (404, "not-found"), id_


async def test_what_failed_is_retried_as_another_and_counted(admin: Client) -> None:
    for number in range(2):
        await admin.user(number)
    path = await drafted(admin)
    await sent(admin, path)
    await courier(admin, Listening("+2348030000000")).deliver_due()
    done = await row(admin, path)
    assert (done["status"], done["sentCount"], done["failedCount"]) == ("sent", 1, 1)
    (failed,) = await rows(admin, f"{path}/recipients?status=failed")
    assert failed["errorMessage"] == "The provider declined."
    retried = await admin.post(f"/v1/notifications/{failed['id']}/retry")
    assert retried.status_code == 201, retried.text
    assert retried.headers["location"] == f"/v1/notifications/{retried.json()['id']}"
    twice = await admin.post(f"/v1/notifications/{failed['id']}/retry")
    assert code(twice) == (409, "already-done")
    listening = Listening()
    assert await courier(admin, listening).deliver_due() == 1
    assert await courier(admin, listening).deliver_due() == 0
    again = await row(admin, retried.headers["location"])
    assert (again["parentId"], again["status"]) == (failed["id"], "sent")
    assert (await row(admin, path))["sentCount"] == 2
    assert len(listening.sent) == 1


async def test_the_rate_is_kept_by_all_couriers_together(admin: Client) -> None:
    for number in range(8):
        await admin.user(number)
    await admin.ask("PUT", "/v1/system-config/notifications/smsPerSecond", {"value": 8})
    for _ in range(2):
        await sent(admin, await drafted(admin))
    listening = Listening()
    couriers, begun = [courier(admin, listening) for _ in range(2)], loop_time()
    await asyncio.gather(*(each.deliver_due() for each in couriers))
    # 16 messages in batches of two: the last may not begin before 14/8 seconds have passed.
    assert len(listening.at) == 16
    assert max(listening.at) - begun >= 14 / 8 - 0.05


async def test_nothing_is_carried_while_nothing_may_leave_the_house(admin: Client) -> None:
    await admin.user(1)
    path, later = await drafted(admin), await drafted(admin)
    await sent(admin, path)
    soon = datetime.now(UTC) + timedelta(hours=1)
    await admin.post(f"{later}/schedule", {"scheduledFor": soon.isoformat()})
    stopped = await admin.post("/v1/outbound", {"enabled": False})
    assert stopped.status_code == 200, stopped.text
    refused = await admin.post(f"{await drafted(admin)}/send")
    assert (refused.status_code, refused.json()["code"]) == (409, "outbound-stopped")
    listening = Listening()
    assert await courier(admin, listening).deliver_due(soon + timedelta(seconds=1)) == 0
    assert (await row(admin, later))["phase"] == "scheduled"
    await admin.post("/v1/outbound", {"enabled": True})
    await courier(admin, listening).deliver_due(soon + timedelta(seconds=1))
    assert len(listening.sent) == 2


async def test_a_rebuild_sends_nothing_and_shows_the_same(admin: Client, database: str) -> None:
    for number in range(3):
        await admin.user(number)
    path = await drafted(admin, type="both")
    await sent(admin, path)
    await courier(admin).deliver_due()
    unsent = await drafted(admin)
    await sent(admin, unsent)
    before = admin.outbox()
    assert len(before) == 6
    ring = admin.app.state.context.vault
    assert isinstance(ring, Vault)
    rebuilt = await rebuild(database, ring, lambda *_: None, check=True)
    assert not rebuilt.differences
    rebuilt = await rebuild(database, ring, lambda *_: None)
    assert rebuilt.swapped
    assert admin.outbox() == before
    with psycopg.connect(database) as connection:
        ((count,),) = connection.execute("SELECT count(*) FROM read.notification_history")
    assert count == 6


async def test_whoever_may_not_send_drafts_only_and_words_to_persons_are_hidden(
    admin: Client,
) -> None:
    user = await admin.user(1)
    path = await drafted(admin)
    writer = await admin.take_on(
        "wole",
        {"resource": "broadcasts", "actions": ["read", "write"]},
        {"resource": "notifications", "actions": ["read"]},
    )
    assert (await writer.post(f"{path}/send")).status_code == 403
    assert (await writer.post(BROADCASTS, DRAFT)).status_code == 201
    nobody = await admin.take_on("nobody", {"resource": "users", "actions": ["read"]})
    chosen = DRAFT | {"targetAudience": "custom", "customUserIds": [user["id"][:-1] + "0"]}
    assert (await nobody.post(BROADCASTS, chosen)).status_code == 403
    await sent(admin, path)
    await courier(admin, Listening()).deliver_due()
    (one,) = await rows(writer, f"{path}/recipients")
    assert (one["title"], one["message"]) == ("***", "***")

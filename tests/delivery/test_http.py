"""What a telco's answers mean, and what is never sent twice, without a network."""

import json
from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import pytest

from rim_ledger.delivery import egress
from rim_ledger.delivery.breaker import Breaker
from rim_ledger.delivery.egress import Answer, Blocked, Egress, NoAnswer, Unreachable
from rim_ledger.delivery.endpoint import Endpoint
from rim_ledger.delivery.http import HttpTelco, TopUp
from rim_ledger.delivery.port import UNKNOWN, Lane, Outcome, Provider, Verdict
from rim_ledger.delivery.worker import Delivery
from rim_ledger.engine.refusals import Refused
from rim_ledger.system.integration import IntegrationType
from rim_ledger.values import Network
from tests.spec import START, TestWorld

REFERENCE = "DSB-LOAN-2026-000001-1"
ORDER = TopUp(REFERENCE, "+2348031234567", Network.MTN, Decimal(100))
ENDPOINT = Endpoint(
    id=UUID(int=7),
    name="VTU",
    type=IntegrationType.TELECOM,
    base_url="https://vtu.example",
    sender="",
    key=None,
    secret=None,
)


class Wire:
    """Answers each call as it is told, and counts them; hears what the circuit breaker hears."""

    def __init__(self, said: Answer | Exception) -> None:
        self.said, self.calls, self.failed = said, list[str](), list[bool]()

    async def call(self, method: str, url: str, headers: Mapping[str, str], body: Any) -> Answer:
        self.calls.append(f"{method} {url}")
        if isinstance(self.said, Exception):
            raise self.said
        return self.said

    async def note(self, integration: UUID, *, failed: bool) -> None:
        self.failed.append(failed)

    @property
    def telco(self) -> HttpTelco:
        return HttpTelco(ENDPOINT, cast("Egress", self), cast("Breaker", self), TestWorld())


def says(status: str, code: int = 200, **more: str) -> Answer:
    return Answer(code, json.dumps({"reference": REFERENCE, "status": status, **more}).encode())


@pytest.fixture(autouse=True)
def _no_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress, "WAITS_SECONDS", (0.0, 0.0))


@pytest.mark.parametrize(
    ("said", "sent", "asked", "failed"),
    [
        (says("delivered"), Verdict.DELIVERED, Verdict.DELIVERED, [False]),
        (says("failed", reason="barred"), Verdict.FAILED, Verdict.FAILED, [False]),
        (says("pending"), Verdict.ACCEPTED, Verdict.ACCEPTED, [False]),
        (says("absent"), Verdict.UNKNOWN, Verdict.ABSENT, [False]),
        (says("delivered", reference="DSB-ANOTHER-1"), Verdict.UNKNOWN, None, [True]),
        (says("failed", 500), Verdict.UNKNOWN, None, [True]),
        (Answer(404, b"<html>failed</html>"), Verdict.UNKNOWN, None, [True]),
        (NoAnswer("timeout"), Verdict.UNKNOWN, None, [True]),
        (Unreachable(), Verdict.FAILED, None, [True] * 3),
        (Blocked(), Verdict.FAILED, None, [True]),
    ],
)
async def test_only_what_certainly_carried_nothing_is_tried_again(
    said: Answer | Exception, sent: Verdict, asked: Verdict | None, failed: list[bool]
) -> None:
    wire = Wire(said)
    assert (await wire.telco.send(ORDER)).verdict is sent
    assert wire.calls == ["POST https://vtu.example/top-ups"] * len(failed)
    answer = await wire.telco.query(REFERENCE)
    assert (answer.verdict if answer else None) is asked
    assert wire.calls[-1] == f"GET https://vtu.example/top-ups/{REFERENCE}"
    assert wire.failed == failed * 2


class Provided:
    """A provider that says one thing, or breaks down."""

    name = "provided"

    def __init__(self, said: Outcome | Exception | None) -> None:
        self.said, self.sent, self.asked = said, 0, 0

    async def send(self, order: Any) -> Any:
        self.sent += 1
        return await self.query("")

    async def query(self, reference: str) -> Any:
        self.asked += 1
        if isinstance(self.said, Exception):
            raise self.said
        return self.said


def lane(said: Outcome | Exception | None, **more: Any) -> Lane:
    return Lane(name="a", provider=cast("Provider", Provided(said)), **more)


async def outcome_of(lane: Lane, *, minutes: float = 0, **more: Any) -> Outcome | None:
    item = Delivery(id=UUID(int=1), reference=REFERENCE, lane=lane, taken_at=START, **more)
    return await item.outcome(START + timedelta(minutes=minutes))


async def test_what_is_withheld_or_whose_lane_is_closed_reaches_no_provider() -> None:
    withheld = Outcome(Verdict.ABSENT, "It is over.")
    open_, closed = lane(UNKNOWN), lane(UNKNOWN, closed=Refused("no-sender", "Out of use."))
    assert await outcome_of(open_, order=ORDER, withheld=withheld) == withheld
    assert await outcome_of(closed, order=ORDER) == Outcome(Verdict.FAILED, "Out of use.")
    for each in (open_, closed):
        assert cast("Provided", each.provider).sent == 0


async def test_what_breaks_down_while_it_is_handed_over_may_have_gone() -> None:
    assert await outcome_of(lane(ZeroDivisionError()), order=ORDER) == UNKNOWN


async def test_what_somebody_had_in_hand_is_asked_about_until_an_answer_can_come_no_more() -> None:
    absent = Outcome(Verdict.ABSENT)
    slow = lane(absent, on_the_way=timedelta(minutes=2))
    assert await outcome_of(slow, minutes=1.9) is None, "it may still be on its way"
    assert await outcome_of(slow, minutes=2) == absent
    assert await outcome_of(lane(None)) is None
    assert await outcome_of(lane(None, given_up=True)) == UNKNOWN, "nobody will ask again"
    assert await outcome_of(Lane(name="none", provider=None)) == UNKNOWN
    assert cast("Provided", slow.provider).sent == 0

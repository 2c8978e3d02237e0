"""Topping up a phone: what a telco is asked and may answer, and a simulated one."""

from decimal import Decimal
from enum import StrEnum
from typing import Final, Protocol

from msgspec import Struct
from psycopg import AsyncConnection

from rim_ledger.postgres.outage import OUTAGE
from rim_ledger.values import Network


class Answer(StrEnum):
    """Unknown is an answer of its own: no reply, a server error, a code nobody explained."""

    DELIVERED = "delivered"
    FAILED = "failed"
    UNKNOWN = "unknown"
    ABSENT = "absent"
    """The telco has never heard of the reference, or not yet: it may still be on its way."""


class TopUp(Struct, frozen=True):
    """Airtime for a phone (E.164), in naira, under a reference that is used once."""

    reference: str
    phone: str
    network: Network
    amount: Decimal


class Reply(Struct, frozen=True):
    """What the telco says of a reference, with its own reference or its reason."""

    answer: Answer
    telco_reference: str | None = None
    reason: str = ""
    callbacks: int = 1


class Telco(Protocol):
    """The port that every telecom integration stands behind."""

    name: str

    async def top_up(self, order: TopUp) -> Reply:
        """Send airtime. Never raises for what the telco did or did not say."""

    async def query(self, reference: str) -> Reply:
        """What became of a reference. Never sends anything; may raise, and is then asked again."""


FAILS: Final = "9001"
SILENT_BUT_DELIVERED: Final = "9002"
SILENT: Final = "9003"
TWICE: Final = "9004"


class SimulatedTelco:
    """Answers by the last four digits of the phone, and keeps a book of its own deliveries:
    one row in `ledger.simulated_top_ups` for each time that airtime would have been sent."""

    name = "simulated"

    def __init__(self, url: str) -> None:
        self._url = url

    async def top_up(self, order: TopUp) -> Reply:
        ending = order.phone[-4:]
        if ending == FAILS:
            return Reply(Answer.FAILED, reason="The telco declined the number.")
        if ending == SILENT:
            return Reply(Answer.UNKNOWN)
        try:
            async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
                await connection.execute(
                    "INSERT INTO ledger.simulated_top_ups (reference, network, amount)"
                    " VALUES (%s, %s, %s)",
                    [order.reference, order.network, order.amount],
                )
        except OUTAGE:
            return Reply(Answer.UNKNOWN)
        if ending == SILENT_BUT_DELIVERED:
            return Reply(Answer.UNKNOWN)
        return self._delivered(order.reference, callbacks=2 if ending == TWICE else 1)

    async def query(self, reference: str) -> Reply:
        async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
            cursor = await connection.execute(
                "SELECT FROM ledger.simulated_top_ups WHERE reference = %s LIMIT 1", [reference]
            )
            if await cursor.fetchone() is None:
                return Reply(Answer.FAILED, reason="The telco never received this top-up.")
        return self._delivered(reference)

    @staticmethod
    def _delivered(reference: str, callbacks: int = 1) -> Reply:
        return Reply(Answer.DELIVERED, f"SIM-{reference}", callbacks=callbacks)

"""Simulated providers: a telco that answers by the phone number, and an outbox file."""

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from psycopg import AsyncConnection

from rim_ledger.delivery.http import TopUp
from rim_ledger.delivery.port import UNKNOWN, Message, Outcome, Verdict
from rim_ledger.engine.environment import Environment
from rim_ledger.postgres.outage import OUTAGE

FAILS: Final = "9001"
DELIVERED_UNANSWERED: Final = "9002"
UNANSWERED: Final = "9003"
TWICE: Final = "9004"


class SimulatedTelco:
    """Answers by the last four digits of the phone, and records its own deliveries: one row in
    `ledger.simulated_top_ups` for each time that airtime would have been sent."""

    name = "simulated"

    def __init__(self, url: str) -> None:
        self._url = url

    async def send(self, order: TopUp) -> Outcome:
        ending = order.phone[-4:]
        if ending == FAILS:
            return Outcome(Verdict.FAILED, "The telco declined the number.")
        if ending == UNANSWERED:
            return UNKNOWN
        try:
            async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
                await connection.execute(
                    "INSERT INTO ledger.simulated_top_ups (reference, network, amount)"
                    " VALUES (%s, %s, %s)",
                    [order.reference, order.network, order.amount],
                )
        except OUTAGE:
            return UNKNOWN
        if ending == DELIVERED_UNANSWERED:
            return UNKNOWN
        return self._delivered(order.reference, times=2 if ending == TWICE else 1)

    async def query(self, reference: str) -> Outcome | None:
        try:
            async with await AsyncConnection.connect(self._url, autocommit=True) as connection:
                cursor = await connection.execute(
                    "SELECT FROM ledger.simulated_top_ups WHERE reference = %s LIMIT 1",
                    [reference],
                )
                found = await cursor.fetchone()
        except OUTAGE:
            return None
        return Outcome(Verdict.ABSENT) if found is None else self._delivered(reference)

    @staticmethod
    def _delivered(reference: str, times: int = 1) -> Outcome:
        return Outcome(Verdict.DELIVERED, reference=f"SIM-{reference}", times=times)


class Outbox:
    """Appends each message to a file, one JSON object per line."""

    name = "outbox"

    def __init__(self, path: Path, environment: Environment) -> None:
        self.path, self._environment = path, environment

    async def send(self, order: Message) -> Outcome:
        line = {
            "at": f"{self._environment.now():%Y-%m-%dT%H:%M:%S.%fZ}",
            "channel": order.channel,
            "to": order.to,
            "subject": order.subject,
            "body": order.body,
            "reference": order.reference,
        }
        try:
            await asyncio.to_thread(self._append, line)
        except OSError:
            return Outcome(Verdict.FAILED, "The message could not be handed over.")
        return Outcome(Verdict.ACCEPTED)

    async def query(self, reference: str) -> Outcome:
        there = await asyncio.to_thread(self._has, reference)
        return Outcome(Verdict.ACCEPTED if there else Verdict.ABSENT)

    def _has(self, reference: str) -> bool:
        own = f'"reference": {json.dumps(reference)}}}'.encode()
        with suppress(FileNotFoundError), self.path.open("rb") as lines:
            return any(line.rstrip().endswith(own) for line in lines)
        return False

    def _append(self, line: dict[str, Any]) -> None:
        """Append with one write, so that processes never mix their lines."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, json.dumps(line).encode() + b"\n")
        finally:
            os.close(file)

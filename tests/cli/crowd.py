"""A crowd of borrowers at the counter: asks for everything until it is answered, and remembers."""

import asyncio
import random
from collections.abc import Iterator
from decimal import Decimal
from itertools import count
from typing import Any, Final
from uuid import UUID

import httpx
from msgspec import Struct

LIMIT: Final = 10_000
PATIENCE: Final = 240.0
"""Seconds until an answer, through every outage that a test makes."""
UNANSWERED: Final = (httpx.NetworkError, httpx.TimeoutException, httpx.RemoteProtocolError)
ENDINGS: Final = ("1234", "5678", "9001", "9002", "9003", "9004")
"""Last digits of phones: two that are topped up, and what the simulated telco knows besides."""
PREFIXES: Final = ("0803", "0806", "0810", "0813", "0814", "0816", "0703", "0706", "0903", "0906")


class Acknowledged(Struct, frozen=True):
    """A command with the answer it got in the end."""

    key: str
    path: str
    body: dict[str, Any]
    status: int
    answer: dict[str, Any]

    @property
    def done(self) -> bool:
        return self.status in (200, 201)


class Crowd:
    """Borrowers who come one after the other at several counters.

    What each wants follows from the seed alone; a command that stays unanswered is sent again
    under the same key.
    """

    def __init__(self, url: str, clerk: dict[str, str], officer: dict[str, str], seed: int) -> None:
        self._url, self._clerk, self._officer, self._seed = url, clerk, officer, seed
        self._numbers: Iterator[int] = count()
        self.acknowledged: list[Acknowledged] = []
        self.repeated = 0
        self.broken: list[str] = []
        """Answers with status 500: there must be none."""
        self.closing = False

    async def come(self, counters: int) -> None:
        """Serve borrowers until closing; whoever stands at a counter is served to the end."""
        async with httpx.AsyncClient(base_url=self._url, timeout=30) as http:
            await asyncio.gather(*(self._serve(http) for _ in range(counters)))

    async def _serve(self, http: httpx.AsyncClient) -> None:
        while not self.closing:
            await self._borrower(http, next(self._numbers))

    async def _borrower(self, http: httpx.AsyncClient, number: int) -> None:
        """Registers, asks for more than the limit allows, and pays back some of what came."""
        chance = random.Random(f"{self._seed}/{number}")
        user = new_id(chance)
        registration = {
            "id": user,
            "phone": f"{PREFIXES[number // 1000]}{number % 1000:03}{chance.choice(ENDINGS)}",
            "email": f"borrower{number}@rim.example",
            "name": f"Borrower {number}",
            "creditLimit": LIMIT,
            "autoLimitEnabled": False,
        }
        await self._ask(http, self._clerk, "/v1/users", registration)
        wishes = [
            {"id": new_id(chance), "userId": user, "amount": kobo(chance, 2_000, 6_000)}
            for _ in range(4)
        ]
        asked = (
            self._ask(http, self._clerk, "/v1/loans", wish | {"network": "MTN"}) for wish in wishes
        )
        for loan in [each for each in await asyncio.gather(*asked) if each.done]:
            path = f"/v1/loans/{loan.answer['id']}"
            await self._ask(http, self._officer, f"{path}/approve", {})
            await self._ask(http, self._officer, f"{path}/disburse", {})
        for _ in range(chance.randint(1, 4)):
            payment = {
                "id": new_id(chance),
                "type": "repayment",
                "userId": user,
                "amount": kobo(chance, 100, 4_000),
                "paymentMethod": "cash",
            }
            await self._ask(http, self._officer, "/v1/transactions", payment)

    async def _ask(
        self, http: httpx.AsyncClient, caller: dict[str, str], path: str, body: dict[str, Any]
    ) -> Acknowledged:
        """Send until there is an answer: a success, or a refusal by rule."""
        key = f"{self._seed}:{path}:{body.get('id', '')}"
        headers = caller | {"Idempotency-Key": key}
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    answer = await http.post(path, json=body, headers=headers)
                except UNANSWERED:
                    await asyncio.sleep(0.1)
                else:
                    if answer.status_code < 500:
                        said = answer.json()
                        if said.get("code") != "request-in-progress":
                            break
                    if answer.status_code == 500:
                        self.broken.append(f"{path}: {answer.text}")
                    await asyncio.sleep(0.2)
                self.repeated += 1
        told = Acknowledged(key, path, body, answer.status_code, said)
        self.acknowledged.append(told)
        return told


def new_id(chance: random.Random) -> str:
    return str(UUID(int=chance.getrandbits(128), version=4))


def kobo(chance: random.Random, least: int, most: int) -> float:
    """An amount in naira, exact to the kobo."""
    return float(Decimal(chance.randint(least * 100, most * 100)) / 100)

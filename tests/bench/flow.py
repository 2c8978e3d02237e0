"""What happens behind the commands: bulk, statements, visibility, following, rebuilding."""

import asyncio
import json
from collections.abc import Callable
from itertools import count
from math import ceil
from time import perf_counter
from typing import Any
from uuid import uuid4

import httpx
import uvloop
from psycopg import AsyncConnection

from api.cli.progress import progress
from tests.cli.service import wait_for
from tests.real_loans import take_on

from .filling import fill
from .load import drive, run
from .rim import RimPeer
from .scenario import Scenario, Script, request
from .service import PASSWORD, PATIENCE, SECRET, TAIL, Service, registration

CONNECTIONS = 64
BULK = 5_000
STATEMENT = 20_000
PACE = 1_000

Figures = dict[str, float]


def measure_flow(url: str, *, seconds: float, followed: int, say: Callable[[str], None]) -> Figures:
    """Every figure, on one database that is filled as it goes."""
    peer = RimPeer()
    try:
        peer.start(url)
        assert peer.service, "it was started"
        service, figures = peer.service, Figures()
        say("commands one by one, and in bulk")
        figures |= _bulk(service, seconds)
        say(f"a statement of {STATEMENT:,} lines")
        figures |= _statement(service)
        say(f"from commit to visible at {PACE:,} commands/s")
        figures |= _visible(peer, service, seconds)
        service.stop("follow")
        say("following live")
        figures |= _followed(service, followed)
        service.stop()
        say("rebuilding, with all tables, audit and comparison")
        return figures | rebuilt(service)
    finally:
        peer.stop()


def _bulk(service: Service, seconds: float) -> Figures:
    numbers = count(100_000)

    def register() -> Scenario:
        while True:
            body = registration(next(numbers)) | {"id": str(uuid4())}
            yield request("POST", "/v1/users", json.dumps(body).encode(), service.headers)

    single = run(
        service.base_url, [Script(register()) for _ in range(CONNECTIONS)], seconds=seconds
    )
    service.settle()
    lines = [
        {"op": "POST /v1/users", "body": registration(next(numbers)) | {"id": str(uuid4())}}
        for _ in range(BULK)
    ]
    begun = perf_counter()
    service.bulk(lines)
    bulk = BULK / (perf_counter() - begun)
    service.settle()
    return {
        "single registrations/s": single.rate,
        "bulk registrations/s": bulk,
        "bulk, × single commands": bulk / single.rate,
    }


def _statement(service: Service) -> Figures:
    """Settle a provider's statement against as many payments that wait for their money."""
    user = str(uuid4())
    service.bulk([{"op": "POST /v1/users", "body": registration(900_000) | {"id": user}}])
    terms = {"type": "repayment", "userId": user, "amount": 100, "provider": "bench"}
    body = terms | {"paymentMethod": "bank_transfer"}
    references = [f"S-{number}" for number in range(STATEMENT)]
    service.bulk(
        {"op": "POST /v1/transactions", "body": body | {"reference": each}} for each in references
    )
    lines = [f"2026-01-05,{each},100.00,bench,\n" for each in references]
    text = "".join(["date,reference,amount,provider,narration\n", *lines])
    with httpx.Client(base_url=service.base_url, timeout=60) as client:
        uploader = take_on(client, service.headers, "uploader", PASSWORD)
    headers = uploader | {"Content-Type": "text/csv"}
    begun = perf_counter()
    path = f"{service.base_url}/v1/statements"
    answer = httpx.post(path, content=text, headers=headers, timeout=600)
    rate = STATEMENT / (perf_counter() - begun)
    assert answer.json()["matched"] == STATEMENT, answer.text
    service.settle()
    return {"statement lines/s": rate}


def _visible(peer: RimPeer, service: Service, seconds: float) -> Figures:
    answered: list[tuple[float, int]] = []

    def noting(scenario: Scenario) -> Scenario:
        asked = next(scenario)
        while True:
            response = yield asked
            answered.append((perf_counter(), json.loads(response.body)["position"]))
            asked = scenario.send(response)

    scripts = [Script(noting(peer.make_scenario(index))) for index in range(CONNECTIONS)]

    async def watched() -> tuple[list[tuple[float, int]], float]:
        shown: list[tuple[float, int]] = []
        async with await AsyncConnection.connect(service.database_url, autocommit=True) as listener:
            await listener.execute("LISTEN read")
            watching = asyncio.create_task(_watch(listener, shown))
            report = await drive(service.base_url, scripts, seconds=seconds, pace=PACE)
            await asyncio.sleep(2)
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        return shown, report.rate

    shown, rate = uvloop.run(watched())
    waits, at = list[float](), 0
    for moment, position in sorted(answered, key=lambda each: each[1]):
        while at < len(shown) and shown[at][1] < position:
            at += 1
        assert at < len(shown), "everything is shown in the end"
        waits.append(max(0.0, shown[at][0] - moment) * 1000)
    waits.sort()
    p50, p99 = (waits[ceil(len(waits) * part) - 1] for part in (0.50, 0.99))
    return {
        "visible at commands/s": rate,
        "commit to visible p50, ms": p50,
        "commit to visible p99, ms": p99,
    }


async def _watch(listener: "AsyncConnection[Any]", shown: list[tuple[float, int]]) -> None:
    async for notice in listener.notifies():
        shown.append((perf_counter(), int(notice.payload)))  # noqa: PERF401 - each at its moment


def _followed(service: Service, events: int) -> Figures:
    shown = "SELECT position FROM read.tracking"
    with progress("events written") as told:
        goal = service.number(TAIL) + events
        asyncio.run(fill(service.database_url, SECRET, goal, 200_000, told))
    begin, end = service.number(shown), service.number(TAIL)
    service.start("follow")
    wait_for(lambda: service.number(shown) > begin, PATIENCE)
    first, begun = service.number(shown), perf_counter()
    wait_for(lambda: service.number(shown) == end, PATIENCE)
    return {"events/s followed live": (end - first) / (perf_counter() - begun)}


def rebuilt(service: Service) -> Figures:
    """Build the tables anew, and compare where there are some."""
    ran = service.run("rebuild")
    events = service.number("SELECT position FROM read.tracking")
    return {
        "events of a rebuild": events,
        "events/s rebuilt": events / ran.seconds,
        "MB of a rebuild": ran.megabytes,
    }

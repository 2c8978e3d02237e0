"""What happens behind the commands: bulk, support, visibility, following, rebuilding, memory."""

import asyncio
import json
from collections.abc import Callable
from itertools import count
from math import ceil
from time import perf_counter, sleep
from typing import Any
from uuid import uuid4

import httpx
import psutil
import psycopg
import uvloop
from psycopg import AsyncConnection

from api.progress import progress

from .desk import measure_desk
from .filling import fill
from .history import measure_history
from .load import drive, run
from .rim import RimPeer
from .scenario import Scenario, Script, request
from .service import SECRET, Service, registration

CONNECTIONS = 64
BULK = 5_000
STATEMENT = 20_000
PACE = 1_000
TAIL = "SELECT coalesce(max(position), 0) FROM ledger.events"
MEGABYTE = 1024 * 1024

Figures = dict[str, float]


def measure(
    url: str, *, seconds: float, followed: int, events: int, say: Callable[[str], None]
) -> Figures:
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
        say("messages and lists of the support desk")
        figures |= measure_desk(service, seconds)
        say(f"from commit to visible at {PACE:,} commands/s")
        figures |= _visible(peer, service, seconds)
        service.stop("follow")
        say("following live")
        figures |= _followed(service, followed)
        service.stop()
        say("rebuilding, with all tables, audit and comparison")
        figures |= {f"rebuild {name}": each for name, each in _rebuilt(service).items()}
        say("many events")
        _fill(url, events, 500_000)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA read CASCADE")  # nothing to compare with
        figures |= {f"large rebuild {name}": each for name, each in _rebuilt(service).items()}
        say("the API on top of them")
        figures |= _api_memory(peer, service, seconds)
        say("sealing, exporting and looking back")
        service.settle()
        figures |= measure_history(service)
        return figures
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
    return {"single registrations/s": single.rate, "bulk registrations/s": bulk}


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
    headers = service.headers | {"Content-Type": "text/csv"}
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
    return {"visible at commands/s": rate, "visible p50 ms": p50, "visible p99 ms": p99}


async def _watch(listener: "AsyncConnection[Any]", shown: list[tuple[float, int]]) -> None:
    async for notice in listener.notifies():
        shown.append((perf_counter(), int(notice.payload)))  # noqa: PERF401 - each at its moment


def _fill(url: str, events: int, first: int) -> None:
    with progress("events written") as told:
        asyncio.run(fill(url, SECRET, events, first, told))


def _followed(service: Service, events: int) -> Figures:
    with psycopg.connect(service.database_url, autocommit=True) as connection:

        def position(query: str) -> int:
            row = connection.execute(query).fetchone()
            assert row, "the tables know how far they are"
            return int(row[0])

        shown = "SELECT position FROM read.tracking"
        goal = position(TAIL) + events
        _fill(service.database_url, goal, 200_000)
        begin, end = position(shown), position(TAIL)
        service.start("follow")
        while (first := position(shown)) == begin:
            sleep(0.01)
        begun = perf_counter()
        with progress("events followed") as told:
            while (now := position(shown)) < end:
                told(now, end)
                sleep(0.05)
        return {"followed events/s": (end - first) / (perf_counter() - begun)}


def _rebuilt(service: Service) -> Figures:
    begun, peak = perf_counter(), 0
    process = service.start("rebuild")
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        peak = max(peak, process.memory_info().rss)
        sleep(0.02)
    took = perf_counter() - begun
    service.stop("rebuild")
    with psycopg.connect(service.database_url) as connection:
        row = connection.execute("SELECT position FROM read.tracking").fetchone()
    assert row, "a rebuild makes the tables"
    return {"events": row[0], "events/s": row[0] / took, "MB": peak / MEGABYTE}


def _api_memory(peer: RimPeer, service: Service, seconds: float) -> Figures:
    service.start("follow")
    process = service.serve()
    fresh = process.memory_info().rss
    scripts = [Script(peer.make_scenario(index)) for index in range(CONNECTIONS)]
    run(service.base_url, scripts, seconds=2 * seconds)
    return {
        "API MB at start": fresh / MEGABYTE,
        "API MB after load": process.memory_info().rss / MEGABYTE,
    }

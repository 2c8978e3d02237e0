"""The log under load, at length (make soak): nobody misses an event, and every one is sealed.

SOAK_EVENTS and SOAK_ROUNDS say how many events are read and how often the sealer is killed.
"""

import json
import os
import random
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from itertools import count

import httpx
import psycopg
import pytest

from rim_ledger.postgres.server import EmbeddedPostgres
from tests.cli.service import Service, a_service, wait_for
from tests.real_loans import log_in

EVENTS = int(os.environ.get("SOAK_EVENTS", "100000"))
ROUNDS = int(os.environ.get("SOAK_ROUNDS", "40"))
SEED = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(10**6))
WRITERS, READERS, LINES = 8, 3, 500
PASSWORD = "a long enough Passw0rd"
SEALING = 120.0

pytestmark = pytest.mark.soak


class Reader:
    """Somebody who reads the whole log, and leaves and comes back at random."""

    def __init__(self, client: httpx.Client, upto: int, dice: random.Random) -> None:
        self._client, self._upto, self._dice = client, upto, dice
        self.seen = [0]

    def live(self) -> list[int]:
        headers = {"Accept": "text/event-stream"}
        while self.seen[-1] < self._upto:
            headers["Last-Event-ID"] = str(self.seen[-1])
            with self._client.stream("GET", "/v1/events", headers=headers) as answer:
                self._read(line[4:] for line in answer.iter_lines() if line.startswith("id: "))
        return self.seen[1:]

    def lines(self) -> list[int]:
        headers = {"Accept": "application/x-ndjson"}
        while self.seen[-1] < self._upto:
            query = {"after": str(self.seen[-1])}
            path = "/v1/events"
            with self._client.stream("GET", path, headers=headers, params=query) as answer:
                self._read(str(json.loads(line)["position"]) for line in answer.iter_lines())
        return self.seen[1:]

    def _read(self, positions: Iterator[str]) -> None:
        leaves_after = self._dice.randrange(1, self._upto)
        for number, position in enumerate(positions):
            self.seen.append(int(position))
            if number == leaves_after or self.seen[-1] == self._upto:
                return


def a_client(url: str) -> httpx.Client:
    client = httpx.Client(base_url=url, timeout=120)
    client.headers.update(log_in(client, "admin", PASSWORD))
    return client


def written(client: httpx.Client, numbers: Iterator[int], lines: int) -> None:
    """Register so many users in one file."""
    users = (next(numbers) for _ in range(lines))
    bodies = ({"phone": f"0803{n:07}", "email": f"u{n}@example.com", "name": "A"} for n in users)
    text = "".join(json.dumps({"op": "POST /v1/users", "body": each}) + "\n" for each in bodies)
    headers = {"Content-Type": "application/x-ndjson"}
    answer = client.post("/v1/bulk", content=text, headers=headers)
    assert answer.text.count('"receipt"') == lines, answer.text[:500]


def number(service: Service, query: str) -> int:
    url = EmbeddedPostgres.running(service.home / "postgres")
    assert url
    with psycopg.connect(url) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row
        return int(row[0])


HEAD = "SELECT max(position) FROM ledger.events"
SEALED = "SELECT coalesce(max(size), 0) FROM ledger.checkpoints"


def test_each_reader_sees_every_event_once_and_in_order_while_all_write() -> None:
    print(f"SOAK_SEED={SEED} SOAK_EVENTS={EVENTS}", flush=True)
    with a_service() as service, ExitStack() as stack:
        process, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD, RIM_WORKERS="2")
        clients = [
            stack.enter_context(closing(a_client(url))) for _ in range(WRITERS + 2 * READERS)
        ]
        files = -(-EVENTS // (WRITERS * LINES))
        upto = number(service, HEAD) + files * WRITERS * LINES

        def write(writer: int) -> None:
            numbers = count(writer * 1_000_000)
            for _ in range(files):
                written(clients[writer], numbers, LINES)

        with ThreadPoolExecutor(WRITERS + 2 * READERS) as crowd:
            dice = random.Random(SEED)
            readers = [
                Reader(each, upto, random.Random(dice.random())) for each in clients[WRITERS:]
            ]
            reading = [crowd.submit(each.live) for each in readers[:READERS]]
            reading += [crowd.submit(each.lines) for each in readers[READERS:]]
            for writing in [crowd.submit(write, writer) for writer in range(WRITERS)]:
                writing.result()
            for each in reading:
                assert each.result() == [*range(1, upto + 1)]
        process.terminate()
        process.wait(20)


def test_the_seals_are_whole_however_often_the_sealer_is_killed() -> None:
    print(f"SOAK_SEED={SEED} SOAK_ROUNDS={ROUNDS}", flush=True)
    dice, numbers, killed = random.Random(SEED), count(1), set[int]()
    with a_service() as service, ExitStack() as stack:
        process, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
        client = stack.enter_context(closing(a_client(url)))
        for _ in range(ROUNDS):
            victim = wait_for(lambda: (found := service.child("seal")).pid not in killed and found)
            killed.add(victim.pid)
            with ThreadPoolExecutor(1) as writer:
                writing = writer.submit(written, client, numbers, 3_000)
                time.sleep(dice.uniform(0, 1))  # Killed at any moment of its work.
                victim.kill()
                writing.result()
        assert len(killed) == ROUNDS
        wait_for(lambda: number(service, SEALED) == number(service, HEAD), SEALING)
        verified = service.run("verify", patience=120)
        assert verified.returncode == 0, verified.stdout
        process.terminate()
        process.wait(20)

"""RIM Ledger in its own processes on a given database, ready to be asked by two admins."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import httpx
import psutil
import psycopg

from tests.cli.service import wait_for
from tests.real_loans import log_in, take_on

from .bodies import user_id
from .servers import ROOT, free_port, wait_until_listening

PASSWORD = "benchmarks wait for nobody"
SECRET = "what the benchmark seals its words under"
# Every loan is approved at once, as the other peers do, and nobody runs out of loans.
LENDING = {"autoApprove": True, "autoApproveMinScore": 0, "maxOpenLoans": 100}
LIMIT = 1_000_000
STOPPING = 20.0  # seconds
PATIENCE = 600.0  # seconds until something that should come to an end is given up
PORTION = 5_000  # users that are registered with one request
MEGABYTE = 1024 * 1024
TAIL = "SELECT coalesce(max(position), 0) FROM ledger.events"


class Ran(NamedTuple):
    """What a command took."""

    seconds: float
    megabytes: float  # at most


class Service:
    """The commands of `rim-ledger` on one database, and the headers that say who asks.

    Bulk registers and imports as one admin; the load, by `headers`, lends as another one.
    """

    def __init__(self, database_url: str) -> None:
        self.database_url, self.base_url = database_url, ""
        self.headers: dict[str, str] = {}
        self._clerk: dict[str, str] = {}
        self._home = tempfile.TemporaryDirectory(prefix="rim-bench-", dir="/tmp")
        self._port = free_port()
        self._processes: list[tuple[str, subprocess.Popen[bytes]]] = []

    def begin(self, users: int) -> None:
        """Make the tables and the users, and start API and follower."""
        self.run("init")
        self.start("follow")
        self.serve()
        with httpx.Client(base_url=self.base_url, headers=self._clerk, timeout=60) as client:
            for key, value in LENDING.items():
                answer = client.put(f"/v1/system-config/lending/{key}", json={"value": value})
                assert answer.is_success, answer.text
        for first in range(0, users, PORTION):
            numbers = range(first, min(first + PORTION, users))
            self.bulk({"op": "POST /v1/users", "body": registration(each)} for each in numbers)
        self.settle()

    @property
    def home(self) -> Path:
        return Path(self._home.name)

    def run(self, words: str) -> Ran:
        """A command that ends by itself, and well."""
        begun, peak = perf_counter(), 0
        process = self.start(words)
        (popen,) = (each for name, each in self._processes if name == words)
        while popen.poll() is None:
            with suppress(psutil.NoSuchProcess, subprocess.TimeoutExpired):
                peak = max(peak, process.memory_info().rss)
                popen.wait(0.02)
        took = perf_counter() - begun
        self.stop(words)
        assert popen.returncode == 0, f"{words} ended with {popen.returncode}"
        return Ran(took, peak / MEGABYTE)

    def start(self, words: str, program: str = "api.cli.main") -> psutil.Process:
        """A command that runs until it is stopped, or done."""
        process = subprocess.Popen(
            [sys.executable, "-P", "-m", program, *words.split()],
            env=os.environ | self._settings,
            cwd=self.home,
            stdout=subprocess.DEVNULL,
        )
        self._processes.append((words, process))
        return psutil.Process(process.pid)

    def serve(self) -> psutil.Process:
        """Start the API and log both admins in; the follower runs by then."""
        process = self.start("serve")
        wait_until_listening(self._processes[-1][1], self._port)
        self.base_url = f"http://127.0.0.1:{self._port}"
        with httpx.Client(base_url=self.base_url, timeout=60) as client:
            self._clerk = log_in(client, "admin", PASSWORD)
            self.headers = take_on(client, self._clerk, "lender", PASSWORD)
        return process

    def bulk(self, lines: Iterable[dict[str, Any]]) -> None:
        """Send commands in one file; each is carried out, or this raises."""
        text = "".join(json.dumps(line) + "\n" for line in lines)
        headers = self._clerk | {"Content-Type": "application/x-ndjson"}
        path = f"{self.base_url}/v1/bulk"
        answer = httpx.post(path, content=text, headers=headers, timeout=600)
        refused = [line for line in answer.text.splitlines() if '"receipt"' not in line]
        assert answer.is_success, answer.text
        assert not refused, refused[0]

    def settle(self) -> None:
        """Wait until the read tables show everything."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            query = f"SELECT position = ({TAIL}) FROM read.tracking"
            wait_for(lambda: connection.execute(query).fetchone() == (True,), PATIENCE)

    def number(self, query: str) -> int:
        """The one number that a query answers."""
        with psycopg.connect(self.database_url) as connection:
            row = connection.execute(query.encode()).fetchone()
            assert row, "an aggregate answers"
            return int(row[0])

    @property
    def pids(self) -> tuple[int, ...]:
        return tuple(process.pid for _, process in self._processes)

    def stop(self, *names: str) -> None:
        """Stop these commands, or all of them."""
        stopping = [each for each in self._processes if not names or each[0] in names]
        self._processes = [each for each in self._processes if each not in stopping]
        for _, process in stopping:
            process.terminate()
        for _, process in stopping:
            try:
                process.wait(STOPPING)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def end(self) -> None:
        self.stop()
        self._home.cleanup()

    @property
    def _settings(self) -> dict[str, str]:
        return {
            "DATABASE_URL": self.database_url,
            "PYTHONPATH": str(ROOT),
            "RIM_ADMIN_PASSWORD": PASSWORD,
            "RIM_HOME": self._home.name,
            "RIM_PORT": str(self._port),
            "RIM_SECRET_KEY": SECRET,
            "RIM_RATE_LIMIT": "1000000000",  # Counted as always, and never refused.
        }


def registration(number: int) -> dict[str, Any]:
    """A user who may borrow as much as the load asks for."""
    return {
        "id": str(user_id(number)),
        "phone": f"0803{number:07}",
        "email": f"user{number}@example.com",
        "name": f"User {number}",
        "creditLimit": LIMIT,
        "autoLimitEnabled": False,
    }

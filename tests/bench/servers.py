"""What can be measured: the Peer protocol, and the peers that are ASGI apps of this package."""

import json
import os
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from time import monotonic, sleep
from typing import Any, Protocol
from uuid import UUID, uuid4

from .bodies import user_id
from .scenario import Scenario, request

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Running:
    base_url: str
    pids: tuple[int, ...]  # their children count too


class Peer(Protocol):
    """A server under measurement; another one joins by having this name and these verbs."""

    @property
    def name(self) -> str: ...

    def start(self, database_url: str) -> Running:
        """Serve from this empty database, fill it with users, and return when ready."""
        ...

    def make_scenario(self, connection_index: int) -> Scenario:
        """What one connection says, for ever; each keeps to users of its own."""
        ...

    def rest(self) -> None:
        """Wait until nothing that was asked for is still being worked on."""
        ...

    def stop(self) -> None:
        """End every process that was started; harmless when there is none."""
        ...


def loan_body(user: UUID) -> dict[str, Any]:
    """A request for a loan."""
    return {
        "userId": str(user),
        "amount": 500.50,
        "network": "MTN",
        "repaymentPeriod": 30,
        "interestRate": 15.36,
    }


def borrow_and_repay(
    users: Sequence[UUID], headers: Mapping[str, str] | None = None, *, keyed: bool = False
) -> Scenario:
    """Opens a loan, repays half, repays the rest, and goes on with the next user.

    `keyed` gives every command an Idempotency-Key of its own.
    """

    def post(path: str, **body: object) -> bytes:
        key = {"Idempotency-Key": str(uuid4())} if keyed else {}
        return request("POST", path, json.dumps(body).encode(), {**(headers or {}), **key})

    for user in cycle(users):
        opened = yield post("/loans", **loan_body(user))
        if opened.status == 201:
            loan = json.loads(opened.body)["id"]
            for half_of_577_38 in (288.69, 288.69):
                yield post(f"/loans/{loan}/repay", amount=half_of_577_38, paymentMethod="cash")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_listening(process: subprocess.Popen[bytes], port: int, seconds: float = 30) -> None:
    patience = monotonic() + seconds
    while process.poll() is None and monotonic() < patience:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        sleep(0.05)
    raise RuntimeError(f"nothing listens on port {port} (exit code {process.poll()})")


@dataclass
class AsgiPeer:
    """One uvicorn process with `tests.bench.<name>:app`."""

    name: str
    users: int = 2000
    connections: int = 64
    environment: Mapping[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    def start(self, database_url: str) -> Running:
        port = free_port()
        options = ["--port", str(port), "--loop", "uvloop", "--http", "httptools"]
        quiet = ["--no-access-log", "--log-level", "warning"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "uvicorn", f"tests.bench.{self.name}:app", *options, *quiet],
            cwd=ROOT,
            env={**os.environ, "DATABASE_URL": database_url, **self.environment},
        )
        wait_until_listening(self.process, port)
        base_url = f"http://127.0.0.1:{port}"
        seed = urllib.request.Request(f"{base_url}/seed/{self.users}", method="POST")
        urllib.request.urlopen(seed, timeout=120).close()
        return Running(base_url, (self.process.pid,))

    def make_scenario(self, connection_index: int) -> Scenario:
        own = range(connection_index, self.users, self.connections)
        return borrow_and_repay([user_id(number) for number in own])

    def rest(self) -> None:
        """What it answers is done."""

    def stop(self) -> None:
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None

"""A statement of a hundred thousand lines against as many payments (make soak).

STATEMENT_LINES says how many they are.
"""

import json
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from tests.cli.service import Service, a_service, is_ready, stop, wait_for
from tests.real_loans import take_on

PASSWORD = "correct horse battery staple"
LINES = int(os.environ.get("STATEMENT_LINES", "100000"))
MEMORY_MAX = 300 * 1024 * 1024
CATCH_UP = 600.0
"""Seconds that the read tables may take for everything that was settled."""
PAYMENTS_OF_ONE = 20

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]


class Clerk:
    """The first super-admin, at a service that was just started."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.process, self.url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
        self.http = httpx.Client(base_url=self.url, timeout=600)
        login = {"username": "admin", "password": PASSWORD}
        token = self.http.post("/v1/auth/login", json=login).json()["token"]
        self.http.headers["authorization"] = f"Bearer {token}"
        self.uploader = take_on(self.http, dict(self.http.headers), "uploader", PASSWORD)

    def expect(self, payments: int) -> None:
        """Record payments that wait for their money, twenty of each borrower."""
        self._send(user(number) for number in range(payments // PAYMENTS_OF_ONE))
        self._send(payment(number) for number in range(payments))

    def _send(self, commands: Iterable[dict[str, Any]]) -> None:
        body = (json.dumps(each).encode() + b"\n" for each in commands)
        headers = {"content-type": "application/x-ndjson"}
        with self.http.stream("POST", "/v1/bulk", content=body, headers=headers) as answer:
            for text in answer.iter_lines():
                assert json.loads(text)["status"] == 201, text

    def upload(self, body: bytes) -> Iterator[dict[str, Any]]:
        """What the service says while it settles a file; the summary last."""
        headers = {"content-type": "text/csv", "accept": "application/x-ndjson"}
        with (
            httpx.Client(base_url=self.url, headers=self.uploader, timeout=600) as http,
            http.stream("POST", "/v1/statements", content=body, headers=headers) as answer,
        ):
            assert answer.status_code in (200, 201)
            yield from map(json.loads, answer.iter_lines())

    def memory(self, child: str) -> int:
        """Bytes that a process of ours has in memory."""
        return int(self.service.child(child).memory_info().rss)

    def shown(self, id: str) -> None:
        """Wait until the read tables have come to the end of a statement."""
        deadline = time.monotonic() + CATCH_UP
        while not self.http.get(f"/v1/statements/{id}").json().get("finishedAt"):
            assert time.monotonic() < deadline, "the tables stay behind"
            time.sleep(0.5)


@pytest.fixture
def clerk() -> Iterator[Clerk]:
    with a_service() as service:
        clerk = Clerk(service)
        with closing(clerk.http):
            yield clerk
        stop(clerk.process)


def id_of(number: int) -> str:
    return f"01900000-0000-7000-8000-{number:012x}"


def user(number: int) -> dict[str, Any]:
    contact = {"phone": f"0803{number:07}", "email": f"u{number}@example.com", "name": "Ada"}
    return {"op": "POST /v1/users", "body": {"id": id_of(number), **contact}}


def payment(number: int) -> dict[str, Any]:
    body = {"type": "repayment", "userId": id_of(number // PAYMENTS_OF_ONE), "amount": 100}
    body |= {"paymentMethod": "bank_transfer", "provider": "paystack", "reference": f"R-{number}"}
    return {"op": "POST /v1/transactions", "body": body}


def statement(lines: int, letter: str = "R") -> bytes:
    rows = (f"2026-01-05,{letter}-{each},100.00,paystack,thanks\n" for each in range(lines))
    return "".join(["date,reference,amount,provider,narration\n", *rows]).encode()


def test_a_hundred_thousand_lines_are_settled_in_bounded_memory(clerk: Clerk) -> None:
    clerk.expect(LINES)
    for letter, outcome in (("R", "matched"), ("X", "unknown")):
        begun, most, last = time.monotonic(), 0, dict[str, Any]()
        for number, last in enumerate(clerk.upload(statement(LINES, letter))):  # noqa: B007
            if number % 20 == 0:
                most = max(most, clerk.memory("serve"))
        rate = LINES / (time.monotonic() - begun)
        assert (last["lines"], last[outcome]) == (LINES, LINES)
        settled = time.monotonic()
        clerk.shown(last["id"])
        print(
            f"{outcome}: {rate:.0f} lines/s, API {most >> 20} MiB,"
            f" follower {clerk.memory('follow') >> 20} MiB,"
            f" shown {time.monotonic() - settled:.1f} s later"
        )
        assert most < MEMORY_MAX
    begun = time.monotonic()
    (again,) = clerk.upload(statement(LINES, "X"))
    assert again == last
    print(f"again: {time.monotonic() - begun:.2f} s")


def test_an_import_whose_process_is_killed_goes_on_with_the_same_file(clerk: Clerk) -> None:
    lines = min(LINES, 10_000)
    clerk.expect(lines)
    said = clerk.upload(statement(lines))
    settled = [next(said)["progress"]["lines"] for _ in range(10)][-1]
    clerk.service.child("serve").kill()
    with pytest.raises(httpx.TransportError):
        list(said)
    wait_for(lambda: is_ready(clerk.url))
    first, *_, last = clerk.upload(statement(lines))
    assert first["progress"]["lines"] > settled
    assert (last["lines"], last["matched"]) == (lines, lines)

"""A statement of a hundred thousand lines against as many payments, in real processes."""

import json
import os
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.process.service import Service, stop

PASSWORD = "correct horse battery staple"
LINES = int(os.environ.get("STATEMENT_LINES", "100000"))
USERS = LINES // 20
MEMORY_MAX = 300 * 1024 * 1024


def commands(token: str, http: httpx.Client, lines: Iterator[dict[str, object]]) -> None:
    """Send commands in bulk; every one must be carried out."""
    body = (json.dumps(each).encode() + b"\n" for each in lines)
    headers = {"Authorization": f"Bearer {token}", "content-type": "application/x-ndjson"}
    with http.stream("POST", "/v1/bulk", content=body, headers=headers) as answer:
        for text in answer.iter_lines():
            assert json.loads(text)["status"] == 201, text


def user(number: int) -> dict[str, object]:
    phone = f"0803{number:07}"
    contact = {"phone": phone, "email": f"u{number}@example.com", "name": "Ada"}
    return {"op": "POST /v1/users", "body": {"id": id_of(number), **contact}}


def id_of(number: int) -> str:
    return f"01900000-0000-7000-8000-{number:012x}"


def payment(number: int) -> dict[str, object]:
    body = {"type": "repayment", "userId": id_of(number % USERS), "amount": 100}
    body |= {"paymentMethod": "bank_transfer", "provider": "paystack", "reference": f"R-{number}"}
    return {"op": "POST /v1/transactions", "body": body}


def memory(service: Service) -> dict[str, int]:
    """Resident bytes of each of our processes that can be had."""
    found = {}
    for name in ("serve", "follow"):
        with_children = [service.child(name), *service.child(name).children(recursive=True)]
        found[name] = max(each.memory_info().rss for each in with_children)
    return found


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_lines_are_settled_in_bounded_memory(service: Service) -> None:
    process, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
    with httpx.Client(base_url=url, timeout=600) as http:
        login = {"username": "admin", "password": PASSWORD}
        token = http.post("/v1/auth/login", json=login).json()["token"]
        begun = time.monotonic()
        commands(token, http, map(user, range(USERS)))
        commands(token, http, map(payment, range(LINES)))
        print(f"prepared in {time.monotonic() - begun:.0f} s; {memory(service)}")
        head = b"date,reference,amount,provider,narration\n"
        rows = (b"2026-01-05,R-%d,100.00,paystack,thanks\n" % each for each in range(LINES))
        headers = {"Authorization": f"Bearer {token}", "content-type": "text/csv"}
        headers["accept"] = "application/x-ndjson"
        begun, most, last = time.monotonic(), dict[str, int](), {}
        body = b"".join([head, *rows])
        with http.stream("POST", "/v1/statements", content=body, headers=headers) as answer:
            assert answer.status_code == 201
            for number, text in enumerate(answer.iter_lines()):
                last = json.loads(text)
                if number % 20 == 0:
                    now = memory(service)
                    most = {name: max(now[name], most.get(name, 0)) for name in now}
        seconds = time.monotonic() - begun

        print(f"{LINES / seconds:.0f} lines/s; at most {most}; {last}")
        assert (last["lines"], last["matched"]) == (LINES, LINES)
        assert most["serve"] < MEMORY_MAX
        begun = time.monotonic()
        again = http.post(
            "/v1/statements", content=body, headers={**headers, "accept": "application/json"}
        )
        print(f"again in {time.monotonic() - begun:.2f} s")
        assert (again.status_code, again.json()) == (200, last)
        print(memory(service))
    stop(process)

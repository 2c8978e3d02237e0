"""How many people a second a broadcast reaches.

Two processes carry it; the messages cost nothing, and no rate holds them back.
"""

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import httpx
import psutil

from tests.cli.service import wait_for

from .service import MEGABYTE, PATIENCE, Service

USERS = 20_000
RATE = 10_000
CARRIERS = 2
DRAFT = {
    "title": "We moved",
    "message": "Find us at 1 Marina.",
    "type": "sms",
    "targetAudience": "all",
    "purpose": "notice",
}

Figures = dict[str, float]


def measure_broadcast(url: str, users: int = USERS) -> Figures:
    """Recipients a second from the wish to send until the rows show the last of them."""
    service = Service(url)
    try:
        service.begin(users)
        with httpx.Client(base_url=service.base_url, headers=service.headers, timeout=60) as http:
            carriers = [service.start("clock", "tests.bench.carrier") for _ in range(CARRIERS)]
            path = _drafted(http)
            begun = perf_counter()
            assert http.post(f"{path}/send").is_success
            row = wait_for(lambda: _over(http, path, carriers), PATIENCE)
            took = perf_counter() - begun
            assert row["sentCount"] == users, row
            most = max(each.memory_info().rss for each in carriers)
    finally:
        service.end()
    return {"recipients/s": users / took, "MB of a carrier": most / MEGABYTE}


def _drafted(http: httpx.Client) -> str:
    rate = http.put("/v1/system-config/notifications/smsPerSecond", json={"value": RATE})
    assert rate.is_success, rate.text
    return http.post("/v1/broadcasts", json=DRAFT).headers["location"]


def _over(
    http: httpx.Client, path: str, carriers: Sequence[psutil.Process]
) -> dict[str, Any] | None:
    assert all(each.status() != psutil.STATUS_ZOMBIE for each in carriers), "one has ended"
    row: dict[str, Any] = http.get(path).json()
    return row if row["phase"] not in ("draft", "sending") else None

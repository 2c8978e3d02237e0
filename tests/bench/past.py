"""How long looking back takes: objects and lists as of then, beside the same of today."""

from collections.abc import Sequence
from math import ceil
from statistics import median
from time import perf_counter

import httpx

from .page import shown, table
from .service import PATIENCE, Service

KINDS = ("users", "loans", "transactions", "tickets")
ONES, LISTS = 100, 20
PARTS = {"0.9": 0.9, "0.5": 0.5, "0.1": 0.1}
"""How far into the log it is looked, from its beginning."""


def looked_back(service: Service) -> list[str]:
    """A table: medians of today and of three moments, and the slowest but one in a hundred."""
    rows = []
    with httpx.Client(
        base_url=service.base_url, headers=service.headers, timeout=PATIENCE
    ) as client:
        for kind in KINDS:
            page = client.get(f"/v1/{kind}?sort=createdAt&limit={ONES}")
            assert page.is_success, page.text
            end = int(page.headers["ledger-position"])
            ones = [f"/v1/{kind}/{each['id']}" for each in page.json()["items"]]
            for what, paths in (
                (f"one of the {kind}", ones),
                (f"50 {kind}", [f"/v1/{kind}?limit=50"] * LISTS),
            ):
                rows.append([what, *_row(client, paths, end)])
        rows.append(["the trial balance", *_row(client, ["/v1/trial-balance"] * LISTS, end)])
    moments = [f"as of {name}, p50 ms" for name in PARTS]
    return list(table(["what", "today, p50 ms", *moments, "as of, p99 ms"], rows))


def _row(client: httpx.Client, paths: Sequence[str], end: int) -> list[str]:
    today = _waits(client, paths, {})
    then = [_waits(client, paths, {"asOf": int(end * part)}) for part in PARTS.values()]
    every = sorted(wait for waits in then for wait in waits)
    p99 = every[ceil(len(every) * 0.99) - 1]
    return [shown(each) for each in (median(today), *map(median, then), p99)]


def _waits(client: httpx.Client, paths: Sequence[str], query: dict[str, int]) -> list[float]:
    """Milliseconds."""
    waits = []
    for path in paths:
        begun = perf_counter()
        answer = client.get(path, params=query)
        waits.append((perf_counter() - begun) * 1000)
        assert answer.status_code == 200, answer.text
    return waits

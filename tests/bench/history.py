"""What the log's readers cost: sealing, lines, Parquet, looking back."""

import json
import tempfile
from contextlib import closing
from http.client import HTTPConnection
from math import ceil
from pathlib import Path
from time import perf_counter, sleep

import httpx
import psutil
import psycopg

from .service import Service

READS = 200
TAIL = "SELECT coalesce(max(position), 0) FROM ledger.events"
SEALED = "SELECT coalesce(max(size), 0) FROM ledger.checkpoints"
MEGABYTE = 1024 * 1024

Figures = dict[str, float]


def measure_history(service: Service) -> Figures:
    """Every figure, on the log as it is; the API runs."""
    return _sealed(service) | _lines(service) | _exported(service) | _looked_back(service)


def _sealed(service: Service) -> Figures:
    with psycopg.connect(service.database_url, autocommit=True) as connection:

        def number(query: str) -> int:
            row = connection.execute(query).fetchone()
            assert row, "an aggregate answers"
            return int(row[0])

        begin, end = number(SEALED), number(TAIL)
        process = service.start("seal")
        while (first := number(SEALED)) == begin:
            sleep(0.01)
        begun, before = perf_counter(), process.cpu_times()
        while (now := number(SEALED)) < end - 1_000:
            sleep(0.05)
        took, after = perf_counter() - begun, process.cpu_times()
    service.stop("seal")
    spent = after.user + after.system - before.user - before.system
    return {
        "sealed events/s": (now - first) / took,
        "sealing, CPU µs an event": spent / (now - first) * 1e6,
    }


def _lines(service: Service) -> Figures:
    """Read by a client that does next to nothing, as that would be measured otherwise."""
    headers = service.headers | {"Accept": "application/x-ndjson"}
    connection = HTTPConnection(service.base_url.removeprefix("http://"), timeout=600)
    with closing(connection):
        begun, lines = perf_counter(), 0
        connection.request("GET", "/v1/events", headers=headers)
        answer = connection.getresponse()
        while part := answer.read1(MEGABYTE):
            lines += part.count(b"\n")
        return {"NDJSON events/s": lines / (perf_counter() - begun)}


def _exported(service: Service) -> Figures:
    with tempfile.TemporaryDirectory(prefix="rim-bench-", dir="/tmp") as place:
        begun, peak = perf_counter(), 0
        process = service.start(f"export --to {place}")
        while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
            peak = max(peak, process.memory_info().rss)
            sleep(0.02)
        took = perf_counter() - begun
        service.stop(f"export --to {place}")
        manifest = json.loads((Path(place) / "manifest.json").read_text())
    rows = sum(each["rows"] for each in manifest["segments"])
    return {"Parquet events/s": rows / took, "Parquet MB": peak / MEGABYTE}


def _looked_back(service: Service) -> Figures:
    figures = Figures()
    with httpx.Client(base_url=service.base_url, headers=service.headers, timeout=600) as client:
        page = client.get("/v1/loans?sort=createdAt&limit=200")
        middle = int(page.headers["ledger-position"]) // 2
        loans = [f"/v1/loans/{each['id']}" for each in page.json()["items"]]
        for what, paths in (
            ("one loan as of", loans),
            ("a list of 50 as of", ["/v1/loans?limit=50"] * (READS // 4)),
        ):
            waits = []
            for path in paths:
                begun = perf_counter()
                answer = client.get(path, params={"asOf": middle})
                waits.append((perf_counter() - begun) * 1000)
                assert answer.status_code == 200, answer.text
            waits.sort()
            figures[f"{what}, p99 ms"] = waits[ceil(len(waits) * 0.99) - 1]
    return figures

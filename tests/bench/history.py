"""What the log's readers cost: sealing, lines, Parquet, tables as of then, looking back."""

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
LOANS = "SELECT count(*) FROM ledger.events WHERE name = 'LoanRequested'"
MEGABYTE = 1024 * 1024

Figures = dict[str, float]


def measure_history(service: Service) -> Figures:
    """Every figure, on the log as it is; the API runs."""
    found = _sealed(service) | _lines(service) | _exported(service) | _replayed(service)
    return found | _tried(service) | _looked_back(service)


def _sealed(service: Service) -> Figures:
    begin, end = _number(service, SEALED), _number(service, TAIL)
    process = service.start("seal")
    while (first := _number(service, SEALED)) == begin:
        sleep(0.01)
    begun, before = perf_counter(), process.cpu_times()
    while (now := _number(service, SEALED)) < end - 1_000:
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
        took, megabytes = _ran(service, f"export --to {place}")
        manifest = json.loads((Path(place) / "manifest.json").read_text())
    rows = sum(each["rows"] for each in manifest["segments"])
    return {"Parquet events/s": rows / took, "Parquet MB": megabytes}


def _replayed(service: Service) -> Figures:
    with tempfile.TemporaryDirectory(prefix="rim-bench-", dir="/tmp") as place:
        took, megabytes = _ran(service, f"replay --into {place}/then.duckdb")
    return {"replayed events/s": _number(service, TAIL) / took, "replay MB": megabytes}


def _tried(service: Service) -> Figures:
    with tempfile.TemporaryDirectory(prefix="rim-bench-", dir="/tmp") as place:
        policy = Path(place) / "policy.json"
        policy.write_text('{"lending": {"autoApprove": true}, "score": {"onTime": 20}}')
        took, megabytes = _ran(service, f"backtest --policy {policy}")
    return {"back-test loans/s": _number(service, LOANS) / took, "back-test MB": megabytes}


def _ran(service: Service, command: str) -> tuple[float, float]:
    """How long a command took, in seconds, and how many megabytes."""
    begun, peak = perf_counter(), 0
    process = service.start(command)
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        peak = max(peak, process.memory_info().rss)
        sleep(0.02)
    took = perf_counter() - begun
    service.stop(command)
    return took, peak / MEGABYTE


def _number(service: Service, query: str) -> int:
    with psycopg.connect(service.database_url) as connection:
        row = connection.execute(query.encode()).fetchone()
        assert row, "an aggregate answers"
        return int(row[0])


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

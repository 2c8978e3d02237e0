"""What the log's readers cost: sealing, lines, Parquet, tables as of then, a policy tried."""

import json
import tempfile
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from time import perf_counter

import psutil

from tests.cli.service import wait_for

from .service import MEGABYTE, PATIENCE, TAIL, Service

SEALED = "SELECT coalesce(max(size), 0) FROM ledger.checkpoints"
LOANS = "SELECT count(*) FROM ledger.events WHERE name = 'LoanRequested'"
UNSEALED = 1_000  # events that may wait for the next checkpoint
POLICY = '{"lending": {"autoApprove": true}, "score": {"onTime": 20}}'

Figures = dict[str, float]


def sealed(service: Service) -> Figures:
    """Seal the whole log."""
    begin, end = service.number(SEALED), service.number(TAIL)
    process = service.start("seal")
    wait_for(lambda: service.number(SEALED) > begin, PATIENCE)
    first, begun, before = service.number(SEALED), perf_counter(), process.cpu_times()
    wait_for(lambda: service.number(SEALED) >= end - UNSEALED, PATIENCE)
    took, after, last = perf_counter() - begun, process.cpu_times(), service.number(SEALED)
    service.stop("seal")
    spent = after.user + after.system - before.user - before.system
    return {
        "events/s sealed": (last - first) / took,
        "CPU to seal an event, µs": spent / (last - first) * 1e6,
    }


def exported(service: Service, api: psutil.Process, rounds: int) -> Figures:
    """The whole log, to each kind of reader."""
    events = service.number(TAIL)
    lines = [_lines(service, api) for _ in range(rounds)]
    piped = service.run("export --to -")
    with tempfile.TemporaryDirectory(prefix="rim-bench-", dir="/tmp") as place:
        parquet = service.run(f"export --to {place}/out")
        manifest = json.loads((Path(place) / "out.proof" / "manifest.json").read_text())
    rows = sum(each["rows"] for each in manifest["segments"])
    assert rows >= events, "what was there when the reading began"
    return {
        "events/s as NDJSON": median(rate for rate, _ in lines),
        "MB of the API that sends NDJSON": max(most for _, most in lines),
        "events/s of `export --to -`": events / piped.seconds,
        "MB of `export --to -`": piped.megabytes,
        "events/s as Parquet": rows / parquet.seconds,
        "MB of an export to Parquet": parquet.megabytes,
    }


def _lines(service: Service, api: psutil.Process) -> tuple[float, float]:
    """Lines a second, read by a client that does next to nothing, as that would be measured
    otherwise; and the most memory that the API took."""
    headers = service.headers | {"Accept": "application/x-ndjson"}
    connection = HTTPConnection(service.base_url.removeprefix("http://"), timeout=PATIENCE)
    with closing(connection):
        begun, lines, most = perf_counter(), 0, 0
        connection.request("GET", "/v1/events", headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        while part := answer.read1(MEGABYTE):
            lines += part.count(b"\n")
            most = max(most, api.memory_info().rss)
        return lines / (perf_counter() - begun), most / MEGABYTE


def replayed(service: Service) -> Figures:
    """Every read table, in DuckDB."""
    with tempfile.TemporaryDirectory(prefix="rim-bench-", dir="/tmp") as place:
        ran = service.run(f"replay --into {place}/then.duckdb")
    return {
        "events/s replayed": service.number(TAIL) / ran.seconds,
        "MB of a replay": ran.megabytes,
    }


def tried(service: Service) -> Figures:
    """Every loan decided once more."""
    with tempfile.TemporaryDirectory(prefix="rim-bench-", dir="/tmp") as place:
        policy = Path(place) / "policy.json"
        policy.write_text(POLICY)
        ran = service.run(f"backtest --policy {policy}")
    loans = service.number(LOANS)
    return {"loans/s back-tested": loans / ran.seconds, "MB of a back-test": ran.megabytes}

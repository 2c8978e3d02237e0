"""Status of the service: addresses, log length, processes that are dead or late, and storage."""

import contextlib
import http.client
import json
from collections.abc import Iterator
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec
import psycopg

from api.config.database import CONNECT_TIMEOUT_SECONDS, NO_LEDGER, without_password
from api.config.settings import Settings
from projections.follow.lag import LATE, found
from rim_ledger.engine.store import HEAD
from rim_ledger.operator_error import OperatorError
from rim_ledger.postgres import sizes
from rim_ledger.postgres.server import EmbeddedPostgres
from rim_ledger.retention import RETENTIONS

RUNNING: Final = "up.lock"
"""The file in RIM_HOME that `up` locks and writes its address to."""
SILENT: Final = "the API does not answer"


def status(settings: Settings) -> dict[str, Any]:
    """Give the status as JSON; lag is in events. Raises OperatorError if nothing runs."""
    url = settings.database_url or EmbeddedPostgres.running(settings.home / "postgres")
    if url is None:
        raise OperatorError(f"nothing runs on {settings.home}: start it with rim-ledger up")
    try:
        with psycopg.connect(url, connect_timeout=CONNECT_TIMEOUT_SECONDS) as connection:
            ((head,),) = connection.execute(HEAD).fetchall()
            every = found(connection.execute(LATE.encode()).fetchall())
            tables = sizes.found(connection.execute(sizes.SIZES.encode()).fetchall())
    except psycopg.errors.UndefinedTable as error:
        raise OperatorError(NO_LEDGER) from error
    for address in _addresses(settings):
        where = urlsplit(address)
        ready, reason = readiness(where.hostname or "", where.port or 0)
        if reason != SILENT:
            break
    troubles = {each.name: each.trouble(settings.late_seconds_max) for each in every}
    return {
        "address": address,
        "ready": ready,
        "reason": reason,
        "database": without_password(url),
        "position": head,
        "processes": [
            msgspec.to_builtins(each) | {"trouble": troubles[each.name]} for each in every
        ],
        "storage": _storage(tables, max(head, 1)),
    }


def _storage(tables: list[sizes.TableSize], events: int) -> dict[str, Any]:
    """The bytes of an event, over all tables and of each, and what is deleted after how long."""
    return {
        "bytes": (total := sum(each.total for each in tables)),
        "bytesPerEvent": total // events,
        "tables": [
            msgspec.to_builtins(each) | {"bytesPerEvent": each.total // events} for each in tables
        ],
        "retentionDays": {f"ledger.{each.table}": each.kept.days for each in RETENTIONS},
    }


def readiness(host: str, port: int) -> tuple[bool, str | None]:
    """Ask the API for its readiness: True, or False with the reason if it gave one."""
    open_to_all = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is compared
    connection = http.client.HTTPConnection(open_to_all.get(host, host), port, timeout=1)
    with contextlib.closing(connection):
        try:
            connection.request("GET", "/readyz")
            answer = connection.getresponse()
            body = json.loads(answer.read())
        except (OSError, http.client.HTTPException, ValueError):
            return False, SILENT
    ready = answer.status == HTTPStatus.OK
    return ready, None if ready else str(body.get("reason", body.get("detail")))


def text(now: dict[str, Any]) -> str:
    """Format the status for people."""
    state = "ready" if now["ready"] else f"not ready: {now['reason']}"
    lines = [
        f"address   {now['address']} ({state})",
        f"database  {now['database']}",
        f"position  {now['position']}",
    ]
    for each in now["processes"]:
        state = each["trouble"] or f"{each['lag']} behind"
        lines += [f"process   {each['name']}: {state}"]
    storage = now["storage"]
    lines += [f"storage   {storage['bytes']:,} bytes, {storage['bytesPerEvent']:,} an event:"]
    for each in storage["tables"]:
        if 100 * each["bytesPerEvent"] >= storage["bytesPerEvent"]:
            lines += [f"          {each['bytesPerEvent']:>7,} {each['table']}"]
    kept = ", ".join(f"{table} {days}" for table, days in storage["retentionDays"].items())
    lines += [f"kept      for days: {kept}"]
    return "\n".join(lines)


def _addresses(settings: Settings) -> Iterator[str]:
    """The addresses that `up` wrote to this home last, and that of these settings."""
    with contextlib.suppress(OSError):
        if address := (settings.home / RUNNING).read_text():
            yield address
    yield f"http://{settings.host}:{settings.port}"

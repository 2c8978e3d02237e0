"""The command `backup list`: the backups recorded in the log."""

import asyncio
import json
from typing import Annotated, Any, Final

from cyclopts import Parameter
from psycopg import AsyncConnection
from psycopg.errors import UndefinedTable

from api.config.backup_files import shown
from api.config.database import log_database
from api.config.settings import Settings
from projections.follow import log
from projections.follow.as_of import Moment, folded
from rim_ledger.operator_error import OperatorError
from rim_ledger.system.backup import KEPT, RUNNING, Backup
from rim_ledger.values import rfc3339

IDS: Final = """
SELECT stream_id FROM ledger.claims WHERE kind = ANY (%s)
 UNION SELECT id FROM read.backups WHERE deleted_at IS NULL"""
TITLES: Final = ("begun", "kind", "bytes", "state", "verified", "chain", "file")


def list_(*, json_: Annotated[bool, Parameter(name="--json", negative="")] = False) -> None:
    """List the backups that are there, being made or failed, the oldest first.

    :param json_: As JSON, for programs.
    """
    settings = Settings.load(keyless=True)
    with log_database(settings) as url:
        backups = asyncio.run(_found(url))
    listed = [_json(settings, each, chain) for each, chain in _chained(backups)]
    print(json.dumps(listed) if json_ else _table(listed))  # noqa: T201


async def _found(url: str) -> list[Backup]:
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        try:
            cursor = await connection.execute(IDS, [[KEPT, RUNNING]])
        except UndefinedTable:
            raise OperatorError("there are no read tables yet: run rim-ledger init") from None
        ids = [id_ for (id_,) in await cursor.fetchall()]
        entries = await folded(connection, ids, Moment(await log.head(connection)))
    found = [entry.aggregate for entry in entries.values()]
    backups = [each for each in found if isinstance(each, Backup) and each.deleted_at is None]
    return sorted(backups, key=lambda each: (each.created_at, each.id))


def _chained(backups: list[Backup]) -> list[tuple[Backup, str | None]]:
    """Each backup with its chain and place in it: 2+1 is the first incremental one on the second
    full one. A backup without a file is in no chain."""
    places, full = dict[Any, tuple[int, int]](), 0
    for each in backups:
        if each.kept:
            full += each.parent_id is None
            chain, place = places.get(each.parent_id, (full, -1))
            places[each.id] = chain, place + 1
    return [(each, "{}+{}".format(*places[each.id]) if each.kept else None) for each in backups]


def _json(settings: Settings, backup: Backup, chain: str | None) -> dict[str, Any]:
    return {
        "id": str(backup.id),
        "createdAt": rfc3339(backup.created_at),
        "type": backup.type,
        "size": backup.size,
        "status": backup.status,
        "failureReason": backup.failure_reason,
        "verifiedAt": backup.verified_at and rfc3339(backup.verified_at),
        "parentId": backup.parent_id and str(backup.parent_id),
        "chain": chain,
        "file": shown(settings, backup) if backup.kept else None,
    }


def _table(listed: list[dict[str, Any]]) -> str:
    rows = [TITLES, *map(_cells, listed)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)
    return "\n".join(lines) if listed else "there are no backups"


def _cells(each: dict[str, Any]) -> tuple[str, ...]:
    size = "-" if each["size"] is None else f"{each['size']:,}"
    last = "; ".join(filter(None, (each["file"], each["failureReason"]))) or "-"
    kind, state, chain = each["type"], each["status"], each["chain"] or "-"
    return each["createdAt"], kind, size, state, each["verifiedAt"] or "-", chain, last

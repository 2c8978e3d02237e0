"""What is known of exports: a row each in the database, a sealed file each in the store."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import BinaryIO, Final
from uuid import UUID

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct

from api.context import Context
from api.http.download import cut
from rim_ledger.engine.refusals import Refused, Unavailable
from rim_ledger.vault.sealed_file import open_file, seal_file

KEPT: Final = timedelta(hours=24)
"""How long an export is kept."""
KEPT_MAX: Final = 3
"""Exports of one admin."""
SILENT: Final = timedelta(minutes=10)
"""Time without a heartbeat after which the maker of an export has died."""
SWEEP_SECONDS: Final = 60.0
INTERRUPTED: Final = "It was interrupted."

OF: Final = """
SELECT id, owner, persons, entities, secret, upto, position, created_at, rows, size, sha256,
       failure, completed_at
  FROM ledger.exports WHERE owner = %s ORDER BY id DESC"""
BEGIN: Final = """
INSERT INTO ledger.exports
    (id, owner, slot, persons, entities, secret, upto, position, created_at, alive_at)
SELECT %s, %s, min(slot), %s, %s, %s, %s, %s, %s, %s FROM generate_series(1, %s) slot
 WHERE NOT EXISTS (SELECT FROM ledger.exports e WHERE e.owner = %s AND e.slot = slot.slot)
HAVING min(slot) IS NOT NULL
ON CONFLICT DO NOTHING RETURNING id"""
ADVANCE: Final = """
UPDATE ledger.exports SET position = %s, rows = %s, alive_at = %s
 WHERE id = %s AND failure IS NULL RETURNING id"""
COMPLETE: Final = """
UPDATE ledger.exports SET size = %s, sha256 = %s, completed_at = %s
 WHERE id = %s AND failure IS NULL RETURNING id"""
FAIL: Final = """
UPDATE ledger.exports SET failure = %s WHERE id = %s AND completed_at IS NULL RETURNING id"""
STALE: Final = """
UPDATE ledger.exports SET failure = %s
 WHERE completed_at IS NULL AND failure IS NULL AND alive_at <= %s RETURNING id"""
OVER: Final = """
SELECT id FROM ledger.exports e WHERE created_at <= %s OR persons AND EXISTS (
    SELECT FROM ledger.personal_keys WHERE erased_at >= e.created_at)"""
"""Exports that are too old, or may hold data of a person who was erased since."""


class Export(Struct, frozen=True):
    """A file of the log that an admin requested, finished or not. `persons` is true if it shows
    personal data; `entities` are those whose events may be in it."""

    id: UUID
    owner: UUID
    persons: bool
    entities: Sequence[str]
    secret: str
    upto: int
    position: int
    created_at: datetime
    rows: int = 0
    size: int | None = None
    sha256: str | None = None
    failure: str | None = None
    completed_at: datetime | None = None

    @property
    def status(self) -> str:
        """As of a backup: in_progress, success or failed."""
        if self.failure:
            return "failed"
        return "success" if self.completed_at else "in_progress"

    @property
    def expires_at(self) -> datetime:
        return self.created_at + KEPT

    @property
    def file(self) -> str:
        """What its file is called in the store."""
        return f"export-{self.id}"


class ExportStore:
    """The exports of a ledger, for all processes together."""

    def __init__(self, context: Context) -> None:
        self._pool, self._now = context.pool, context.environment.now
        self._context = context

    async def begin(self, export: Export) -> None:
        """Keep a new one. Raises Refused when its owner has as many as may be."""
        at = export.created_at
        values = [export.id, export.owner, export.persons, list(export.entities), export.secret]
        values += [export.upto, export.position, at, at, KEPT_MAX, export.owner]
        if not await self._pool.rows(BEGIN, values):
            words = f"You have {KEPT_MAX} exports: delete one, or wait until it is made."
            raise Refused("too-many-exports", words)

    async def advance(self, id: UUID, position: int, rows: int) -> bool:
        """Note how far one is; whether it is still wanted."""
        return bool(await self._pool.rows(ADVANCE, [position, rows, self._now(), id]))

    async def complete(self, id: UUID, size: int, sha256: str) -> bool:
        """Note that the file is there; whether it is still wanted."""
        return bool(await self._pool.rows(COMPLETE, [size, sha256, self._now(), id]))

    async def fail(self, id: UUID, reason: str) -> None:
        await self._pool.rows(FAIL, [reason, id])

    async def of(self, owner: UUID) -> list[Export]:
        """Those of an admin, the newest first."""
        return [Export(*row) for row in await self._pool.rows(OF, [owner])]

    async def find(self, owner: UUID, id: UUID) -> Export | None:
        """One of an admin, unless it is over."""
        await self.sweep()
        return next((each for each in await self.of(owner) if each.id == id), None)

    async def drop(self, id: UUID) -> None:
        """Let go of one, its file first."""
        await self._context.storage.drop(f"export-{id}")
        await self._pool.rows("DELETE FROM ledger.exports WHERE id = %s RETURNING id", [id])

    async def sweep(self) -> None:
        """Delete expired exports, and mark abandoned ones as failed."""
        now = self._now()
        await self._pool.rows(STALE, [INTERRUPTED, now - SILENT])
        for (id_,) in await self._pool.rows(OVER, [now - KEPT]):
            await self.drop(id_)

    async def sweep_for_ever(self) -> None:
        """Sweep every minute, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP_SECONDS)
            with contextlib.suppress(Unavailable):
                await self.sweep()

    async def put(self, export: Export, file: BinaryIO) -> None:
        """Seal a file and keep it. Raises Unavailable."""
        key, place = self._key(export), export.id.bytes

        async def pieces() -> AsyncIterator[bytes]:
            for piece in seal_file(file, key, place, self._context.environment):
                yield piece
                await asyncio.sleep(0)

        await self._context.storage.keep(export.file, pieces())

    def read(self, export: Export, first: int, end: int) -> AsyncIterator[bytes]:
        """What stands in a file between two places."""
        sealed = self._context.storage.read(export.file)
        return cut(open_file(sealed, self._key(export), export.id.bytes), first, end)

    def _key(self, export: Export) -> AESGCM:
        vault = self._context.vault
        return AESGCM(bytes.fromhex(vault.unwrap_secret(export.id, "export", export.secret)))

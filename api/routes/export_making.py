"""Makes the Parquet file of an export: a page of the log at a time, while others are answered."""

import asyncio
import hashlib
import tempfile
from io import BufferedRandom
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from api.context import Context
from api.http.call import Call
from api.pipeline.background import note_unexpected
from api.pipeline.keys import keys_of
from api.routes.event_log import Question, ReaderView, pages
from api.routes.export_store import INTERRUPTED, Export, ExportStore
from projections.analysis.export import GROUP
from projections.analysis.export_rows import SCHEMA, rows_for
from projections.analysis.export_types import WRITTEN
from projections.cloud_events import Reader, persons_in
from projections.follow.log import Line
from rim_ledger.engine.activity import Activity
from rim_ledger.engine.refusals import Refused, Unavailable

BYTES_MAX: Final = 512 * 1024 * 1024
"""Bytes of one file."""


class Oversized(Exception):
    """A file would have more bytes than BYTES_MAX."""

    def __init__(self) -> None:
        super().__init__(f"A file has {BYTES_MAX >> 20} MiB at most: ask for less of the log.")


async def make(
    context: Context, call: Call, export: Export, question: Question, sight: ReaderView
) -> None:
    """Write the file and keep it, or record why there is none."""
    store = ExportStore(context)
    try:
        with tempfile.TemporaryFile() as file:
            if not await _Rows(context, call, export, sight).write(question, file):
                return
            size, sha256 = file.tell(), await asyncio.to_thread(_digest, file)
            await store.put(export, file)
        if not await store.complete(export.id, size, sha256):
            await store.drop(export.id)
    except asyncio.CancelledError:
        await store.fail(export.id, INTERRUPTED)
        raise
    except (Oversized, Refused, Unavailable) as error:
        await store.fail(export.id, str(error))
    except Exception as error:
        note_unexpected(context, error)
        await store.fail(export.id, "It could not be made.")


class _Rows:
    """The rows of an export, on their way into a file."""

    def __init__(self, context: Context, call: Call, export: Export, sight: ReaderView) -> None:
        self._context, self._call, self._export, self._sight = context, call, export, sight
        self._asked = Activity(action="Export", resource="exports", resource_id=str(export.id))
        self._waiting: list[Any] = []

    async def write(self, question: Question, file: BufferedRandom) -> bool:
        """Write all that was asked for; whether it is still wanted. Raises Oversized."""
        store, rows = ExportStore(self._context), 0
        with pq.ParquetWriter(file, SCHEMA, **WRITTEN) as writer:
            async for lines, after in pages(self._context, question):
                seen = await self._sight.visible(self._context, lines)
                await self._note(seen)
                keys = await keys_of(self._context, persons_in(seen), sees=self._export.persons)
                reader = Reader(self._export.persons, keys, self._context.public_url)
                self._waiting.append(rows_for(seen, reader, bodies=self._export.persons))
                rows += len(seen)
                if sum(each.num_rows for each in self._waiting) >= GROUP:
                    await self._write_group(writer)
                    if file.tell() > BYTES_MAX:
                        raise Oversized
                if not await store.advance(self._export.id, after, rows):
                    return False
            await self._write_group(writer)
        if file.tell() > BYTES_MAX:
            raise Oversized
        return True

    async def _note(self, lines: list[Line]) -> None:
        """Log whose words are shown. Raises Unavailable when that cannot be."""
        if self._export.persons:
            noted = await self._sight.noted(self._context, self._call, self._asked, lines)
            if noted.rights.unlogged:
                raise noted.rights.unlogged

    async def _write_group(self, writer: Any) -> None:
        table = pa.Table.from_batches(self._waiting, SCHEMA)
        self._waiting.clear()
        await asyncio.to_thread(writer.write_table, table)


def _digest(file: BufferedRandom) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()

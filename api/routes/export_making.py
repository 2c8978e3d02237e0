"""Makes the Parquet file of an export: a page of the log at a time, while others are answered."""

import asyncio
import tempfile
from io import BufferedRandom
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from api.pipeline.background import note_unexpected
from api.routes.event_log import EventReader, Question, pages, reader_of
from api.routes.export_store import INTERRUPTED, Export, ExportStore
from projections.analysis.export import GROUP
from projections.analysis.export_rows import SCHEMA, rows_for
from projections.analysis.export_types import WRITTEN
from rim_ledger.engine.refusals import Refused, Unavailable
from rim_ledger.storage import sha256_of

BYTES_MAX: Final = 512 * 1024 * 1024
"""Bytes of one file."""


class Oversized(Exception):
    """A file would have more bytes than BYTES_MAX."""

    def __init__(self) -> None:
        super().__init__(f"A file has {BYTES_MAX >> 20} MiB at most: ask for less of the log.")


async def make(export: Export, question: Question, reader: EventReader) -> None:
    """Write the file and keep it, or record why there is none."""
    context, store = reader.context, ExportStore(reader.context)
    try:
        with tempfile.TemporaryFile() as file:
            if not await _write(export, question, reader, file):
                return
            size, sha256 = file.tell(), await sha256_of(file)
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


async def _write(
    export: Export, question: Question, reader: EventReader, file: BufferedRandom
) -> bool:
    """Write all requested events; gives False if the export is not wanted any more. Raises
    Oversized, or Unavailable when disclosures cannot be logged."""
    context, store = reader.context, ExportStore(reader.context)
    waiting, rows = list[Any](), 0

    async def write_group() -> None:
        table = pa.Table.from_batches(waiting, SCHEMA)
        waiting.clear()
        await asyncio.to_thread(writer.write_table, table)
        if file.tell() > BYTES_MAX:
            raise Oversized

    with pq.ParquetWriter(file, SCHEMA, **WRITTEN) as writer:
        async for lines, after in pages(context, question):
            seen = await reader.visible(lines)
            if export.persons and (outage := (await reader.noted(seen)).unlogged):
                raise outage
            shown = await reader_of(context, seen, sees=export.persons)
            waiting.append(rows_for(seen, shown, bodies=export.persons))
            rows += len(seen)
            if sum(each.num_rows for each in waiting) >= GROUP:
                await write_group()
            if not await store.advance(export.id, after, rows):
                return False
        await write_group()
    if file.tell() > BYTES_MAX:
        raise Oversized
    return True

"""The files of an export by type of event: made of a file of the log, and compared with it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
from pyarrow import ArrowException

from projections.export_files import Segment, Typed, digest, typed_file, types_of, whole
from projections.export_rows import SCHEMA
from projections.signed_note import Untrue
from projections.typed import schema_of, typed
from rim_ledger.catalogue import EVENTS

ROWS: Final = 5_000
"""Rows of a file that are in memory at a time."""
GROUP: Final = 20_000
"""Rows of all types that wait to be written."""
WRITTEN: Final[dict[str, Any]] = {
    "compression": "gzip",
    "compression_level": 3,
    "store_schema": False,
}
"""How files are written: so that the standard library of Python can read them."""


def rows_in(file: Path, columns: list[str]) -> Iterator[dict[str, Any]]:
    """The rows of a file. Raises Untrue where it does not have these columns and no others."""
    try:
        parquet = pq.ParquetFile(file)
        names = parquet.schema_arrow.names
        for batch in parquet.iter_batches(ROWS) if names == columns else ():
            yield from batch.to_pylist()
    except (ArrowException, LookupError, AttributeError, TypeError):
        raise Untrue(f"{file.name} holds no events of an export") from None
    if names != columns:
        raise Untrue(f"{file.name} has not the columns of an export: {', '.join(columns)}")


def write_types(place: Path, segment: Segment) -> tuple[Typed, ...]:
    """Write the files by type of the events in a segment, which is there; what was written."""
    counts = Counter[str]()
    with ExitStack() as stack:
        writers = dict[str, Any]()

        def write(waiting: Mapping[str, list[dict[str, Any]]]) -> None:
            for name, rows in waiting.items():
                if name not in writers:
                    path = stack.enter_context(whole(place, types_of(place) / name / segment.file))
                    writer = pq.ParquetWriter(path, schema_of(name), **WRITTEN)
                    writers[name] = stack.enter_context(writer)
                counts[name] += len(rows)
                writers[name].write_table(pa.Table.from_pylist(rows, schema_of(name)))

        waiting = defaultdict[str, list[dict[str, Any]]](list)
        for number, row in enumerate(rows_in(place / segment.file, SCHEMA.names), 1):
            waiting[row["name"]].append(typed(row))
            if number % GROUP == 0:
                write(waiting)
                waiting.clear()
        write(waiting)
    return tuple(_written(place, segment, name, counts[name]) for name in sorted(counts))


def _written(place: Path, segment: Segment, name: str, rows: int) -> Typed:
    file = types_of(place) / name / segment.file
    return Typed(name=name, rows=rows, sha256=digest(file), size=file.stat().st_size)


class Comparison:
    """Compares the files by type of a segment with its events, as they come in order."""

    def __init__(self, place: Path, segment: Segment) -> None:
        self._segment = segment
        self._files = {each.name: each for each in segment.typed or ()}
        self._rows = dict[str, Iterator[dict[str, Any]]]()
        for each in self._files.values():
            file = typed_file(place, segment, each)
            if each.name not in EVENTS or not file.is_file() or digest(file) != each.sha256:
                raise Untrue(f"{self._named(each.name)} is not the file that was written")
            self._rows[each.name] = rows_in(file, schema_of(each.name).names)

    def require_same(self, row: Mapping[str, Any]) -> None:
        """Raise Untrue where a row of the log does not stand in its type's file as it should."""
        if self._segment.typed is None:
            return
        name, position = row["name"], row["position"]
        found = next(self._rows.get(name, iter(())), None)
        if found is None:
            raise Untrue(f"{self._named(name)}: position {position} is missing")
        right = typed(row)
        if wrong := [column for column in right if right[column] != found[column]]:
            words = f"{', '.join(wrong)} does not follow from its body"
            raise Untrue(f"{self._named(name)}: position {position}: {words}")

    def require_whole(self) -> None:
        """Raise Untrue where a file has more than the events of its segment."""
        for name, rows in self._rows.items():
            if (row := next(rows, None)) is not None:
                words = f"position {row['position']} is none of its own"
                raise Untrue(f"{self._named(name)}: {words}")

    def _named(self, name: str) -> str:
        return f"{name}/{self._segment.file}"

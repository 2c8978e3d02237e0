"""Writes an export's files by event type from a file of the log, and compares them with it."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import ArrowException

from projections.analysis.export_columns import schema_of, typed
from projections.analysis.export_files import (
    Segment,
    Typed,
    atomic_path,
    digest,
    typed_file,
    types_of,
)
from projections.analysis.export_rows import SCHEMA
from projections.proofs.signed_note import VerificationError
from rim_ledger.catalogue import EVENTS

ROWS: Final = 5_000
"""Rows of a file in memory at a time."""
GROUP: Final = 20_000
"""Rows of all types buffered before writing."""
WRITTEN: Final[dict[str, Any]] = {
    "compression": "gzip",
    "compression_level": 3,
    "store_schema": False,
}
"""Parquet options: readable with Python's standard library."""


def rows_in(file: Path, schema: Any) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file. Raises VerificationError where columns are not the schema's, or
    statistics, on which readers skip row groups, are wrong."""
    try:
        parquet = pq.ParquetFile(file)
        _require_columns(file, parquet, schema)
        for number in range(parquet.num_row_groups):
            group = parquet.read_row_group(number)
            _require_described(file, parquet.metadata.row_group(number), group)
            for batch in group.to_batches(ROWS):
                yield from batch.to_pylist()
    except (ArrowException, LookupError, AttributeError, TypeError):
        raise VerificationError(f"{file.name} holds no events of an export") from None


def _require_columns(file: Path, parquet: Any, schema: Any) -> None:
    found = _columns(parquet.schema_arrow)
    if [*found] != schema.names:
        raise VerificationError(
            f"{file.name} has not the columns of an export: {', '.join(schema.names)}"
        )
    for name, kind in _columns(schema).items():
        if found[name] != kind:
            raise VerificationError(f"{file.name}: {name} is {found[name]} instead of {kind}")
    footer = parquet.metadata
    if footer.num_rows != sum(footer.row_group(n).num_rows for n in range(footer.num_row_groups)):
        raise VerificationError(f"{file.name} has not the {footer.num_rows} rows that it counts")
    if footer.metadata:
        raise VerificationError(f"{file.name} says more than its columns do: {[*footer.metadata]}")


def _columns(schema: Any) -> dict[str, Any]:
    """Column types as a file has them, without dictionaries."""
    kinds = ((each.name, each.type) for each in schema)
    return {name: kind.value_type if pa.types.is_dictionary(kind) else kind for name, kind in kinds}


def _require_described(file: Path, footer: Any, group: Any) -> None:
    """Raise VerificationError where a row group's statistics differ from its rows."""
    for number, (name, values) in enumerate(zip(group.column_names, group.columns, strict=True)):
        chunk = footer.column(number)
        hints = (chunk.has_column_index, chunk.has_offset_index, chunk.bloom_filter_offset)
        if any(hints):
            raise VerificationError(f"{file.name} has an index of {name}, as no export does")
        if (described := chunk.statistics) is None:
            continue
        bounds = pc.min_max(values)
        low, high = bounds["min"].as_py(), bounds["max"].as_py()
        if (described.has_null_count and described.null_count != values.null_count) or (
            described.has_min_max and (described.min, described.max) != (low, high)
        ):
            raise VerificationError(
                f"{file.name}: the statistics of {name} are not those of its rows"
            )


def write_types(place: Path, segment: Segment) -> tuple[Typed, ...]:
    """Write the files by type of a segment from its log file."""
    counts = Counter[str]()
    with ExitStack() as stack:
        writers = dict[str, Any]()

        def write(waiting: Mapping[str, list[dict[str, Any]]]) -> None:
            for name, rows in waiting.items():
                if name not in writers:
                    path = stack.enter_context(
                        atomic_path(place, types_of(place) / name / segment.file)
                    )
                    writer = pq.ParquetWriter(path, schema_of(name), **WRITTEN)
                    writers[name] = stack.enter_context(writer)
                counts[name] += len(rows)
                writers[name].write_table(pa.Table.from_pylist(rows, schema_of(name)))

        waiting = defaultdict[str, list[dict[str, Any]]](list)
        for number, row in enumerate(rows_in(place / segment.file, SCHEMA), 1):
            waiting[row["name"]].append(typed(row))
            if number % GROUP == 0:
                write(waiting)
                waiting.clear()
        write(waiting)
    files = ((name, types_of(place) / name / segment.file) for name in sorted(counts))
    return tuple(
        Typed(name=name, rows=counts[name], sha256=digest(file), size=file.stat().st_size)
        for name, file in files
    )


class Comparison:
    """Compares a segment's files by type with its events, given in order."""

    def __init__(self, place: Path, segment: Segment) -> None:
        self._segment = segment
        self._files = {each.name: each for each in segment.typed or ()}
        self._rows = dict[str, Iterator[dict[str, Any]]]()
        for each in self._files.values():
            file = typed_file(place, segment, each)
            if each.name not in EVENTS or not file.is_file() or digest(file) != each.sha256:
                raise VerificationError(
                    f"{self._named(each.name)} is not the file that was written"
                )
            self._rows[each.name] = rows_in(file, schema_of(each.name))

    def require_same(self, row: Mapping[str, Any]) -> None:
        """Raise VerificationError unless the row is next in its type's file."""
        if self._segment.typed is None:
            return
        name, position = row["name"], row["position"]
        found = next(self._rows.get(name, iter(())), None)
        if found is None:
            raise VerificationError(f"{self._named(name)}: position {position} is missing")
        right = typed(row)
        if wrong := [column for column in right if right[column] != found[column]]:
            words = f"{', '.join(wrong)} does not follow from its body"
            raise VerificationError(f"{self._named(name)}: position {position}: {words}")

    def require_whole(self) -> None:
        """Raise VerificationError where a file has rows left over."""
        for name, rows in self._rows.items():
            if (row := next(rows, None)) is not None:
                words = f"position {row['position']} is none of its own"
                raise VerificationError(f"{self._named(name)}: {words}")

    def _named(self, name: str) -> str:
        return f"{name}/{self._segment.file}"

"""An export as data sets: the log, and each type of event with columns of its own."""

import importlib.util
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace

from projections.analysis import export, export_types
from projections.analysis.export_check import verify
from projections.analysis.export_columns import COMMON, fields_of, schema_of
from projections.analysis.export_files import (
    MANIFEST,
    BadExport,
    Manifest,
    Segment,
    begin,
    digest,
    proof_of,
    types_of,
    unexpected_files,
    write_manifest,
)
from projections.analysis.export_rows import SCHEMA, values_of
from projections.analysis.export_types import WRITTEN, Comparison, write_types
from projections.cloud_events import Reader
from projections.follow.log import Line
from projections.proofs.signed_note import VerificationError, Verifier
from rim_ledger.catalogue import ENTITY_OF, EVENTS
from tests.golden import HERE
from tests.projections.analysis.test_export import (
    SCRIPT,
    asked,
    covered,
    exported,
    forged,
    log,
    offline,
    paid,
    sets,
    template,
)
from tests.projections.story import AT, BOLA, written

__all__ = ["log", "template"]


def verifier_of_the_reference() -> ModuleType:
    spec = importlib.util.spec_from_file_location("verify", SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def type_files(place: Path, name: str) -> Path:
    return types_of(place) / name


async def test_the_directories_open_as_data_sets(log: str, tmp_path: Path) -> None:
    place = tmp_path / "out"
    held = await exported(log, place)
    typed = type_files(place, "TransactionRecorded")
    for directory, rows in ((place, held.last), (typed, 20)):
        assert pl.read_parquet(directory).height == rows
        assert pl.scan_parquet(str(directory)).collect().height == rows
        assert ds.dataset(directory).count_rows() == rows, "as pandas opens it"
        with duckdb.connect() as connection:
            for query in (f"'{directory}/*.parquet'", f"read_parquet('{directory}/**/*.parquet')"):
                assert connection.execute(f"SELECT count(*) FROM {query}").fetchone() == (rows,)
    kinds = {each.name for each in held.segments for each in each.typed or ()}
    assert {each.name for each in types_of(place).iterdir()} == kinds


async def test_fields_are_columns_with_types_of_their_own(log: str, tmp_path: Path) -> None:
    await exported(log, tmp_path / "out")

    def rows(name: str) -> list[dict[str, Any]]:
        return pl.read_parquet(type_files(tmp_path / "out", name)).sort("position").to_dicts()

    payment = rows("TransactionRecorded")[0]
    assert (payment["amount"], payment["user_id"]) == (Decimal("100.10"), str(BOLA))
    assert (payment["type"], payment["provider"]) == ("repayment", None)
    assert (payment["occurred_at"], payment["metadata"]) == (AT, "{}")
    frame = pl.read_parquet(type_files(tmp_path / "out", "LoanRequested"))
    assert frame.schema["amount_due"] == pl.Decimal(20, 2)
    assert frame.schema["interest_rate"] == pl.Decimal(10, 6)
    assert frame.schema["occurred_at"] == pl.Datetime("us", "UTC")
    (loan,) = frame.to_dicts()
    assert (loan["decision_available"], loan["interest_rate"]) == (
        Decimal("1000.50"),
        Decimal("15.360000"),
    )
    assert (loan["decision_credit_score"], loan["historical"]) == (500, False)
    assert json.loads(loan["decision_reasons"]) == ["automatic approval is off"]
    assert json.loads(loan["metadata"]) == {"purpose": None}, "the borrower was erased"
    ada, bola = rows("UserRegistered")
    assert (ada["phone"], ada["erased"], bola["phone"], bola["erased"]) == (
        None,
        True,
        "***",
        False,
    )
    assert "phone_hash" not in ada


FORGERIES: list[tuple[str, Any]] = [
    ("amount", Decimal("999999.00")),
    ("amount", None),
    ("user_id", str(UUID(int=7))),
    ("type", "airtime"),
    ("metadata", '{"a":1}'),
    ("provider", "Paystack"),
    ("occurred_at", datetime(2020, 1, 1, tzinfo=UTC)),
    ("actor_id", None),
    ("erased", True),
    ("version", 9),
]


def retyped(place: Path, held: Manifest, number: int, change: Callable[[Any], Any]) -> str:
    """Change the payments in the files by type of a segment, and the manifest so that it fits."""
    segment = held.segments[number]
    file = type_files(place, "TransactionRecorded") / segment.file
    table = change(pq.read_table(file))
    pq.write_table(table, file, **WRITTEN)
    typed = tuple(
        replace(each, sha256=digest(file), rows=table.num_rows)
        if each.name == "TransactionRecorded"
        else each
        for each in segment.typed or ()
    )
    segments = [*held.segments]
    segments[number] = replace(segment, typed=typed)
    write_manifest(place, replace(held, segments=tuple(segments)))
    return f"TransactionRecorded/{segment.file}"


@pytest.mark.parametrize(("column", "value"), FORGERIES)
@pytest.mark.parametrize("part", [{}, {"first": 8, "types": ("TransactionRecorded",)}])
async def test_every_column_by_type_follows_from_what_was_signed(
    log: str, tmp_path: Path, column: str, value: Any, part: dict[str, Any]
) -> None:
    held = await exported(log, tmp_path, **part)
    assert covered(tmp_path, held.key) == held.last

    def change(table: Any) -> Any:
        rows = sets(2, **{column: value})(table.to_pylist())
        return pa.Table.from_pylist(rows, table.schema)

    file = retyped(tmp_path, held, 1, change)
    with pytest.raises(VerificationError, match=f"{file}: position .*: {column} does not follow"):
        verify(tmp_path, Verifier.of(str(held.key)))
    code, said = offline(tmp_path, held.key)
    assert code == 1
    assert re.search(f"{file}: position .*: {column} follows", said), said


TABLES: list[tuple[Callable[[Any], Any], str, str]] = [
    (lambda table: table.slice(0, table.num_rows - 1), "is missing", "is not among"),
    (lambda table: pa.concat_tables([table, table.slice(0, 1)]), "none of its own", "no others"),
    (lambda table: table.drop(["amount"]), "not the columns", "has a column amount"),
    (
        lambda table: table.append_column("bonus", pa.array([1] * table.num_rows)),
        "not the columns",
        "bonus follows",
    ),
]


@pytest.mark.parametrize(("change", "words", "offline_words"), TABLES)
async def test_a_file_by_type_has_the_events_of_its_segment_and_their_columns(
    log: str, tmp_path: Path, change: Callable[[Any], Any], words: str, offline_words: str
) -> None:
    held = await exported(log, tmp_path)
    retyped(tmp_path, held, 1, change)
    with pytest.raises(VerificationError, match=words):
        verify(tmp_path, Verifier.of(str(held.key)))
    code, said = offline(tmp_path, held.key)
    assert (code, offline_words in said) == (1, True), said


def described_otherwise(column: str) -> Callable[[Any], Any]:
    """A column says something else of the same numbers."""

    def change(table: Any) -> Any:
        at = table.schema.get_field_index(column)
        kind = {"amount": pa.decimal128(20, 1), "occurred_at": pa.timestamp("ns", tz="UTC")}[column]
        view = table.column(at).combine_chunks().view(kind)
        return table.set_column(at, column, view)

    return change


LOGS: list[tuple[Callable[[Any], Any], str, str]] = [
    (
        lambda table: table.append_column("fee", pa.array([1] * table.num_rows)),
        "not the columns",
        "its columns are those of the log",
    ),
    (described_otherwise("amount"), "amount is decimal128", "amount is of a type"),
    (described_otherwise("occurred_at"), "occurred_at is timestamp", "occurred_at is of a type"),
    (
        lambda table: table.set_column(
            4,
            "entity",
            pa.array(["User" if each == "Loan" else each for each in table["entity"].to_pylist()]),
        ),
        "entity does not follow",
        "entity is Loan",
    ),
]


@pytest.mark.parametrize(("change", "words", "offline_words"), LOGS)
async def test_the_files_of_the_log_have_its_columns_and_say_no_more(
    log: str, tmp_path: Path, change: Callable[[Any], Any], words: str, offline_words: str
) -> None:
    place = tmp_path / "out"
    held = await exported(log, place)
    number, file = next(
        (number, place / each.file)
        for number, each in enumerate(held.segments)
        if "LoanRequested" in {typed.name for typed in each.typed or ()}
    )
    pq.write_table(change(pq.read_table(file)), file, **WRITTEN)
    refitted(place, held, number)
    with pytest.raises(VerificationError, match=words):
        verify(place, Verifier.of(str(held.key)))
    code, said = offline(place, held.key)
    assert (code, offline_words in said) == (1, True), said


def refitted(place: Path, held: Manifest, number: int) -> None:
    """Make the manifest fit a file of the log that was changed."""
    segments = [*held.segments]
    file = place / segments[number].file
    segments[number] = replace(segments[number], sha256=digest(file), size=file.stat().st_size)
    write_manifest(place, replace(held, segments=tuple(segments)))


async def test_a_file_says_no_more_than_its_columns(log: str, tmp_path: Path) -> None:
    place = tmp_path / "out"
    held = await exported(log, place)
    file = place / held.segments[0].file
    indexed = pq.read_table(file).replace_schema_metadata({"pandas": '{"index_columns": ["id"]}'})
    pq.write_table(indexed, file, **WRITTEN | {"store_schema": True})
    refitted(place, held, 0)
    with pytest.raises(VerificationError, match="says more than its columns"):
        verify(place, Verifier.of(str(held.key)))
    code, said = offline(place, held.key)
    assert (code, "says no more than its columns" in said) == (1, True), said


async def test_statistics_that_would_hide_rows_are_found(log: str, tmp_path: Path) -> None:
    place = tmp_path / "out"
    held = await exported(log, place)
    file = place / held.segments[1].file
    data = file.read_bytes()
    end = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    footer = data[end:]
    for amount in filter(None, pq.read_table(file)["amount"].to_pylist()):
        footer = footer.replace(int(amount * 100).to_bytes(9, "big"), (1).to_bytes(9, "big"))
    assert asked(place, "SELECT count(*) > 0 FROM {log} WHERE amount > 101") == [(True,)]
    file.write_bytes(data[:end] + footer)
    query = f"SELECT count(*) FROM '{file}' WHERE amount > 101"
    assert asked(place, query) == [(0,)], "as if they were not there"
    refitted(place, held, 1)
    with pytest.raises(
        VerificationError, match="the statistics of amount are not those of its rows"
    ):
        verify(place, Verifier.of(str(held.key)))
    code, said = offline(place, held.key)
    assert (code, "the statistics of amount are those" in said) == (1, True), said


@pytest.mark.parametrize("name", ["part-0", "more.PARQUET", ".more", "link"])
async def test_a_file_of_any_name_is_found(log: str, tmp_path: Path, name: str) -> None:
    place = tmp_path / "out"
    held = await exported(log, place)
    known, other = place / held.segments[0].file, types_of(place) / "LoanRequested" / name
    if name == "link":
        other.symlink_to(place, target_is_directory=True)
    else:
        other.write_bytes(known.read_bytes())
    with pytest.raises(VerificationError, match=f"{name} is none of the export's files"):
        verify(place, Verifier.of(str(held.key)))
    code, said = offline(place, held.key)
    assert (code, str(other) in said) == (1, True), said


@pytest.mark.parametrize("among", ["the log", "a type", "a type of its own"])
async def test_a_file_that_readers_would_take_for_a_part_of_the_export_is_found(
    log: str, tmp_path: Path, among: str
) -> None:
    place = tmp_path / "out"
    held = await exported(log, place)
    known = type_files(place, "LoanRequested") / held.segments[0].file
    other = {
        "the log": place / "more.parquet",
        "a type": known.with_name("more.parquet"),
        "a type of its own": types_of(place) / "LoanRepaid" / "more.parquet",
    }[among]
    other.parent.mkdir(exist_ok=True)
    other.write_bytes(known.read_bytes())
    with pytest.raises(VerificationError, match=r"more.parquet is none of the export's files"):
        verify(place, Verifier.of(str(held.key)))
    code, said = offline(place, held.key)
    assert (code, str(other) in said) == (1, True), said
    with pytest.raises(BadExport, match=r"more.parquet is none of this export"):
        await exported(log, place)


def as_before(place: Path, held: Manifest) -> None:
    """Lay an export as the program wrote it before there were files by type."""
    for each in (*types_of(place).rglob("*.parquet"), proof_of(place) / MANIFEST):
        each.unlink()
    old = replace(
        held, format=1, segments=tuple(replace(each, typed=None) for each in held.segments)
    )
    for each in proof_of(place).iterdir():
        each.rename(place / each.name)
    proof_of(place).rmdir()
    write_manifest_of_before(place, old)


def write_manifest_of_before(place: Path, held: Manifest) -> None:
    proof_of(place).mkdir()
    write_manifest(place, held)
    text = json.loads((proof_of(place) / MANIFEST).read_text())
    for segment in text["segments"]:
        del segment["typed"]
    (place / MANIFEST).write_text(json.dumps(text))
    (proof_of(place) / MANIFEST).unlink()
    proof_of(place).rmdir()


@pytest.mark.parametrize("part", [{}, {"first": 8}])
async def test_an_export_of_before_is_verified_and_gone_on_with(
    log: str, tmp_path: Path, part: dict[str, Any]
) -> None:
    place = tmp_path / "out"
    held = await exported(log, place, **part)
    as_before(place, held)
    assert covered(place, held.key) == held.last
    assert offline(place, held.key)[0] == 0
    await written(log, paid(77))
    later = await exported(log, place, **part)
    assert later.segments[:-1] == held.segments
    assert all(each.suffix == ".parquet" for each in place.iterdir())
    assert covered(place, held.key) == held.last
    assert offline(place, held.key)[0] == 0


async def test_a_run_that_broke_off_between_its_files_leaves_no_event_twice(
    log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "out"
    whole = await exported(log, tmp_path / "whole")
    pages = list[str]()

    def breaks(file: Path) -> str:
        pages.append(file.name)
        if len(pages) == 3:
            raise OSError("no space left")
        return digest(file)

    with monkeypatch.context() as patch:
        patch.setattr(export_types, "digest", breaks)
        with pytest.raises(OSError, match="no space"):
            await exported(log, place)
    assert list(unexpected_files(place, None)), "files that no manifest names"
    await written(log, paid(77))
    held = await exported(log, place)
    assert held.last == whole.last + 1
    assert pl.read_parquet(place)["position"].sort().to_list() == [*range(1, held.last + 1)]
    assert pl.read_parquet(type_files(place, "TransactionRecorded")).height == 21
    assert covered(place, held.key) == whole.last


async def test_an_export_of_before_is_brought_up_after_a_run_that_broke_off(
    log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "out"
    held = await exported(log, place)
    as_before(place, held)

    def breaks(*_: Any) -> None:
        raise OSError("no space left")

    with monkeypatch.context() as patch:
        patch.setattr(export, "write_manifest", breaks)
        with pytest.raises(OSError, match="no space"):
            await exported(log, place)
    assert list(types_of(place).rglob("*.parquet"))
    assert await exported(log, place) == held
    assert covered(place, held.key) == held.last


def test_an_export_does_not_begin_where_nothing_can_lie_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "is_mount", lambda path: path == tmp_path)
    with pytest.raises(BadExport, match="name a directory inside of it"):
        begin(tmp_path)


async def test_only_the_types_that_are_wanted_have_files(log: str, tmp_path: Path) -> None:
    place = tmp_path / "out"
    await exported(log, place, types=("LoanRequested", "UserRegistered"), first=3)
    assert {each.name for each in types_of(place).iterdir()} == {"LoanRequested", "UserRegistered"}
    assert pl.read_parquet(type_files(place, "UserRegistered"))["position"].to_list() == [3, 4]


def test_every_type_that_was_ever_written_has_its_columns(tmp_path: Path) -> None:
    """The verifier of the reference, which knows no types, sees the same in the sample of all."""
    sample = [json.loads(line) for line in (HERE / "events.ndjson").read_text().splitlines()]
    reader = Reader(sees=False, keys={}, origin="")
    rows = [
        values_of(Line(at, BOLA, 1, each["name"], json.dumps(each["body"]).encode(), AT), reader)
        for at, each in enumerate(sample, 1)
    ]
    place = tmp_path / "out"
    begin(place)
    segment = Segment(file="events-1.parquet", first=1, last=len(rows), rows=len(rows), sha256="")
    table = pa.Table.from_pylist(
        [dict(zip(SCHEMA.names, row, strict=True)) for row in rows], SCHEMA
    )
    pq.write_table(table, place / segment.file, **WRITTEN)
    segment = replace(segment, typed=write_types(place, segment))
    assert {each.name for each in segment.typed or ()} == EVENTS.keys()
    comparison = Comparison(place, segment)
    reference = verifier_of_the_reference()
    typed = [{"name": each.name, "sha256": each.sha256} for each in segment.typed or ()]
    offline = reference.Typed(types_of(place), {"file": segment.file, "typed": typed})
    for row in pq.read_table(place / segment.file).to_pylist():
        comparison.require_same(row)
    for row in reference.rows_in(place / segment.file, {}, reference.IN_THE_LOG):
        offline.check(row)
    comparison.require_whole()
    offline.end()


def test_the_verifier_of_the_reference_knows_what_is_left_out() -> None:
    def shown(value: Any) -> Any:
        return json.loads(json.dumps(value, default=int))

    left_out = {
        f"{name}.{field.column}": shown(field.default)
        for name in EVENTS
        for field in fields_of(name)
        if field.default is not None
    }
    reference = verifier_of_the_reference()
    assert left_out == reference.LEFT_OUT
    assert reference.COMMON == COMMON
    known = {name: each for each, names in reference.ENTITIES.items() for name in names.split()}
    assert known == {event.__name__: entity.__name__ for event, entity in ENTITY_OF.items()}
    assert all(set(COMMON) < set(schema_of(name).names) or not fields_of(name) for name in EVENTS)


async def test_a_forged_log_is_found_though_its_files_by_type_agree(
    log: str, tmp_path: Path
) -> None:
    held = await exported(log, tmp_path)

    def dearer(rows: Any) -> Any:
        for row in rows:
            if row["name"] == "TransactionRecorded":
                data = json.loads(row["data"], parse_float=str) | {"amount": 9}
                row["data"], row["amount"] = json.dumps(data), Decimal("9.00")
        return rows

    forged(tmp_path, held, 1, dearer, types=True)
    with pytest.raises(VerificationError, match="amount, data does not follow from its body"):
        verify(tmp_path, Verifier.of(str(held.key)))
    assert offline(tmp_path, held.key)[0] == 1

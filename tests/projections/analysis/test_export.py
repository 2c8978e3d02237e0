"""The log as Parquet: read by another program it says the same, and it is written once."""

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from msgspec.structs import replace
from psycopg import AsyncConnection
from psycopg.conninfo import conninfo_to_dict

from api.cli.export import verify_export
from projections.analysis import export
from projections.analysis.export_check import verify
from projections.analysis.export_files import (
    BadExport,
    Manifest,
    digest,
    proof_of,
    types_of,
    unexpected_files,
    write_manifest,
)
from projections.analysis.export_rows import SCHEMA
from projections.analysis.export_types import WRITTEN, write_types
from projections.proofs.checkpoints import origins
from projections.proofs.omitted_events import read_proofs
from projections.proofs.signed_note import Signer, VerificationError, Verifier
from rim_ledger.lending.user import AutoLimitDisabled, User, UserErased
from rim_ledger.payments.transaction import Transaction, TransactionRecorded, TransactionType
from tests.conftest import a_database
from tests.projections.proofs.test_origins import forged_origin, restored
from tests.projections.proofs.test_seals import sealed, tampered
from tests.projections.story import ADA, AT, BOLA, START, VAULT, WORLD, erases, opens, rows, written

SCRIPT = Path(__file__).parents[3] / "docs" / "reference" / "verify.py"
COLUMNS = ("position", "stream", "version", "name", "body", "recorded_at")
"""What is signed of an event."""


def paid(number: int) -> Any:
    event = TransactionRecorded(
        transaction_id=f"TXN-2026-{number:06}",
        user_id=BOLA,
        type=TransactionType.REPAYMENT,
        amount=Decimal("100.10") + number,
    )
    return opens(Transaction, WORLD.new_id(), event)


async def exported(url: str, place: Path, **wanted: Any) -> Manifest:
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        known = await origins(connection, VAULT)
        notes = tuple(each.note for each in known.openings)
        key = known.last.verifier.key if known.last else None
        manifest = Manifest(**({"first": 1, "key": key, "origins": notes} | wanted))
        return await export.export(connection, place, manifest)


@pytest.fixture(scope="module")
def template(server: str) -> Iterator[str]:
    """The template of a log with money in it and somebody who was erased."""

    async def story(url: str) -> None:
        payments = [paid(number) for number in range(20)]
        await written(url, *START, *payments, erases(ADA, UserErased()))
        await sealed(url)

    with a_database(server, "template_ledger") as url:
        asyncio.run(story(url))
        yield conninfo_to_dict(url)["dbname"]


@pytest.fixture
def log(server: str, template: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """That log, to be exported in small pieces."""
    for name, size in (("PAGE", 3), ("GROUP", 6), ("SEGMENT", 10)):
        monkeypatch.setattr(export, name, size)
    with a_database(server, template) as url:
        yield url


def covered(place: Path, key: str | None) -> int:
    """How many events of an export are verified with a key."""
    checkpoint, _, _ = verify(place, Verifier.of(str(key)))
    return checkpoint.size


def offline(place: Path, key: str | None) -> tuple[int, str]:
    """What the verifier of the reference says of an export, with nothing but its own imports."""
    file = place.with_name(f"{place.name}.key")
    file.write_text(f"{key}\n")
    words = [sys.executable, "-I", str(SCRIPT), "export", str(file), str(place)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    return done.returncode, done.stdout + done.stderr


def asked(place: Path, query: str) -> list[tuple[Any, ...]]:
    """What DuckDB finds in an export."""
    with duckdb.connect() as connection:
        table = f"read_parquet('{place}/*.parquet')"
        return connection.execute(query.format(log=table)).fetchall()


STORED = """
SELECT name, count(*), sum((body::json #>> '{data,amount}')::numeric(20, 2))
  FROM ledger.events GROUP BY name ORDER BY name COLLATE "C\""""
TOTALS = "SELECT name, count(*), sum(amount) FROM {log} GROUP BY name ORDER BY name"


async def test_another_program_reads_the_same_log(log: str, tmp_path: Path) -> None:
    held = await exported(log, tmp_path)
    assert offline(tmp_path, held.key)[0] == 0
    assert [each.rows for each in held.segments] == [10, 10, held.last - 20]
    stored = rows(
        log,
        "SELECT position, stream_id::text, version, name, body,"
        " (extract(epoch FROM recorded_at) * 1000000)::bigint FROM ledger.events ORDER BY position",
    )
    columns = "position, stream, version, name, body, epoch_us(recorded_at)"
    assert asked(tmp_path, f"SELECT {columns} FROM {{log}} ORDER BY position") == stored
    sums = rows(log, STORED)
    assert asked(tmp_path, TOTALS) == sums
    assert ("TransactionRecorded", 20, Decimal("2192.00")) in sums
    assert asked(tmp_path, "SELECT DISTINCT epoch_us(occurred_at) FROM {log}") == [
        (int(AT.timestamp()) * 1_000_000 + AT.microsecond,)
    ]


async def test_polars_finds_the_same_totals(log: str, tmp_path: Path) -> None:
    await exported(log, tmp_path)
    with pl.SQLContext(log=pl.scan_parquet(tmp_path / "*.parquet")) as context:
        found = context.execute(TOTALS.format(log="log"), eager=True).rows()
    assert _with_amounts(found) == _with_amounts(rows(log, STORED))


@pytest.mark.heavy
@pytest.mark.filterwarnings("ignore")  # The client of Spark warns of its own libraries.
async def test_a_distributed_engine_finds_the_same_totals(
    log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Spark's client asks for this when pytest runs in several processes, and does not use it.
    monkeypatch.setenv("SPARK_HOME", str(tmp_path))
    spark_connect = pytest.importorskip("pysail.spark", reason="needs the group `heavy`")
    session = pytest.importorskip("pyspark.sql", reason="needs the group `heavy`").SparkSession
    await exported(log, tmp_path)
    server = spark_connect.SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    address, port = server.listening_address
    spark = session.builder.remote(f"sc://{address}:{port}").getOrCreate()
    try:
        spark.read.parquet(str(tmp_path)).createOrReplaceTempView("log")
        found = [tuple(row) for row in spark.sql(TOTALS.format(log="log")).collect()]
        payments = spark.read.parquet(str(types_of(tmp_path) / "TransactionRecorded")).count()
    finally:
        spark.stop()
        server.stop()
    assert found == rows(log, STORED)
    assert payments == 20


def _with_amounts(totals: list[Any]) -> list[Any]:
    """Totals in which a sum of no amounts is 0, as Polars has it."""
    return [(name, count, amount or 0) for name, count, amount in totals]


async def test_persons_are_hidden_and_the_erased_are_null(log: str, tmp_path: Path) -> None:
    await exported(log, tmp_path)
    query = "SELECT data, erased FROM {log} WHERE name = 'UserRegistered' ORDER BY position"
    (ada, ada_erased), (bola, bola_erased) = asked(tmp_path, query)
    assert (ada_erased, bola_erased) == (True, False)
    assert (json.loads(ada)["phone"], json.loads(bola)["phone"]) == (None, "***")


async def test_an_export_goes_on_where_it_stopped_and_writes_nothing_twice(
    log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = await exported(log, tmp_path / "whole")
    place, written_out = tmp_path / "broken", export.pq.ParquetWriter.write_table
    tables = list[int]()

    def breaks(writer: Any, table: Any) -> None:
        if table.schema.names == SCHEMA.names:
            tables.append(table.num_rows)
        if len(tables) == 4:
            raise OSError("no space left")
        written_out(writer, table)

    with monkeypatch.context() as patch:
        patch.setattr(export.pq.ParquetWriter, "write_table", breaks)
        with pytest.raises(OSError, match="no space"):
            await exported(log, place)
    assert len(list(proof_of(place).glob("*.partial"))) == 1
    first = {each.name: each.stat().st_mtime_ns for each in place.glob("*.parquet")}
    assert len(first) == 1
    assert (await exported(log, place)).segments == whole.segments
    assert not list(proof_of(place).glob("*.partial"))
    assert all((place / name).stat().st_mtime_ns == at for name, at in first.items())
    again = await exported(log, place)
    assert again.segments == whole.segments
    await written(log, paid(77))
    more = await exported(log, place)
    assert (more.last, more.segments[:-1]) == (whole.last + 1, whole.segments)


DAMAGES: list[tuple[Callable[[Path], object], str]] = [
    (Path.unlink, "is missing"),
    (lambda file: file.write_bytes(file.read_bytes()[:-1]), "bytes instead of"),
    (lambda file: file.write_bytes(b""), "has 0 bytes instead of"),
    (lambda file: file.write_bytes(b"!" + file.read_bytes()[1:]), "is not the file"),
]


@pytest.mark.parametrize("new", [False, True], ids=["nothing is new", "something is new"])
@pytest.mark.parametrize(("damage", "words"), DAMAGES)
async def test_an_export_is_not_gone_on_with_where_an_earlier_file_is_not_as_it_was(
    log: str, tmp_path: Path, damage: Callable[[Path], object], words: str, *, new: bool
) -> None:
    held = await exported(log, tmp_path)
    damage(tmp_path / held.segments[1].file)
    manifest = (proof_of(tmp_path) / "manifest.json").read_bytes()
    if new:
        await written(log, paid(77))
    with pytest.raises(BadExport, match=words):
        await exported(log, tmp_path)
    assert (proof_of(tmp_path) / "manifest.json").read_bytes() == manifest


async def test_an_export_of_an_earlier_version_is_gone_on_with(log: str, tmp_path: Path) -> None:
    held = await exported(log, tmp_path)
    old = [replace(each, size=None) for each in held.segments]
    before = replace(held, segments=tuple(old))
    (proof_of(tmp_path) / "manifest.json").write_bytes(msgspec.json.encode(before))
    await written(log, paid(77))
    later = await exported(log, tmp_path)
    assert (list(later.segments[:-1]), later.last) == (old, held.last + 1)
    file = tmp_path / held.segments[0].file
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(BadExport, match="is not the file"):
        await exported(log, tmp_path)


async def test_a_part_of_the_log_is_exported_alone(log: str, tmp_path: Path) -> None:
    await exported(log, tmp_path, first=8, types=("TransactionRecorded",))
    found = asked(tmp_path, "SELECT DISTINCT name, min(position) >= 8 FROM {log} GROUP BY name")
    assert found == [("TransactionRecorded", True)]
    with pytest.raises(BadExport, match="from position 8 of TransactionRecorded"):
        await exported(log, tmp_path)


async def test_an_export_is_verified_with_the_public_key_alone(log: str, tmp_path: Path) -> None:
    held = await exported(log, tmp_path)
    verifier = Verifier.of(str(held.key))
    assert covered(tmp_path, held.key) == held.last
    await written(log, paid(99))
    later = await exported(log, tmp_path)
    assert covered(tmp_path, held.key) == held.last == later.last - 1
    with pytest.raises(VerificationError):
        verify(tmp_path, Signer(b"k" * 32))
    file = tmp_path / held.segments[1].file
    was = file.read_bytes()
    file.write_bytes(was[:100] + b"!" + was[101:])
    with pytest.raises(VerificationError, match="not the file that was written"):
        verify(tmp_path, verifier)


def forged(
    place: Path, held: Manifest, number: int, change: Callable[[Any], Any], *, types: bool = False
) -> None:
    """Change a segment of an export (and its files by type), and its manifest so that it fits."""
    segment = held.segments[number]
    schema = pq.read_schema(place / segment.file)
    rows = change(pq.read_table(place / segment.file).to_pylist())
    pq.write_table(pa.Table.from_pylist(rows, schema), place / segment.file, **WRITTEN)
    now = replace(segment, sha256=digest(place / segment.file))
    if types:
        shutil.rmtree(types_of(place))
        types_of(place).mkdir()
        segments = [replace(each, typed=write_types(place, each)) for each in held.segments]
        now = replace(now, typed=segments[number].typed)
    else:
        segments = [*held.segments]
    segments[number] = now
    write_manifest(place, replace(held, segments=tuple(segments)))


def sets(at: int, **values: Any) -> Callable[[Any], Any]:
    """A change of columns in the row at a place of a segment."""
    return lambda rows: [row | (values if place == at else {}) for place, row in enumerate(rows)]


async def test_an_export_that_was_changed_with_its_manifest_is_found_out(
    log: str, tmp_path: Path
) -> None:
    held = await exported(log, tmp_path)
    body = pq.read_table(tmp_path / held.segments[1].file).column("body").to_pylist()[3]
    text = body.replace("browser", "program")
    assert text != body
    forged(tmp_path, held, 1, sets(3, body=text))
    words = f"the first {held.last} events are not those that were signed"
    with pytest.raises(VerificationError, match=words):
        verify(tmp_path, Verifier.of(str(held.key)))


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("id", "01a208a3-804d-7d2f-b6f2-2b051c51e98b"),
        ("entity", "Loan"),
        ("occurred_at", AT + timedelta(days=1)),
        ("actor_type", "user"),
        ("actor_id", None),
        ("actor_name", "somebody"),
        ("request_id", "r-2"),
        ("causation_id", "r-2"),
        ("amount", Decimal("910.10")),
        ("amount", None),
        ("erased", True),
        ("data", '{"amount":910.10}'),
    ],
)
@pytest.mark.parametrize("part", [{}, {"first": 8, "types": ("TransactionRecorded",)}])
async def test_every_column_that_people_query_follows_from_what_was_signed(
    log: str, tmp_path: Path, column: str, value: object, part: dict[str, Any]
) -> None:
    held = await exported(log, tmp_path, **part)
    assert covered(tmp_path, held.key) == held.last
    forged(tmp_path, held, 1, sets(3, **{column: value}))
    words = f"{held.segments[1].file}: position .*: {column} does not follow from its body"
    with pytest.raises(VerificationError, match=words):
        verify(tmp_path, Verifier.of(str(held.key)))
    code, said = offline(tmp_path, held.key)
    assert code == 1
    assert re.search(f"{held.segments[1].file}: position .*{column}", said), said


@pytest.mark.parametrize("column", ["position", "stream", "version", "name", "recorded_at"])
async def test_what_was_signed_beside_the_body_is_compared_too(
    log: str, tmp_path: Path, column: str
) -> None:
    held = await exported(log, tmp_path)
    other = {
        "position": 99,
        "stream": str(ADA),
        "version": 7,
        "name": "UserErased",
        "recorded_at": AT,
    }
    forged(tmp_path, held, 1, sets(3, **{column: other[column]}))
    with pytest.raises(VerificationError):
        verify(tmp_path, Verifier.of(str(held.key)))
    assert offline(tmp_path, held.key)[0] == 1


async def test_words_that_are_hidden_as_those_of_an_erased_person_need_the_erasure(
    log: str, tmp_path: Path
) -> None:
    held = await exported(log, tmp_path)

    def erases_bola(rows: Any) -> Any:
        for row in rows:
            if row["name"] == "UserRegistered" and not row["erased"]:
                nothing = dict.fromkeys(["phone", "email", "name"])
                data = json.loads(row["data"], parse_float=str)
                assert {data[name] for name in nothing} == {"***"}
                row["data"] = row["data"].replace('"***"', "null")
                row["erased"] = True
        return rows

    forged(tmp_path, held, 0, erases_bola, types=True)
    with pytest.raises(
        VerificationError, match=f"position 4 hides words of {BOLA} as erased, who was not"
    ):
        verify(tmp_path, Verifier.of(str(held.key)))
    code, said = offline(tmp_path, held.key)
    assert (code, BOLA.hex in said) == (1, True)


PARTS: list[dict[str, Any]] = [
    {"first": 8},
    {"first": 2},
    {"types": ("UserRegistered",)},
    {"types": ("TransactionRecorded",), "first": 9},
    {"types": ("UserErased",)},
    {"types": ("LoanRejected",)},
    {"types": ("AdminRoleCreated", "UserRegistered")},
]


@pytest.mark.parametrize("part", PARTS)
async def test_a_part_of_the_log_is_verified_with_the_proofs_that_lie_beside_it(
    log: str, tmp_path: Path, part: dict[str, Any]
) -> None:
    """Also when it grows, when the last events are not sealed yet, and after a restore."""
    await exported(log, tmp_path, **part)
    await written(log, paid(50), paid(51), opens(User, BOLA, AutoLimitDisabled()))
    held = await exported(log, tmp_path, **part)
    assert covered(tmp_path, held.key) == held.last - 3
    await sealed(log)
    held = await exported(log, tmp_path, **part)
    assert covered(tmp_path, held.key) == held.last
    await restored(log)
    await written(log, paid(52))
    await sealed(log)
    later = await exported(log, tmp_path, **part)
    assert covered(tmp_path, held.key) == later.last
    for key in (held.key, later.key):
        code, said = offline(tmp_path, key)
        assert (code, f"up to position {later.last}" in said) == (0, True), said
    assert len({each.file for each in later.proofs}) == len(later.proofs) == 3


@pytest.mark.parametrize("part", PARTS[:4])
async def test_a_forged_part_of_the_log_is_found_out(
    log: str, tmp_path: Path, part: dict[str, Any]
) -> None:
    held = await exported(log, tmp_path, **part)
    key = Verifier.of(str(held.key))
    number = next(place for place, each in enumerate(held.segments) if each.rows > 1)

    def without_one(rows: Any) -> Any:
        return rows[:-1]

    forged(tmp_path, held, number, without_one, types=True)
    with pytest.raises(VerificationError, match="events instead of"):
        verify(tmp_path, key)
    segment = held.segments[number]
    text = (proof_of(tmp_path) / "manifest.json").read_text()
    text = text.replace(f'"rows": {segment.rows},', f'"rows": {segment.rows - 1},')
    (proof_of(tmp_path) / "manifest.json").write_text(text)
    with pytest.raises(VerificationError, match="is missing"):
        verify(tmp_path, key)
    code, said = offline(tmp_path, held.key)
    assert (code, "is in the export" in said) == (1, True), said


async def test_a_part_that_hides_words_has_the_erasures_beside_it(log: str, tmp_path: Path) -> None:
    held = await exported(log, tmp_path, types=("UserRegistered",))
    (proof,) = held.proofs
    texts = [each.entry for each in read_proofs(proof_of(tmp_path) / proof.file) if each.entry]
    assert [text.split(b"\n")[1].decode() for text in texts] == [str(ADA)]


async def test_a_file_of_proofs_that_is_missing_is_told(log: str, tmp_path: Path) -> None:
    held = await exported(log, tmp_path, first=8)
    (proof_of(tmp_path) / held.proofs[0].file).unlink()
    with pytest.raises(BadExport, match="is missing"):
        await exported(log, tmp_path, first=8)


async def test_an_erasure_that_is_not_sealed_yet_is_told(log: str, tmp_path: Path) -> None:
    await written(log, erases(BOLA, UserErased()))
    held = await exported(log, tmp_path)
    with pytest.raises(BadExport, match="not sealed yet"):
        verify(tmp_path, Verifier.of(str(held.key)))
    await sealed(log)
    held = await exported(log, tmp_path)
    assert covered(tmp_path, held.key) == held.last


async def test_an_export_whose_last_file_was_taken_away_says_where_it_ends(
    log: str, tmp_path: Path
) -> None:
    held = await exported(log, tmp_path)
    less = replace(held, segments=held.segments[:-1])
    write_manifest(tmp_path, less)
    for each in unexpected_files(tmp_path, less):
        each.unlink()
    words = f"it ends at position {less.last}, and was signed up to {held.last}"
    with pytest.raises(VerificationError, match=words):
        verify(tmp_path, Verifier.of(str(held.key)))


@pytest.mark.parametrize(
    "change",
    [
        lambda file: file.write_bytes(file.read_bytes()[:100]),
        lambda file: file.write_bytes(b""),
        lambda file: pq.write_table(pq.read_table(file).drop(["body"]), file),
        lambda file: pq.write_table(pa.table({name: [1] for name in COLUMNS}), file),
        lambda file: pq.write_table(pa.table({name: [None] for name in COLUMNS}), file),
    ],
)
async def test_a_file_without_events_that_fits_its_manifest_is_untrue(
    log: str, tmp_path: Path, change: Callable[[Path], object]
) -> None:
    held = await exported(log, tmp_path)
    segment = held.segments[0]
    change(tmp_path / segment.file)
    text = (proof_of(tmp_path) / "manifest.json").read_text()
    hashed = digest(tmp_path / segment.file)
    (proof_of(tmp_path) / "manifest.json").write_text(text.replace(segment.sha256, hashed))
    with pytest.raises(VerificationError, match="of an export"):
        verify(tmp_path, Verifier.of(str(held.key)))
    code, said = offline(tmp_path, held.key)
    assert (code, str(tmp_path / segment.file) in said) == (1, True), said


async def test_what_is_sealed_after_it_was_exported_is_sealed_in_the_export_too(
    log: str, tmp_path: Path
) -> None:
    place = tmp_path / "out"
    before = (await exported(log, place)).last
    await written(log, paid(98), paid(99))
    held = await exported(log, place)
    (tmp_path / "key").write_text(str(held.key))
    _, words = verify_export(place, tmp_path / "key")
    said = "{} events in {}; the first {} of the log are sealed by".format
    assert words.startswith(said(before + 2, place, before))
    file = place / held.segments[-1].file
    was = file.read_bytes()
    file.write_bytes(was[:100] + b"!" + was[101:])
    (found,), _ = verify_export(place, tmp_path / "key")
    assert found.endswith("is not the file that was written")
    file.write_bytes(was)
    await sealed(log)
    later = await exported(log, place)
    assert (later.segments, later.last) == (held.segments, before + 2)
    _, words = verify_export(place, tmp_path / "key")
    assert words.startswith(said(before + 2, place, before + 2))


async def test_a_key_that_is_no_text_is_untrue(log: str, tmp_path: Path) -> None:
    await exported(log, tmp_path)
    (tmp_path / "key").write_bytes(b"\xff\xfe\x00")
    (found,), _ = verify_export(tmp_path, tmp_path / "key")
    assert found == "this is no verifier key of a log"


async def test_a_manifest_that_is_none_is_refused(log: str, tmp_path: Path) -> None:
    proof_of(tmp_path).mkdir()
    (proof_of(tmp_path) / "manifest.json").write_text("{}")
    with pytest.raises(BadExport, match="cannot be read"):
        await exported(log, tmp_path)


async def test_an_export_of_a_restored_log_is_verified_with_any_of_its_keys(
    log: str, tmp_path: Path
) -> None:
    before = await exported(log, tmp_path)
    opening = await restored(log)
    await sealed(log)
    held = await exported(log, tmp_path)
    assert held.key == opening.verifier.key != before.key
    assert held.origins == (*before.origins, opening.note)
    for key in (before.key, held.key):
        assert covered(tmp_path, key) == held.last == before.last + 1
    with pytest.raises(VerificationError, match="no origin of this log"):
        verify(tmp_path, Signer(b"k" * 32))
    text = (proof_of(tmp_path) / "manifest.json").read_text()
    (proof_of(tmp_path) / "manifest.json").write_text(text.replace("after ", "lost "))
    with pytest.raises(VerificationError):
        verify(tmp_path, Verifier.of(str(before.key)))


async def test_what_opened_an_origin_on_other_events_is_found_in_an_export(
    log: str, tmp_path: Path
) -> None:
    size = rows(log, "SELECT max(size) FROM ledger.checkpoints")[0][0]
    await forged_origin(log, b"r" * 32, b"r" * 32, size)
    held = await exported(log, tmp_path)
    with pytest.raises(
        VerificationError, match=f"the first {size} events are not those that were signed"
    ):
        verify(tmp_path, Verifier.of(str(held.key)))


async def test_an_export_is_not_gone_on_with_after_a_restore_to_before_its_end(
    log: str, tmp_path: Path
) -> None:
    await written(log, paid(99))
    held = await exported(log, tmp_path)
    tampered(log, f"DELETE FROM ledger.events WHERE position = {held.last}")
    opening = await restored(log)
    with pytest.raises(BadExport, match=f"up to position {held.last}, and then {opening}"):
        await exported(log, tmp_path)
    assert (await exported(log, tmp_path / "another")).last == held.last
    with pytest.raises(BadExport, match="another log"):
        await exported(log, tmp_path, origins=(opening.note,))

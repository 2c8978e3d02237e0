"""The log as Parquet: read by another program it says the same, and it is written once."""

import asyncio
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
from psycopg import AsyncConnection

from projections import export
from projections.export import Manifest, Unfitting, verify
from projections.seals import known_signer
from projections.signed_note import Signer, Untrue
from rim_ledger.lending.user import UserErased
from rim_ledger.payments.transaction import (
    Transaction,
    TransactionRecorded,
    TransactionType,
)
from tests.projections.story import ADA, AT, BOLA, START, VAULT, WORLD, erases, opens, rows, written
from tests.projections.test_seals import sealed


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
        signer = await known_signer(connection, VAULT)
        manifest = Manifest(**({"first": 1, "key": signer.key if signer else None} | wanted))
        return await export.export(connection, place, manifest)


@pytest.fixture
def log(database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A log with money in it and somebody who was erased, to be exported in small pieces."""
    for name, size in (("PAGE", 3), ("GROUP", 6), ("SEGMENT", 10)):
        monkeypatch.setattr(export, name, size)

    async def story() -> None:
        payments = [paid(number) for number in range(20)]
        await written(database, *START, *payments, erases(ADA, UserErased()))
        await sealed(database)

    asyncio.run(story())
    return database


def asked(place: Path, query: str) -> list[tuple[Any, ...]]:
    """What DuckDB finds in an export."""
    with duckdb.connect() as connection:
        table = f"read_parquet('{place}/*.parquet')"
        return connection.execute(query.format(log=table)).fetchall()


STORED = """
SELECT name, count(*), sum((body::json #>> '{data,amount}')::numeric(20, 2))
  FROM ledger.events GROUP BY name ORDER BY name COLLATE "C\""""
TOTALS = "SELECT name, count(*), sum(amount) FROM {log} GROUP BY name ORDER BY name"


def test_another_program_reads_the_same_log(log: str, tmp_path: Path) -> None:
    held = asyncio.run(exported(log, tmp_path))
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


def test_polars_finds_the_same_totals(log: str, tmp_path: Path) -> None:
    asyncio.run(exported(log, tmp_path))
    with pl.SQLContext(log=pl.scan_parquet(tmp_path / "*.parquet")) as context:
        found = context.execute(TOTALS.format(log="log"), eager=True).rows()
    assert _with_amounts(found) == _with_amounts(rows(log, STORED))


@pytest.mark.filterwarnings("ignore")  # The client of Spark warns of its own libraries.
def test_a_distributed_engine_finds_the_same_totals(log: str, tmp_path: Path) -> None:
    spark_connect = pytest.importorskip("pysail.spark", reason="needs the group `heavy`")
    session = pytest.importorskip("pyspark.sql", reason="needs the group `heavy`").SparkSession
    asyncio.run(exported(log, tmp_path))
    server = spark_connect.SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    address, port = server.listening_address
    spark = session.builder.remote(f"sc://{address}:{port}").getOrCreate()
    try:
        spark.read.parquet(f"{tmp_path}/*.parquet").createOrReplaceTempView("log")
        found = [tuple(row) for row in spark.sql(TOTALS.format(log="log")).collect()]
    finally:
        spark.stop()
        server.stop()
    assert found == rows(log, STORED)


def _with_amounts(totals: list[Any]) -> list[Any]:
    """Totals in which a sum of no amounts is 0, as Polars has it."""
    return [(name, count, amount or 0) for name, count, amount in totals]


def test_persons_are_hidden_and_the_erased_are_null(log: str, tmp_path: Path) -> None:
    asyncio.run(exported(log, tmp_path))
    query = "SELECT data, erased FROM {log} WHERE name = 'UserRegistered' ORDER BY position"
    (ada, ada_erased), (bola, bola_erased) = asked(tmp_path, query)
    assert (ada_erased, bola_erased) == (True, False)
    assert (json.loads(ada)["phone"], json.loads(bola)["phone"]) == (None, "***")


def test_an_export_goes_on_where_it_stopped_and_writes_nothing_twice(
    log: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = asyncio.run(exported(log, tmp_path / "whole"))
    place, written_out = tmp_path / "broken", export.pq.ParquetWriter.write_table
    tables = list[int]()

    def breaks(writer: Any, table: Any) -> None:
        tables.append(table.num_rows)
        if len(tables) == 4:
            raise OSError("no space left")
        written_out(writer, table)

    with monkeypatch.context() as patch:
        patch.setattr(export.pq.ParquetWriter, "write_table", breaks)
        with pytest.raises(OSError, match="no space"):
            asyncio.run(exported(log, place))
    assert len(list(place.glob("*.partial"))) == 1
    first = {each.name: each.stat().st_mtime_ns for each in place.glob("*.parquet")}
    assert len(first) == 1
    assert asyncio.run(exported(log, place)).segments == whole.segments
    assert not list(place.glob("*.partial"))
    assert all((place / name).stat().st_mtime_ns == at for name, at in first.items())
    again = asyncio.run(exported(log, place))
    assert again.segments == whole.segments
    asyncio.run(written(log, paid(77)))
    more = asyncio.run(exported(log, place))
    assert (more.last, more.segments[:-1]) == (whole.last + 1, whole.segments)


def test_a_part_of_the_log_is_exported_alone(log: str, tmp_path: Path) -> None:
    asyncio.run(exported(log, tmp_path, first=8, types=("TransactionRecorded",)))
    found = asked(tmp_path, "SELECT DISTINCT name, min(position) >= 8 FROM {log} GROUP BY name")
    assert found == [("TransactionRecorded", True)]
    with pytest.raises(Unfitting, match="from position 8 of TransactionRecorded"):
        asyncio.run(exported(log, tmp_path))
    with pytest.raises(Unfitting, match="no export of a whole log"):
        verify(tmp_path, Signer(b"k" * 32))


def test_an_export_is_verified_with_the_public_key_alone(log: str, tmp_path: Path) -> None:
    held = asyncio.run(exported(log, tmp_path))
    verifier = export.Verifier.of(str(held.key))
    assert verify(tmp_path, verifier) == held.last
    asyncio.run(written(log, paid(99)))
    later = asyncio.run(exported(log, tmp_path))
    assert verify(tmp_path, verifier) == held.last == later.last - 1
    with pytest.raises(Untrue):
        verify(tmp_path, Signer(b"k" * 32))
    file = tmp_path / held.segments[1].file
    was = file.read_bytes()
    file.write_bytes(was[:100] + b"!" + was[101:])
    with pytest.raises(Untrue, match="not the file that was written"):
        verify(tmp_path, verifier)


def test_an_export_that_was_changed_with_its_manifest_is_found_out(
    log: str, tmp_path: Path
) -> None:
    held = asyncio.run(exported(log, tmp_path))
    verifier = export.Verifier.of(str(held.key))
    segment = held.segments[1]
    table = export.pq.read_table(tmp_path / segment.file)
    bodies = table.column("body").to_pylist()
    bodies[3] = bodies[3].replace("110.10", "910.10").replace("1", "2")
    at = table.schema.get_field_index("body")
    changed = table.set_column(at, "body", [bodies])
    export.pq.write_table(changed, tmp_path / segment.file)
    text = (tmp_path / "manifest.json").read_text()
    digest = export._digest(tmp_path / segment.file)
    (tmp_path / "manifest.json").write_text(text.replace(segment.sha256, digest))
    with pytest.raises(Untrue, match="not those that were signed"):
        verify(tmp_path, verifier)


def test_a_manifest_that_is_none_is_refused(log: str, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(Unfitting, match="cannot be read"):
        asyncio.run(exported(log, tmp_path))

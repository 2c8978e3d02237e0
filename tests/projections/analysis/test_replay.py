"""The tables as of a position in a file of their own: the same as the live ones were then."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from psycopg import AsyncConnection

from projections.analysis.replay import replay
from projections.catalogue import TABLES
from projections.follow.as_of import Moment
from projections.tables.table import UPDATED, Row
from rim_ledger.lending.user import CreditScoreSet, User, UserErased
from tests.projections.story import ADA, BOLA, EVENTS, START, erases, followed, opens, written

OF_POSTGRES = "(extract(epoch FROM {}) * 1000000)::bigint"


def known(row: type[Row]) -> list[str]:
    """The columns that are nobody's words."""
    personal = {"changes"} | {each.name for each in row.COLUMNS.values() if each.personal}
    copies = {each.name for each in row.COLUMNS.values() if not each.taken and each.name != UPDATED}
    return [name for name in (*row.COLUMNS, "version") if name not in personal | copies]


def contents(
    ask: Callable[[str], list[tuple[Any, ...]]], prefix: str, moment: str
) -> dict[str, list[list[Any]]]:
    """Every table, with its moments in microseconds and its JSON read."""
    found = {}
    for table, row in TABLES.items():
        types = {each.name: each.sql_type for each in row.COLUMNS.values()} | {"version": "bigint"}
        names = known(row)
        shown = [(moment if types[n] == "timestamptz" else "{}").format(f'"{n}"') for n in names]
        rows = ask(f"SELECT {', '.join(shown)} FROM {prefix}{table} ORDER BY id")
        jsons = {at for at, name in enumerate(names) if types[name] == "json"}
        found[table] = [[_plain(v, at in jsons) for at, v in enumerate(each)] for each in rows]
    return found


def _plain(value: Any, is_json: bool) -> Any:
    return json.loads(value) if is_json and isinstance(value, str) else value


async def replayed(url: str, upto: int, into: Path) -> None:
    async with await AsyncConnection.connect(url, autocommit=True) as source:
        await replay(source, Moment(upto), into)


@pytest.mark.parametrize("erased", [False, True])
async def test_the_file_has_what_the_tables_had_then(
    database: str, tmp_path: Path, erased: bool
) -> None:
    async def story() -> int:
        head = await written(database, *START)
        await followed(database)
        return head

    head = await story()
    assert head == EVENTS
    with psycopg.connect(database) as connection:
        then = contents(
            lambda query: connection.execute(query.encode()).fetchall(), "read.", OF_POSTGRES
        )
    later = [opens(User, BOLA, CreditScoreSet(score=700, reason="a test"))]
    if erased:
        later.append(erases(ADA, UserErased()))
    await written(database, *later)
    await replayed(database, head, tmp_path / "then.duckdb")
    with duckdb.connect(str(tmp_path / "then.duckdb")) as target:
        found = contents(lambda query: target.execute(query).fetchall(), "", "epoch_us({})")
        people = target.execute("SELECT phone, email, name FROM users").fetchall()
        gone = target.execute("SELECT erased FROM users WHERE id = ?", [str(ADA)]).fetchone()
        assert target.execute("SELECT position FROM tracking").fetchone() == (head,)
    assert gone == (erased,)
    place = known(TABLES["users"]).index("erased")
    for row in then["users"]:
        row[place] = erased and row[0] == ADA
    assert found == then
    assert set(people) == {(None, None, None)}

"""Brings a database up to date: numbered SQL files, each once, in order, one process at a time."""

from importlib.resources import files
from typing import Final

import psycopg

LOCK = 7_264_001
RECORD: Final = b"CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY)"


def scripts() -> dict[str, bytes]:
    """Every script by its name, in order."""
    found = {each.name: each for each in files("rim_ledger.sql").iterdir()}
    return {name: found[name].read_bytes() for name in sorted(found) if name.endswith(".sql")}


def migrate(url: str) -> list[str]:
    """Apply what is missing; the names of the files applied now."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        connection.execute(RECORD)
        done = {name for (name,) in connection.execute("SELECT name FROM migrations")}
        applied = []
        for name, script in scripts().items():
            if name in done:
                continue
            with connection.transaction():
                connection.execute(script)
                connection.execute("INSERT INTO migrations VALUES (%s)", [name])
            applied.append(name)
        return applied

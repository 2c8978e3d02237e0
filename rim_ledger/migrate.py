"""Brings a database up to date: numbered SQL files, each once, in order, one process at a time."""

from importlib.resources import files

import psycopg

LOCK = 7_264_001


def migrate(url: str) -> list[str]:
    """Apply what is missing; the names of the files applied now."""
    scripts = sorted(
        (each for each in files("rim_ledger.sql").iterdir() if each.name.endswith(".sql")),
        key=lambda each: each.name,
    )
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [LOCK])
        connection.execute("CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY)")
        done = {name for (name,) in connection.execute("SELECT name FROM migrations")}
        applied = []
        for script in scripts:
            if script.name in done:
                continue
            with connection.transaction():
                connection.execute(script.read_bytes())
                connection.execute("INSERT INTO migrations VALUES (%s)", [script.name])
            applied.append(script.name)
        return applied

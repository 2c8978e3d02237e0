"""Migrates a database: numbered SQL files, each once, in order, one process at a time."""

from importlib.resources import files
from typing import Final

import psycopg

LOCK = 7_264_001
RECORD: Final = b"CREATE TABLE IF NOT EXISTS migrations (name text PRIMARY KEY)"

# Tables with a trigger against changes are append-only, permanent tables allow no DELETE, and the
# keys are read-only. The service gets no more than this, whoever owns the tables.
GRANTS: Final = """
DO $$
DECLARE one record;
BEGIN
    GRANT USAGE ON SCHEMA ledger TO rim_service;
    FOR one IN
        SELECT c.oid::regclass AS name, c.relname, EXISTS (
                   SELECT FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid
                    WHERE t.tgrelid = c.oid AND p.proname IN ('refuse_change', 'refuse_rewriting')
               ) AS kept
          FROM pg_class c
         WHERE c.relnamespace = 'ledger'::regnamespace AND c.relkind IN ('r', 'p', 'v')
    LOOP
        EXECUTE format('GRANT SELECT, INSERT ON %s TO rim_service', one.name);
        IF one.relname = 'key_ring' THEN
            EXECUTE format('REVOKE INSERT, UPDATE ON %s FROM rim_service', one.name);
        ELSIF one.kept THEN
            EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON %s FROM rim_service', one.name);
        ELSE
            EXECUTE format('GRANT UPDATE ON %s TO rim_service', one.name);
        END IF;
        IF NOT one.kept AND one.relname NOT IN
           ('activity_tiles', 'key_ring', 'numbers', 'personal_keys', 'secrets', 'tiles') THEN
            EXECUTE format('GRANT DELETE ON %s TO rim_service', one.name);
        END IF;
    END LOOP;
    GRANT SELECT ON migrations TO rim_service;
    IF to_regnamespace('read') IS NOT NULL THEN
        GRANT USAGE ON SCHEMA read TO rim_service;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA read TO rim_service;
    END IF;
EXCEPTION WHEN undefined_object OR insufficient_privilege THEN
    RAISE NOTICE 'rim_service was granted nothing';
END $$"""


def scripts() -> dict[str, bytes]:
    """Return every script by its name, in order."""
    found = {each.name: each for each in files("rim_ledger.postgres.sql").iterdir()}
    return {name: found[name].read_bytes() for name in sorted(found) if name.endswith(".sql")}


def migrate(url: str) -> list[str]:
    """Apply missing scripts; return their names."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET lock_timeout = '60s'")
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
        connection.execute(GRANTS)
        return applied

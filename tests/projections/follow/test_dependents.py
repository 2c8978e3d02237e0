"""What others made on the read tables outlives a rebuild, or the rebuild stops and names it."""

import asyncio
import re
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from projections.follow import exchange
from projections.follow.dependents import Irreplaceable
from projections.follow.rebuild import prepare, rebuild
from projections.tables import schema
from rim_ledger.postgres.migrations import migrate
from tests.projections.story import ADA, START, VAULT, rows, told

LIVE = ["read", "read_masked"]


def change(url: str, *statements: str) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


@pytest.fixture
def role(database: str) -> Iterator[str]:
    """A role that may log in; gone with its rights afterwards."""
    name = f"reader_{uuid4().hex}"
    change(database, f"CREATE ROLE {name} LOGIN PASSWORD 'secret'")
    yield name
    change(database, f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")


def asked(url: str, role: str, query: str) -> list[tuple[object, ...]]:
    """What a role finds that logs in by itself."""
    return rows(make_conninfo(url, user=role, password="secret"), query)


async def test_grants_are_as_they_were(database: str, role: str) -> None:
    await told(database, *START)
    change(
        database,
        f"GRANT USAGE ON SCHEMA read TO {role}",
        f"GRANT SELECT ON read.loans TO {role} WITH GRANT OPTION",
        f"GRANT SELECT (id, credit_limit) ON read.users TO {role}",
        f"GRANT SELECT ON read.admin_activity_logs, read.tracking TO {role}",
        f"ALTER DEFAULT PRIVILEGES IN SCHEMA read GRANT SELECT ON TABLES TO {role}",
        f"GRANT SELECT ON read_masked.users TO {role}",
    )
    query = (
        "SELECT relnamespace::regnamespace::text, relname, relacl::text, (SELECT"
        " array_agg(attname || attacl::text ORDER BY attnum) FROM pg_attribute"
        " WHERE attrelid = c.oid) FROM pg_class c WHERE relkind IN ('r', 'v')"
        " AND relnamespace::regnamespace::text LIKE 'read%' ORDER BY 1, 2"
    )
    defaults = "SELECT defaclnamespace::regnamespace::text, defaclacl::text FROM pg_default_acl"
    change(database, f"GRANT SELECT ON ALL TABLES IN SCHEMA read TO {role}")
    before = rows(database, query), rows(database, defaults)
    for _ in range(2):
        await rebuild(database, VAULT)
        assert (rows(database, query), rows(database, defaults)) == before
    assert asked(database, role, "SELECT count(*) FROM read.loans") == [(1,)]


async def test_more_grants_make_the_exchange_no_longer(
    database: str, role: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody writes the tables meanwhile, so what was granted goes to the database at once."""
    run, runs = exchange._run, list[str]()

    async def counted(connection: exchange.Connection, statement: str) -> None:
        runs.append(statement)
        await run(connection, statement)

    async def tried() -> list[str]:
        async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
            for statement in schema.bare(exchange.NEXT):
                await connection.execute(statement.encode())
            runs.clear()
            await exchange.try_exchange(connection)
            made = runs.copy()
            await exchange.drop(connection, exchange.NEXT)
        return made

    await told(database, *START)
    monkeypatch.setattr(exchange, "_run", counted)
    before = await tried()
    change(
        database, f"GRANT SELECT, REFERENCES ON ALL TABLES IN SCHEMA read, read_masked TO {role}"
    )
    after = await tried()
    assert len(before) == len(after)
    assert any(f"read.users TO {role}" in each for each in after)


async def test_views_are_made_again(database: str, role: str) -> None:
    """Those on others as well, with owner, rights, options, comments, indexes and content."""
    await told(database, *START)
    change(
        database,
        f"GRANT USAGE ON SCHEMA read TO {role}",
        f"GRANT SELECT ON read.users TO {role}",
        "CREATE SCHEMA work",
        "CREATE VIEW work.lent WITH (security_barrier=true) AS SELECT l.*, u.credit_limit AS may"
        " FROM read.loans l JOIN read.users u ON u.id = l.user_id",
        f"ALTER VIEW work.lent OWNER TO {role}",
        f"GRANT SELECT ON read.loans TO {role}",
        f"GRANT USAGE ON SCHEMA work TO {role}",
        "CREATE VIEW work.\"By Day\" AS SELECT date_trunc('day', created_at) AS day,"
        " count(*) AS loans FROM work.lent GROUP BY 1",
        f'GRANT SELECT ON work."By Day" TO {role}',
        "COMMENT ON VIEW work.\"By Day\" IS 'of the analysts'' own'",
        "COMMENT ON COLUMN work.\"By Day\".day IS 'UTC'",
        'CREATE MATERIALIZED VIEW work.kept AS SELECT * FROM work."By Day"',
        "CREATE UNIQUE INDEX kept_day ON work.kept (day)",
        "CREATE VIEW read.within AS SELECT id FROM read.users",
        "CREATE VIEW work.masked AS SELECT credit_limit FROM read_masked.users",
        "CREATE INDEX loans_of_their_own ON read.loans (amount) WHERE amount > 0",
    )
    about = (
        "SELECT c.oid::regclass::text, pg_get_userbyid(relowner), relacl::text, reloptions::text,"
        " relkind::text, pg_get_viewdef(c.oid), relispopulated, obj_description(c.oid, 'pg_class'),"
        " (SELECT array_agg(col_description(c.oid, attnum)) FROM pg_attribute WHERE attrelid ="
        " c.oid) FROM pg_class c WHERE relnamespace = 'work'::regnamespace OR relname = 'within'"
        " ORDER BY 1"
    )
    indexes = (
        "SELECT indexdef FROM pg_indexes WHERE indexname IN ('kept_day', 'loans_of_their_own')"
        " ORDER BY 1"
    )
    before = rows(database, about), rows(database, indexes)
    assert len(before[1]) == 2
    for _ in range(2):
        await rebuild(database, VAULT)
        assert (rows(database, about), rows(database, indexes)) == before
    assert rows(database, "SELECT loans FROM work.kept") == [(1,)]
    assert asked(database, role, 'SELECT loans FROM work."By Day"') == [(1,)]
    await told(database)
    assert rows(
        database, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'read%' ORDER BY 1"
    ) == [(name,) for name in LIVE]


async def test_an_update_carries_them_over_too(database: str, role: str) -> None:
    await told(database, *START)
    change(
        database,
        f"GRANT SELECT ON read.loans TO {role}",
        "CREATE VIEW public.lent AS SELECT id FROM read.loans",
        "ALTER TABLE read.users ADD COLUMN former text",
        "COMMENT ON SCHEMA read IS 'of yesterday'",
    )
    assert await prepare(database, VAULT)
    assert rows(database, "SELECT count(*) FROM public.lent") == [(1,)]
    may = f"SELECT has_table_privilege('{role}', 'read.loans', 'SELECT')"
    assert rows(database, may) == [(True,)]


async def test_an_update_from_a_version_without_masked_views_takes_the_same_road(
    database: str,
) -> None:
    await told(database, *START)
    change(
        database,
        "CREATE VIEW public.lent AS SELECT id FROM read.loans",
        "DROP SCHEMA read_masked CASCADE",
        "COMMENT ON SCHEMA read IS 'of yesterday'",
    )
    assert await prepare(database, VAULT)
    assert rows(database, "SELECT count(*) FROM public.lent") == [(1,)]


async def test_a_view_whose_column_is_gone_stops_the_rebuild(database: str) -> None:
    await told(database, *START)
    change(
        database,
        "ALTER TABLE read.users ADD COLUMN former text",
        "CREATE VIEW public.olds AS SELECT former FROM read.users",
        "CREATE VIEW public.older AS SELECT former AS f FROM public.olds",
        "CREATE VIEW public.fine AS SELECT id FROM read.users",
        "COMMENT ON SCHEMA read IS 'of yesterday'",
    )
    with pytest.raises(Irreplaceable) as stopped:
        await prepare(database, VAULT)
    assert 'view public.olds (column "former" does not exist)' in str(stopped.value)
    assert "view public.older" in str(stopped.value)
    assert "public.fine" not in str(stopped.value)
    assert "\n" not in str(stopped.value)
    assert rows(database, "SELECT count(*) FROM public.olds") == [(2,)]
    left = "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'read%' ORDER BY 1"
    assert rows(database, left) == [(name,) for name in LIVE]
    change(database, "DROP VIEW public.olds CASCADE")
    assert await prepare(database, VAULT)
    assert rows(database, "SELECT count(*) FROM public.fine") == [(2,)]


NOTED = "CREATE FUNCTION public.noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
OWED = "CREATE FUNCTION public.owed() RETURNS numeric BEGIN ATOMIC SELECT sum(amount) FROM {}; END"
INSTEAD = "TRIGGER v INSTEAD OF INSERT ON public.lent FOR EACH ROW EXECUTE FUNCTION public.noted()"
OTHERS = {
    "table read.theirs": ["CREATE TABLE read.theirs AS SELECT * FROM read.loans"],
    "constraint notes_loan_fkey on table public.notes": [
        "CREATE TABLE public.notes (loan uuid REFERENCES read.loans)"
    ],
    "column kept of table public.notes": ["CREATE TABLE public.notes (kept read.loans)"],
    "function public.owed()": [OWED.format("read.loans")],
    "function read.one()": ["CREATE FUNCTION read.one() RETURNS int LANGUAGE sql AS 'SELECT 1'"],
    "policy p on table read.loans": ["CREATE POLICY p ON read.loans USING (true)"],
    "trigger t on table read.loans": [
        NOTED,
        "CREATE TRIGGER t AFTER INSERT ON read.loans EXECUTE FUNCTION public.noted()",
    ],
    "statistics object public.s": ["CREATE STATISTICS public.s ON amount, status FROM read.loans"],
    "publication of table read.loans in publication p": [
        "CREATE PUBLICATION p FOR TABLE read.loans"
    ],
    "trigger v on view public.lent": [
        "CREATE VIEW public.lent AS SELECT id FROM read.loans",
        NOTED,
        f"CREATE {INSTEAD}",
    ],
}


@pytest.mark.parametrize("name", OTHERS)
async def test_what_cannot_be_made_again_stops_the_rebuild_and_is_named(
    database: str, name: str
) -> None:
    await told(database, *START)
    change(database, *OTHERS[name])
    with pytest.raises(Irreplaceable, match=re.escape(name)):
        await rebuild(database, VAULT)
    assert rows(database, "SELECT count(*) FROM read.loans") == [(1,)]


async def test_a_view_that_is_made_meanwhile_is_kept(database: str) -> None:
    await told(database, *START)

    def make(done: int, total: int) -> None:
        change(database, "CREATE OR REPLACE VIEW public.lent AS SELECT id FROM read.loans")

    assert (await rebuild(database, VAULT, make)).swapped
    assert rows(database, "SELECT count(*) FROM public.lent") == [(1,)]


async def test_a_reader_of_a_view_holds_up_the_swap_and_nobody_else(database: str) -> None:
    await told(database, *START)
    change(database, "CREATE VIEW public.lent AS SELECT id FROM read.loans")
    async with await psycopg.AsyncConnection.connect(database) as reader:
        await reader.execute("SELECT FROM public.lent")
        task = asyncio.create_task(rebuild(database, VAULT))
        await asyncio.sleep(1)
        assert not task.done()
        change(database, "SET lock_timeout = '5s'", "SELECT count(*) FROM read.users")
        await reader.commit()
        assert (await task).swapped
    assert rows(database, "SELECT count(*) FROM public.lent") == [(1,)]


async def test_analysts_see_no_word_about_a_person_and_do_so_after_rebuilds(
    database: str, role: str
) -> None:
    migrate(database)
    await told(database, *START)
    change(database, f"GRANT rim_analyst TO {role}")
    for _ in range(2):
        query = f"SELECT phone, email, name, credit_limit FROM read_masked.users WHERE id = '{ADA}'"
        assert [row[:3] for row in asked(database, role, query)] == [(None, None, None)]
        for (table,) in rows(database, "SELECT tablename FROM pg_tables WHERE schemaname = 'read'"):
            if table != "tracking":
                words = str(asked(database, role, f"SELECT t::text FROM read_masked.{table} t"))
                assert "school fees" not in words
                assert "example.com" not in words
                assert "080312345" not in words
            for hidden in (f"read.{table}", "ledger.events", "ledger.secrets"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege):
                    asked(database, role, f"SELECT FROM {hidden}")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            asked(database, role, "DELETE FROM read_masked.users")
        assert (await rebuild(database, VAULT)).swapped

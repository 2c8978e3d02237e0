"""Who only reads the log needs no master secret, no right to write, and no home of their own."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg.errors import InsufficientPrivilege

from rim_ledger.postgres.server import OWNER, EmbeddedPostgres
from tests.cli.service import Service, a_service, stop
from tests.cli.test_seals import PASSWORD, kept


@pytest.fixture(scope="module")
def lender() -> Iterator[Service]:
    """A service that runs, and has sealed its log."""
    with a_service(forked=True) as service:
        process, _, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
        kept(service, "latest")
        yield service
        stop(process)


@pytest.fixture(scope="module")
def login(lender: Service) -> str:
    """The database's URL for a login with the rights of rim_reader alone."""
    owner = EmbeddedPostgres.running(lender.home / "postgres", OWNER)
    assert owner
    with psycopg.connect(owner, autocommit=True) as connection:
        connection.execute("CREATE ROLE halima LOGIN PASSWORD 'words' IN ROLE rim_reader")
        connection.execute("CREATE ROLE nobody_much LOGIN PASSWORD 'words'")
    return f"postgresql://halima:words@/rim_ledger?host={lender.home}/postgres/socket&port=5432"


@pytest.fixture(params=["absent", "empty", "read-only"])
def reader(request: pytest.FixtureRequest, lender: Service, tmp_path: Path) -> Iterator[Service]:
    """Whoever reads with another home, in which there is nothing; and nothing after it."""
    home = tmp_path / "home"
    if request.param != "absent":
        home.mkdir(mode=0o700 if request.param == "empty" else 0o500)
    yield Service(home)
    assert [each.name for each in tmp_path.iterdir() if each.name != "out"] == (
        [] if request.param == "absent" else ["home"]
    )
    assert not home.exists() or not [*home.iterdir()]


def run(service: Service, *arguments: str, **settings: str) -> str:
    done = service.run(*arguments, **settings)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_log_is_read_without_a_master_secret(
    reader: Service, login: str, lender: Service, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    policy = out / "policy.json"
    policy.write_text(json.dumps({"lending": {"autoApproveMinScore": 700}}))
    for env in ("development", "production"):
        given = {"DATABASE_URL": login, "RIM_ENV": env}
        assert "events up to position" in run(reader, "export", "--to", str(out / env), **given)
        assert "***" in run(reader, "export", "--to", "-", **given)
        then = str(out / f"{env}.duckdb")
        assert "the tables at position" in run(reader, "replay", "--into", then, **given)
        assert "0 requests" in run(reader, "backtest", "--policy", str(policy), **given)
        said = run(reader, "verify", **given)
        assert said.startswith("MACs not checked, nor names, secrets, keys, ")
        assert "set RIM_SECRET_KEY" in said
        assert said.endswith(": as they were signed\n")
    secret = (lender.home / "secret.key").read_text().strip()
    said = run(reader, "verify", DATABASE_URL=login, RIM_SECRET_KEY=secret)
    assert "this login may not read the ring of keys" in said
    key = str(kept(lender, "key"))
    verified = run(reader, "verify", "--export", str(out / "development"), "--key", key)
    assert "are sealed by" in verified


def test_where_there_is_no_ledger_or_no_right_it_is_said_in_a_line(
    reader: Service, login: str
) -> None:
    for settings, words in (
        ({}, "there is no ledger in"),
        ({"DATABASE_URL": login.replace("halima", "nobody_much")}, "grant it the role rim_reader"),
    ):
        for command in ("verify", "export --to -", "backups list"):
            done = reader.run(*command.split(), **settings)
            assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
            assert words in done.stderr
    assert reader.run("status").returncode == 1
    sealed = reader.run("verify-backup", "a.rim")
    assert "there is no RIM_SECRET_KEY" in sealed.stderr


def test_at_home_the_codes_are_checked_as_well(lender: Service) -> None:
    assert "not checked" not in run(lender, "verify")
    (lender.home / "secret.key").rename(lender.home / "kept.key")
    try:
        assert "MACs not checked" in run(lender, "verify")
        assert not (lender.home / "secret.key").exists()
        wrong = lender.run("verify", RIM_SECRET_KEY="another secret of many words, but long")
        assert "is not the secret that this ledger was written with" in wrong.stderr
    finally:
        (lender.home / "kept.key").rename(lender.home / "secret.key")


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT wrapped FROM ledger.personal_keys",
        "SELECT * FROM ledger.secrets",
        "SELECT * FROM ledger.key_ring",
        "SELECT * FROM ledger.claims",
        "SELECT * FROM ledger.activity",
        "SELECT * FROM read.users",
        "DELETE FROM ledger.tiles",
        "INSERT INTO ledger.checkpoints (number, size, note) VALUES (1, 1, '')",
        "SELECT ledger.keep_writers_out()",
    ],
)
def test_a_reader_of_the_log_may_do_nothing_else(statement: str, login: str) -> None:
    with psycopg.connect(login) as connection, pytest.raises(InsufficientPrivilege):
        connection.execute(statement.encode())

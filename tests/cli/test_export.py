"""The log written out by the command, and verified where there is no database."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import polars as pl

from tests.cli.service import Service, stop
from tests.cli.test_seals import PASSWORD, kept

SCRIPT = Path(__file__).parents[2] / "docs" / "reference" / "verify.py"


def test_the_log_is_written_out_and_verified_without_its_database(service: Service) -> None:
    running, _, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
    place = str(service.home.parent / "out")
    size = int(kept(service, "latest").read_text().split("\n")[1])
    for _ in range(2):
        written = service.run("export", "--to", place)
        assert written.returncode == 0, written.stderr
        assert f"{size} events up to position {size}" in written.stdout
    lines = service.run("export", "--to", "-", "--from", "3")
    assert lines.returncode == 0, lines.stderr
    events = [json.loads(line) for line in lines.stdout.splitlines()]
    assert [each["position"] for each in events] == [*range(3, size + 1)]
    some = service.run("export", "--to", "-", "--types", "AdminCreated")
    admin, *_ = [json.loads(line) for line in some.stdout.splitlines()]
    assert (admin["type"], admin["data"]["email"]) == ("AdminCreated", "***")
    parts = {f"{place}-from": ["--from", "5"], f"{place}-types": ["--types", "AdminCreated"]}
    for part, wanted in parts.items():
        assert service.run("export", "--to", part, *wanted).returncode == 0
    assert pl.read_parquet(place).height == size
    made = pl.read_parquet(f"{place}.types/AdminCreated").select("username", "email").rows()
    assert ("admin", "***") in made
    stop(running)
    key = str(kept(service, "key"))
    for each in (place, *parts):
        verified = service.run("verify", "--export", each, "--key", key)
        assert verified.returncode == 0, verified.stdout + verified.stderr
        assert f"the first {size} of the log are sealed" in verified.stdout
        alone = subprocess.run(
            [sys.executable, "-I", str(SCRIPT), "export", key, each],
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert (alone.returncode, alone.stderr) == (0, ""), alone.stderr
    both = service.run("export", "--to", "-", "--types", "AdminCreated", "AdminRoleGranted")
    assert {json.loads(line)["type"] for line in both.stdout.splitlines()} == {
        "AdminCreated",
        "AdminRoleGranted",
    }
    for wrong in (
        ["--to", place, "--types", "Nothing"],
        ["--to", place, "--from", "0"],
        ["--to", place, "--from", "2"],
        ["--to", f"{place}.2", "--from", str(size + 99)],
        ["--to", "-", "--from", str(size + 99)],
        ["--to", key],
    ):
        refused = service.run("export", *wrong)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1), refused.stderr


def test_the_tables_as_they_were_are_written_into_a_file(service: Service) -> None:
    made = service.run("init", RIM_ADMIN_PASSWORD=PASSWORD)
    assert made.returncode == 0, made.stderr
    place = service.home.parent / "then.duckdb"
    written = service.run("replay", "--into", str(place), "--until", "2")
    assert written.returncode == 0, written.stderr
    assert written.stdout == f"{place}: the tables at position 2\n"
    with duckdb.connect(str(place), read_only=True) as tables:
        assert tables.execute("SELECT count(*) FROM audit_logs").fetchone() == (2,)
    for wrong in (["--into", str(place)], ["--into", f"{place}.2", "--until", "soon"]):
        refused = service.run("replay", *wrong)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1), refused.stderr

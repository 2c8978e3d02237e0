"""The log: lines that programs read, which say when, who, and about which request."""

import json
import logging
import re

import httpx
import psycopg
import pytest

from api.cli.logs import JsonLine, Line
from api.http.call import REQUEST
from rim_ledger.postgres.server import EmbeddedPostgres
from tests.cli.service import PATIENCE, a_service, stop
from tests.cli.test_up import PASSWORD

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
NAMES = {"serve", "follow", "clock", "seal"}


def test_a_line_says_when_who_and_about_which_request() -> None:
    record = logging.makeLogRecord({"msg": "two\nlines", "levelname": "INFO", "process": 7})
    assert re.fullmatch(TIME + r" INFO clock\[7\] two\nlines", Line("clock").format(record))
    token = REQUEST.set("r-1")
    try:
        assert Line("serve").format(record).endswith("two\nlines (request r-1)")
        text = JsonLine("serve").format(record)
    finally:
        REQUEST.reset(token)
    assert "\n" not in text
    said = json.loads(text)
    assert re.fullmatch(TIME, said.pop("time"))
    assert said == {
        "level": "info", "process": "serve", "pid": 7, "message": "two\nlines", "requestId": "r-1",
    }  # fmt: skip


def test_every_line_of_a_running_service_can_be_json() -> None:
    with a_service() as service:
        settings = {"RIM_LOG_FORMAT": "json", "RIM_ACCESS_LOG": "true"}
        process, url, before = service.up(RIM_ADMIN_PASSWORD=PASSWORD, **settings)
        headers = {"X-Request-Id": "r-42"}
        url = url.rstrip('"}')
        path = f"{url}/v1/loans/hidden-id?userId=hidden-user"
        assert httpx.get(path, headers=headers, timeout=PATIENCE).status_code == 401
        status = json.loads(service.run("status", "--json").stdout)
        database = EmbeddedPostgres.running(service.home / "postgres")
        assert database
        with psycopg.connect(database) as connection:
            query = "SELECT DISTINCT application_name FROM pg_stat_activity"
            names = {name for (name,) in connection.execute(query)}
        process.terminate()
        after, _ = process.communicate(timeout=PATIENCE)
        stop(process)
    assert status["ready"]
    assert {f"rim-ledger {name}" for name in NAMES} <= names
    lines = [
        json.loads(line) for line in (before + after).splitlines() if "first login" not in line
    ]
    assert {each["process"] for each in lines if each["message"] == "started"} == NAMES
    (access,) = [each for each in lines if each.get("requestId") == "r-42"]
    assert (access["method"], access["path"], access["status"]) == ("GET", "/v1/loans/{id}", 401)
    assert "hidden" not in before + after


@pytest.mark.parametrize("format", ["text", "json"])
def test_a_failing_command_says_why_in_one_line(format: str) -> None:
    with a_service() as service:
        told = service.run("status", RIM_LOG_FORMAT=format)
    assert (told.returncode, told.stdout, told.stderr.count("\n")) == (1, "", 1)
    line = json.loads(told.stderr)["message"] if format == "json" else told.stderr
    assert "nothing runs on" in line

"""The back-test as a command: a report, a list and a picture, and one line for what is wrong."""

import json
from pathlib import Path

import pytest

from api.cli.backtest import new_file
from rim_ledger.operator_error import OperatorError
from tests.cli.service import Service
from tests.demo import Size, fill

PASSWORD = "a policy for tomorrow"
ONLY_READING = {"PGOPTIONS": "-c default_transaction_read_only=on"}
"""What a command is told that changes nothing of the log: the clock may add to it meanwhile."""


def test_a_policy_is_tried_on_the_past(service: Service, tmp_path: Path) -> None:
    _, address, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
    fill(address, PASSWORD, Size(borrowers=25, months=4))
    policy, live = tmp_path / "policy.json", tmp_path / "live.json"
    live.write_text("{}")
    policy.write_text('{"lending": {"autoApprove": true, "autoApproveMinScore": 0}}')
    same = service.run("backtest", "--policy", str(live), **ONLY_READING)
    assert "\n0 would have come out otherwise" in same.stdout, same.stderr
    assert "borrowers: " in same.stderr
    changes, chart = tmp_path / "changes.ndjson", tmp_path / "chart.svg"
    given = ["backtest", "--policy", str(policy), "--changes", str(changes)]
    done = service.run(*given, "--chart", str(chart), "--json", **ONLY_READING)
    report = json.loads(done.stdout)
    lines = [json.loads(line) for line in changes.read_text().splitlines()]
    assert len(lines) == report["changedRequests"] == report["looser"]["requests"] > 0
    assert {each["after"] for each in lines} == {"approved"}
    assert chart.read_text().startswith("<svg ")
    again = service.run(*given)
    assert (again.returncode, again.stdout) == (1, "")
    assert "is there already" in again.stderr
    nowhere = service.run(*given[:-1], str(tmp_path / "none" / "changes.ndjson"))
    assert (nowhere.returncode, nowhere.stdout) == (1, "")
    assert nowhere.stderr.endswith(f"{tmp_path / 'none'} is no directory\n")
    for text, words in (
        ("{", "not valid JSON"),
        ('{"lending": {"autoapprove": 1}}', "autoapprove"),
    ):
        policy.write_text(text)
        wrong = service.run("backtest", "--policy", str(policy))
        assert wrong.returncode == 1
        assert words in wrong.stderr
        assert len(wrong.stderr.splitlines()) == 1


def test_of_a_list_that_was_interrupted_nothing_is_left(tmp_path: Path) -> None:
    changes = tmp_path / "changes.ndjson"
    with pytest.raises(KeyboardInterrupt), new_file(changes) as file:
        file.write(b"{}\n")
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir())
    with new_file(changes) as file:
        file.write(b"{}\n")
    assert [each.name for each in tmp_path.iterdir()] == [changes.name]
    with pytest.raises(OperatorError, match="is there already"), new_file(changes) as file:
        file.write(b"[]\n")
    assert changes.read_bytes() == b"{}\n"
    assert [each.name for each in tmp_path.iterdir()] == [changes.name]

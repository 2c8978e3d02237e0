"""Real loans, lent and repaid again through a real service."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.account_statements import Ledger, require_statements
from tests.cli.service import PATIENCE, Service
from tests.real_loans import FILE, lines_of, log_in, read, run

PASSWORD = "lent and repaid again"
SAMPLED = 10
"""The account statement of one borrower in so many is added up."""


@pytest.mark.skipif(not FILE, reason="NANO_LOANS names no file of real loans")
def test_real_loans_come_to_the_figures_of_their_file(service: Service) -> None:
    _, address, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
    path, told = Path(FILE), list[int]()
    outcome = run(path, address, PASSWORD, told.append)
    assert outcome.differences == []
    assert outcome.refused == {"invalid-fields": 4}
    assert outcome.lines == sum(told) == lines_of(path)
    with httpx.Client(base_url=address, timeout=PATIENCE) as client:
        clerk = log_in(client, "admin", PASSWORD)
        sums = client.get("/v1/trial-balance", headers=clerk).text
        users = sorted({str(row.user_id) for row in read(path)})[::SAMPLED]
        assert require_statements(Ledger.at_head(client, clerk), users) > len(users)
    balances = json.loads(sums, parse_float=Decimal)
    lent = [row for row in read(path) if row.amount]
    income = {each["account"]: each["balance"] for each in balances["accounts"]}["4100"]
    assert -income == sum(row.total_due - (row.amount or 0) for row in lent)
    assert balances["totalDebit"] == balances["totalCredit"]
    assert service.run("rebuild", "--check").returncode == 0
    for policy, against, changed in (({}, None, 0), (policy_of(700), policy_of(600), 1763)):
        assert tried(service, policy, against)["changedRequests"] == changed


def policy_of(score: int) -> dict[str, Any]:
    terms = {"autoApprove": True, "autoApproveMinScore": score, "autoApproveMaxAmount": 10**8}
    return {"lending": terms}


def tried(
    service: Service, policy: dict[str, Any], against: dict[str, Any] | None
) -> dict[str, Any]:
    """The report of a back-test, as docs/tutorial/try-a-policy.md runs it."""
    given = ["backtest", "--json"]
    for option, each in (("--policy", policy), ("--against", against)):
        if each is not None:
            file = service.home.parent / f"{option}.json"
            file.write_text(json.dumps(each))
            given += [option, str(file)]
    report: dict[str, Any] = json.loads(service.run(*given).stdout)
    return report

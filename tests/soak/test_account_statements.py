"""The account statements of all borrowers of two large books add up (make soak)."""

from pathlib import Path

import httpx
import pytest

from tests.account_statements import Ledger, require_statements
from tests.cli.service import PATIENCE, a_service, stop
from tests.cli.trial import PASSWORD
from tests.demo import USUAL, fill
from tests.real_loans import FILE, log_in, read, run

pytestmark = pytest.mark.soak


def test_every_statement_of_the_usual_demo_adds_up() -> None:
    with a_service() as service:
        process, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
        _, refused = fill(url, PASSWORD)
        assert refused == []
        assert require_all(url) == USUAL.borrowers
        stop(process)


@pytest.mark.skipif(not FILE, reason="NANO_LOANS names no file of real loans")
def test_every_statement_of_real_loans_adds_up() -> None:
    with a_service() as service:
        process, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
        outcome = run(Path(FILE), url, PASSWORD, lambda _: None)
        assert outcome.differences == []
        assert require_all(url) == len({row.customer for row in read(Path(FILE))})
        stop(process)


def require_all(url: str) -> int:
    """Check the statement of every user of a service; return how many users that are."""
    with httpx.Client(base_url=url, timeout=PATIENCE) as client:
        ledger = Ledger.at_head(client, log_in(client, "admin", PASSWORD))
        users = [each["id"] for each in ledger.rows("/v1/users")]
        movements = require_statements(ledger, users)
    print(f"{len(users)} statements with {movements} movements add up", flush=True)
    assert movements > len(users)
    return len(users)

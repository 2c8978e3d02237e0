"""What is due: proposals expire, and the clock does nothing that takes two people."""

import pytest

from rim_ledger.approvals.approval_rule import ApprovalRule
from rim_ledger.approvals.approval_rule_commands import CreateApprovalRule
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.lending.dispatch import Dispatch
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import ApproveLoan, RevokeApproval
from rim_ledger.system.config import SetConfig
from tests.lending.test_dispatch import lend, loan_in, stamp, tick


@pytest.mark.parametrize(("threshold", "sent"), [(99, 0), (100, 1)])
def test_the_clock_disburses_nothing_that_takes_two_people(
    database: str, threshold: int, sent: int
) -> None:
    async def story(dispatch: Dispatch, loan: Receipt) -> None:
        ledger = dispatch.ledger
        automatic = SetConfig(category="lending", key="autoDisburse", value=True)
        await ledger.submit(automatic.work, stamp())
        rule = CreateApprovalRule(command="DisburseLoan", threshold=threshold)
        await ledger.execute(ApprovalRule, None, rule, stamp())
        await ledger.execute(Loan, loan.id, RevokeApproval(reason="once more"), stamp())
        await ledger.execute(Loan, loan.id, ApproveLoan(), stamp())
        for _ in range(2):
            await tick(dispatch, seconds=1)
        assert loan_in(dispatch, loan).status == ("disbursed" if sent else "approved")

    assert len(lend(database, "08031234567", story)) == sent

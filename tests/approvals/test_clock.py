"""What is due: proposals expire, and the clock does nothing that takes two people."""

from uuid import UUID

import pytest

from rim_ledger.approvals.approval_rule import ApprovalRule
from rim_ledger.approvals.approval_rule_commands import CreateApprovalRule
from rim_ledger.approvals.proposal import CommandProposed, Proposal, ProposalStatus
from rim_ledger.approvals.proposal_commands import lifetime, propose
from rim_ledger.engine.aggregate import Actor, Stamp
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.dispatch import Dispatch
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import ApproveLoan, RevokeApproval
from rim_ledger.system.config import SetConfig
from tests.lending.test_dispatch import NOON, lending, loan_in, sent, stamp, tick


@pytest.mark.parametrize(("threshold", "count"), [(99, 0), (100, 1)])
async def test_the_clock_disburses_nothing_that_takes_two_people(
    database: str, threshold: int, count: int
) -> None:
    async with lending(database, "08031234567") as (dispatch, loan):
        ledger = dispatch.ledger
        automatic = SetConfig(category="lending", key="autoDisburse", value=True)
        await ledger.submit(automatic.work, stamp())
        rule = CreateApprovalRule(command="DisburseLoan", threshold=threshold)
        await ledger.execute(ApprovalRule, None, rule, stamp())
        await ledger.execute(Loan, loan.id, RevokeApproval(reason="once more"), stamp())
        await ledger.execute(Loan, loan.id, ApproveLoan(), stamp())
        for _ in range(2):
            await tick(dispatch, seconds=1)
        assert loan_in(dispatch, loan).status == ("disbursed" if count else "approved")
    assert len(sent(database)) == count


async def test_the_clock_has_a_proposal_expire(database: str) -> None:
    async with lending(database, "08031234567") as (dispatch, loan):
        ledger = dispatch.ledger
        maker = Stamp(at=NOON, actor=Actor(type="admin", id=UUID(int=1), name="bisi"))

        def wait(uow: UnitOfWork) -> UUID:
            event = CommandProposed(
                command="DisburseLoan",
                permission="loans.disbursement:write",
                entity="Loan",
                target=loan.id,
                expires_at=NOON + lifetime(uow),
                words={"reason": "why not"},
            )
            proposal = uow.new_id()
            propose(uow, proposal, event, None)
            return proposal

        receipt = await ledger.submit(wait, maker)
        assert receipt.proposed
        await tick(dispatch, hours=71)
        assert await status(dispatch, receipt) is ProposalStatus.PENDING
        await tick(dispatch, hours=72)
        assert await status(dispatch, receipt) is ProposalStatus.EXPIRED
        assert await tick(dispatch, hours=73) == 0
    assert sent(database) == []


async def status(dispatch: Dispatch, proposal: Receipt) -> ProposalStatus:
    known = await dispatch.ledger.read(lambda uow: uow.read(Proposal, proposal.id), stamp())
    return known.status

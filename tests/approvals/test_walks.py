"""Walks of two proposals among three admins: each acts at most once, as it was proposed."""

from contextlib import suppress
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from rim_ledger.approvals.proposal import ProposalStatus
from rim_ledger.approvals.proposal_commands import check_proposal
from rim_ledger.engine.refusals import Refused
from rim_ledger.lending.user import CreditLimitSet, User
from rim_ledger.lending.user_commands import SetCreditLimit
from tests.approvals.office import Office
from tests.spec import examples

ADMINS = st.sampled_from(["root", "bisi", "chidi"])
LIMITS = (50_001, 60_002)


class Walk(RuleBasedStateMachine):
    """Every admin tries everything, again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.office = Office()
        self.proposals: list[Any] = []
        self.makers: list[str] = []

    def admin(self, name: str) -> Any:
        return getattr(self.office, name)

    @precondition(lambda self: len(self.proposals) < len(LIMITS))
    @rule(maker=ADMINS)
    def propose(self, maker: str) -> None:
        limit = LIMITS[len(self.proposals)]
        command = SetCreditLimit(limit=limit, reason="a walk")
        self.proposals.append(self.office.proposed(self.admin(maker), command))
        self.makers.append(maker)

    @precondition(lambda self: self.proposals)
    @rule(
        by=ADMINS,
        which=st.integers(0, 1),
        what=st.sampled_from(["approve", "approve", "reject", "withdraw"]),
        sees=st.booleans(),
    )
    def decide(self, by: str, which: int, what: str, sees: bool) -> None:
        which = min(which, len(self.proposals) - 1)
        more: dict[str, Any] = {}
        if what == "approve" and sees:
            version = self.office.streams[self.office.ada].version
            more = {"versions": [{"id": self.office.ada, "version": version}]}
        before = self.office.known_proposal(self.proposals[which]).status
        with suppress(Refused):
            getattr(self.office, what)(self.admin(by), self.proposals[which], **more)
            assert before is ProposalStatus.PENDING
            assert (by == self.makers[which]) == (what == "withdraw")

    @rule(hours=st.integers(1, 40))
    def wait(self, hours: int) -> None:
        self.office.pass_time(days=hours / 24)
        for proposal in self.proposals:
            uow = self.office.uow()
            check_proposal(proposal)(uow)
            self.office.keep(uow)

    @rule(limit=st.integers(1, 100))
    def move(self, limit: int) -> None:
        with suppress(Refused):
            self.office.perform(
                User, self.office.ada, SetCreditLimit(limit=limit, reason="meanwhile")
            )

    @invariant()
    def each_acts_once_and_only_when_approved(self) -> None:
        done = [
            each
            for each in self.office.log
            if isinstance(each.event, CreditLimitSet) and each.stamp.approved_by
        ]
        limits = [int(each.event.limit) for each in done]  # type: ignore[attr-defined]
        approved = [
            LIMITS[nth]
            for nth, proposal in enumerate(self.proposals)
            if self.office.known_proposal(proposal).status is ProposalStatus.APPROVED
        ]
        assert sorted(limits) == approved
        for each in done:
            assert each.stamp.approved_by
            assert each.stamp.actor.id != each.stamp.approved_by.id
        assert self.office.replayed() == self.office.streams


Walk.TestCase.settings = settings(max_examples=examples(40), stateful_step_count=20, deadline=None)
TestWalk = Walk.TestCase

"""A user under another credit policy: the same facts, another score and limit."""

from uuid import UUID

from rim_ledger.engine.aggregate import Stamp
from rim_ledger.lending.policy import IN_FORCE, CreditPolicy, limit_for
from rim_ledger.lending.restatement import DebtChargesWaived, DebtRescheduled
from rim_ledger.lending.scoring import judge
from rim_ledger.lending.user import (
    CreditApplied,
    CreditDefaulted,
    CreditLimitAdjusted,
    CreditScoreRecomputed,
    DebtBecameOverdue,
    DebtCancelled,
    DebtDefaulted,
    DebtDefaultReversed,
    RepaymentAllocated,
    RepaymentReversed,
    User,
    UserEvent,
    UserRegistered,
)


class Shadow:
    """Follows one user's events. With a policy of its own, it computes score and limit at the same
    moments as the ledger, by the same rule, and ignores the recorded ones; without one, it takes
    those."""

    def __init__(
        self, id: UUID, event: UserRegistered, stamp: Stamp, policy: CreditPolicy | None
    ) -> None:
        """Initial values of the policy in force are replaced by those of the other policy."""
        self._policy = policy
        self._unjudged: Stamp | None = None
        """The stamp of a decision that ends with an assessment, while its events still come."""
        self._user = User.begin(id, event, stamp)
        if policy and event.credit_score == IN_FORCE.at_start:
            self._user = self._user.but(credit_score=policy.at_start)
        if policy and event.credit_limit == limit_for(event.credit_score):
            self._user = self._user.but(credit_limit=limit_for(self._user.credit_score, policy))

    def follow(self, event: UserEvent, stamp: Stamp) -> None:
        """Apply one more event."""
        if self._policy is None:
            self._user = self._user.evolve(event, stamp)
            return
        if isinstance(event, CreditScoreRecomputed | CreditLimitAdjusted):
            return
        if self._unjudged != stamp:
            self._finish()
        before, self._user = self._user, self._user.evolve(event, stamp)
        match event:
            case RepaymentAllocated() | CreditApplied() | DebtChargesWaived():
                for _ in before.debts.keys() - self._user.debts.keys():
                    self._judge(stamp, completed=True)
            case DebtBecameOverdue() | DebtDefaultReversed():
                self._judge(stamp)
            case DebtRescheduled() if before.debts[event.loan_id].overdue:
                self._judge(stamp)
            case DebtDefaulted() | CreditDefaulted():
                self._judge(stamp, defaulted=True)
            case RepaymentReversed() | DebtCancelled():
                self._unjudged = stamp

    @property
    def user(self) -> User:
        """The user after the decisions so far."""
        self._finish()
        return self._user

    def _finish(self) -> None:
        if self._unjudged:
            stamp, self._unjudged = self._unjudged, None
            self._judge(stamp)

    def _judge(self, stamp: Stamp, *, completed: bool = False, defaulted: bool = False) -> None:
        found = judge(
            self._user, stamp.at, self._policy or IN_FORCE, completed=completed, defaulted=defaulted
        )
        self._user = self._user.but(credit_score=found.score, credit_limit=found.limit)

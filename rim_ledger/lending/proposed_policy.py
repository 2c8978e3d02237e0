"""A proposed credit policy, applied in place of the one in force."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Final

from msgspec.structs import replace
from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from rim_ledger.engine.command import Form
from rim_ledger.lending.decision import Terms
from rim_ledger.lending.policy import IN_FORCE, CreditPolicy
from rim_ledger.values import Limit

Points = Annotated[int, Field(ge=0, le=1000)]
STEPS_MAX: Final = 50


class ProposedTerms(Form):
    """Settings of lending, under their own keys."""

    auto_approve: bool | None = None
    auto_approve_min_score: Points | None = None
    auto_approve_max_amount: Limit | None = None
    max_open_loans: Annotated[int, Field(ge=1, le=100)] | None = None


class ProposedScore(Form):
    """Weights of score-v2: points for each loan, month or day, and how many of them count."""

    at_start: Points | None = None
    on_time: Points | None = None
    on_time_most: Points | None = None
    late: Points | None = None
    default: Points | None = None
    day_past_due: Points | None = None
    days_past_due_most: Points | None = None
    month: Points | None = None
    months_most: Points | None = None


class LimitStep(Form):
    """Below this score, this limit in naira."""

    below: Points
    limit: Limit


def _rising(steps: Sequence[LimitStep]) -> Sequence[LimitStep]:
    for one, next_ in pairwise(steps):
        if not (one.below < next_.below and one.limit < next_.limit):
            raise PydanticCustomError("not_rising", "each step has a higher score and limit")
    return steps


class ProposedLimits(Form):
    """The steps of limit-v1 in rising order, and the limit beyond them."""

    steps: Annotated[
        list[LimitStep], Field(min_length=1, max_length=STEPS_MAX), AfterValidator(_rising)
    ]
    highest: Limit


class ProposedPolicy(Form):
    """A credit policy. Omitted fields are as they were when each request was decided."""

    lending: ProposedTerms = ProposedTerms()
    score: ProposedScore | None = None
    limits: ProposedLimits | None = None

    def terms(self, then: Terms) -> Terms:
        """Return the terms of a decision, given the former ones."""
        return replace(then, **self.lending.model_dump(by_alias=False, exclude_none=True))

    @property
    def credit(self) -> CreditPolicy | None:
        """The policy for scores and limits; None if it is unchanged."""
        if self.score is None and self.limits is None:
            return None
        weights = self.score.model_dump(by_alias=False, exclude_none=True) if self.score else {}
        policy = replace(IN_FORCE, **weights)
        if self.limits:
            steps = tuple((each.below, each.limit) for each in self.limits.steps)
            policy = replace(policy, steps=steps, highest=self.limits.highest)
        return policy


class Simulation(Form):
    """Decide every past request again by this policy; compare with the actual decisions, or with
    those of another policy."""

    policy: ProposedPolicy
    against: ProposedPolicy | None = None

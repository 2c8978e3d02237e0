"""A proposed policy: what is left out of it stays as it was."""

from decimal import Decimal

import pytest
from pydantic import ValidationError

from rim_ledger.lending.decision import Terms
from rim_ledger.lending.policy import IN_FORCE
from rim_ledger.lending.proposed_policy import STEPS_MAX, ProposedLimits, ProposedPolicy


def policy(said: dict[str, object]) -> ProposedPolicy:
    return ProposedPolicy.model_validate(said)


def test_the_terms_that_are_not_proposed_are_as_they_were() -> None:
    then = Terms(
        auto_approve=True,
        auto_approve_min_score=650,
        auto_approve_max_amount=Decimal(5000),
        max_open_loans=3,
    )
    assert policy({}).terms(then) == then
    changed = policy({"lending": {"autoApprove": False, "maxOpenLoans": 1}}).terms(then)
    assert (changed.auto_approve, changed.max_open_loans) == (False, 1)
    assert changed.auto_approve_min_score == 650


def test_the_weights_and_limits_that_are_not_proposed_are_those_in_force() -> None:
    assert policy({}).credit is None
    found = policy({"score": {"onTime": 7}}).credit
    assert found
    assert (found.on_time, found.late, found.steps) == (7, IN_FORCE.late, IN_FORCE.steps)
    found = policy({"limits": {"steps": [{"below": 5, "limit": 10}], "highest": 20}}).credit
    assert found
    assert (found.steps, found.highest) == (((5, Decimal(10)),), Decimal(20))
    assert found.on_time == IN_FORCE.on_time


def test_there_are_so_many_steps_at_most() -> None:
    steps = [{"below": n, "limit": n} for n in range(1, STEPS_MAX + 2)]
    assert STEPS_MAX == 50
    assert len(ProposedLimits.model_validate({"steps": steps[:-1], "highest": 99}).steps) == 50
    with pytest.raises(ValidationError, match="at most 50 items"):
        ProposedLimits.model_validate({"steps": steps, "highest": 99})


@pytest.mark.parametrize("second", [{"below": 5, "limit": 20}, {"below": 6, "limit": 10}])
def test_steps_rise_in_score_and_in_limit(second: dict[str, int]) -> None:
    steps = [{"below": 5, "limit": 10}, second]
    with pytest.raises(ValidationError, match="each step has a higher score and limit"):
        ProposedLimits.model_validate({"steps": steps, "highest": 99})

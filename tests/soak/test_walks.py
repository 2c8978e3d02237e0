"""Two thousand walks of forty steps through loans, payments and sessions (make soak).

SOAK_WALKS says how many. After every step: the netting law, a journal that balances and agrees
with loans and credit, two sides that agree, tokens that admit as long as they should, and a replay
that gives the same state.
"""

import os

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.admin.test_sessions import Sessions
from tests.lending.test_loan import LoanRequests
from tests.payments.test_payment import Payments

WALKS = int(os.environ.get("SOAK_WALKS", "2000"))

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("machine", [LoanRequests, Payments, Sessions])
def test_no_walk_breaks_a_law(machine: type[LoanRequests | Payments | Sessions]) -> None:
    long = settings(max_examples=WALKS, stateful_step_count=40, deadline=None, database=None)
    run_state_machine_as_test(machine, settings=long)

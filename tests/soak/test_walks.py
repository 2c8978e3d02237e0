"""Two thousand walks of forty steps through loans, payments, sessions and tickets (make soak).

SOAK_WALKS says how many. After every step: the netting law, a journal that balances and agrees
with loans and credit, two sides that agree, proposals that act once and as proposed, tokens that
admit as long as they should, history, loads and lists of tickets that are what one counts, and a
replay that gives the same state.
"""

import os

import pytest
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from tests.admin.test_sessions import Sessions
from tests.approvals.test_lending_walks import ProposedPayments
from tests.lending.test_loan import LoanRequests
from tests.payments.test_float_walks import FloatPayments
from tests.payments.test_payment import Payments, UntrackedPayments
from tests.support.test_walks import Tickets

WALKS = int(os.environ.get("SOAK_WALKS", "2000"))

pytestmark = pytest.mark.soak


@pytest.mark.parametrize(
    "machine",
    [LoanRequests, UntrackedPayments, FloatPayments, ProposedPayments, Sessions, Tickets],
)
def test_no_walk_breaks_a_law(
    machine: type[LoanRequests | Payments | Sessions | Tickets],
) -> None:
    long = settings(max_examples=WALKS, stateful_step_count=40, derandomize=False, database=None)
    run_state_machine_as_test(machine, settings=long)

"""A broadcast to 100,000 users by two processes, killed with -9 five times (make soak).

SOAK_USERS says how many users.
"""

import os

import pytest

from tests.cli.mailing import Mailing
from tests.cli.service import a_service
from tests.cli.trial import Trial

USERS = int(os.environ.get("SOAK_USERS", "100000"))
RATE = 10_000
MEMORY_MAX = 300 * 1024 * 1024

pytestmark = pytest.mark.soak


def test_a_hundred_thousand_users_are_told_once_by_two_that_are_killed() -> None:
    with a_service() as service, Mailing(Trial(service, workers=1), USERS) as mailing:
        mailing.register()
        figures = mailing.run(RATE, kills=5, patience=1200)
    per_second = USERS / figures.seconds
    print(f"{USERS} users in {figures.seconds:.0f} s: {per_second:.0f}/s", flush=True)
    print(f"memory of a carrier: {figures.memory / 1024 / 1024:.0f} MB", flush=True)
    assert figures.memory < MEMORY_MAX

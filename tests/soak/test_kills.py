"""Kill -9 of every process, over and over, under load (make soak).

SOAK_ROUNDS says how often, SOAK_SEED repeats the wishes and the kills of a run.
"""

import asyncio
import os
import random
import time

import pytest

from tests.cli.service import a_service
from tests.cli.trial import Trial, check, kill_under_load, unsettled

ROUNDS = int(os.environ.get("SOAK_ROUNDS", "30"))
SEED = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(10**6))
SETTLE = 120.0
"""Seconds until the clock has asked about every unknown top-up."""

pytestmark = pytest.mark.soak


@pytest.mark.parametrize("workers", [1, 2])
async def test_every_acknowledged_command_took_effect_once_whatever_was_killed(
    workers: int,
) -> None:
    print(f"SOAK_SEED={SEED} SOAK_ROUNDS={ROUNDS}", flush=True)
    with a_service() as service:
        trial = Trial(service, workers)
        crowd = await kill_under_load(trial, ROUNDS, SEED)
        deadline = time.monotonic() + SETTLE
        while left := unsettled(trial.database):
            assert time.monotonic() < deadline, f"{left} top-ups stay unknown"
            await asyncio.sleep(1)
        await check(trial, crowd)
        trial.stop()
    print(f"{len(crowd.acknowledged)} acknowledged, {crowd.repeated} sent again")

"""Ten thousand disbursements over real HTTP, one in five of unknown outcome (make soak).

SOAK_TOP_UPS says how many, SOAK_SEED repeats a run.
"""

import os
import random

import pytest

from rim_ledger.delivery import egress
from tests.delivery.telco import flood

COUNT = int(os.environ.get("SOAK_TOP_UPS", "10000"))
SEED = int(os.environ.get("SOAK_SEED") or random.SystemRandom().randrange(10**6))

pytestmark = pytest.mark.soak


async def test_no_reference_is_delivered_twice_under_load(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(egress, "CALL_TIMEOUT_SECONDS", 2.0)
    print(f"SOAK_SEED={SEED} SOAK_TOP_UPS={COUNT}", flush=True)
    unknown = await flood(database, COUNT, unknown=0.2, seed=SEED)
    assert unknown > COUNT / 10
    print(f"{COUNT} delivered, {unknown} times of unknown outcome at first")

"""A few kills under load; `make soak` kills many times more."""

from datetime import UTC, datetime, timedelta

from tests.cli.service import a_service, wait_for
from tests.cli.trial import Trial, check, kill_under_load, unsettled

SEED = 2026


async def test_what_was_acknowledged_outlives_kills_under_load_and_acted_once() -> None:
    with a_service(forked=True) as service:
        trial = Trial(service, workers=1)
        crowd = await kill_under_load(trial, 3, SEED)
        assert crowd.acknowledged
        trial.run("tick", "--at", (datetime.now(UTC) + timedelta(minutes=1)).isoformat())
        wait_for(lambda: not unsettled(trial.database))
        await check(trial, crowd)
        trial.stop()

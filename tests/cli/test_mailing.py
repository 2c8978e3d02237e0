"""A small broadcast whose carriers are killed; `make soak` sends a large one."""

from tests.cli.mailing import Mailing
from tests.cli.service import a_service
from tests.cli.trial import Trial


def test_everybody_is_told_once_whoever_carries_and_is_killed() -> None:
    with a_service(forked=True) as service:
        trial = Trial(service, workers=1)
        with Mailing(trial, users=600) as mailing:
            mailing.register()
            mailing.run(rate=100, kills=3, patience=240)
            sent = mailing.sent()
            assert "; 0 rows differed" in trial.run("rebuild", "--check")
            trial.run("rebuild")
            assert mailing.sent() == sent, "a rebuild sends nothing"

"""How often something is tried, and how long it takes until it is tried again."""

import pytest

from rim_ledger.delivery import egress
from rim_ledger.delivery.egress import WAITS_SECONDS, Blocked, NoAnswer, Unreachable, retried
from tests.spec import TestWorld


class Dice(TestWorld):
    """A world in which chance is what one says."""

    def __init__(self, *faces: int) -> None:
        super().__init__()
        self.faces = list(faces)

    def random(self, size: int) -> bytes:
        return bytes(self.faces.pop(0) for _ in range(size))


class Attempt:
    """Fails as it is told, and then succeeds."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.made = list(errors), 0

    async def __call__(self) -> int:
        self.made += 1
        if self.errors:
            raise self.errors.pop(0)
        return self.made


@pytest.fixture
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that were waited, which take no time."""
    seconds = list[float]()

    async def sleep(wait: float) -> None:
        seconds.append(wait)

    monkeypatch.setattr(egress.asyncio, "sleep", sleep)
    return seconds


@pytest.mark.parametrize("face", [0, 100, 255])
async def test_callers_wait_longer_and_longer_but_not_equally_long(
    face: int, slept: list[float]
) -> None:
    attempt = Attempt(Unreachable(), Unreachable())
    assert await retried(attempt, Dice(face, face)) == 3
    part = (1 + face / 255) / 2
    assert slept == pytest.approx([wait * part for wait in WAITS_SECONDS])
    assert slept == sorted(slept)


async def test_what_never_comes_about_is_tried_three_times(slept: list[float]) -> None:
    attempt = Attempt(*(Unreachable() for _ in range(4)))
    with pytest.raises(Unreachable):
        await retried(attempt, Dice(255, 255))
    assert (attempt.made, slept) == (3, list(WAITS_SECONDS))


@pytest.mark.parametrize("error", [NoAnswer("timeout"), Blocked(), OSError()])
async def test_what_may_have_had_an_effect_is_never_tried_again(
    error: Exception, slept: list[float]
) -> None:
    attempt = Attempt(error)
    with pytest.raises(type(error)):
        await retried(attempt, Dice())
    assert (attempt.made, slept) == (1, [])

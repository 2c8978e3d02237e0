"""How long it takes until something is tried again."""

from hypothesis import given
from hypothesis import strategies as st

from rim_ledger.system.retry import WAITS, pauses
from tests.spec import TestWorld


class Dice(TestWorld):
    """A world in which chance is what one says."""

    def __init__(self, *faces: int) -> None:
        super().__init__()
        self.faces = list(faces)

    def random(self, size: int) -> bytes:
        return bytes(self.faces.pop(0) for _ in range(size))


@given(faces=st.tuples(st.integers(0, 255), st.integers(0, 255)))
def test_the_second_and_the_third_try_wait_longer_and_longer(faces: tuple[int, int]) -> None:
    first, *later = pauses(Dice(*faces))
    assert first == 0
    assert all(wait / 2 <= pause <= wait for wait, pause in zip(WAITS, later, strict=True))
    assert sorted(later) == later


def test_callers_do_not_wait_equally_long() -> None:
    assert [*pauses(Dice(0, 0))] == [0, 0.1, 0.4]
    assert [*pauses(Dice(255, 255))] == [0, 0.2, 0.8]

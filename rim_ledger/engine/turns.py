"""Who waits for a decision, and whose turn it is: one caller does not keep the others waiting."""

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from contextvars import ContextVar
from itertools import chain
from typing import Final, Generic, TypeVar

T = TypeVar("T")

CALLER: Final = ContextVar[Hashable]("caller", default="")
"""On whose behalf this task asks for decisions. What has no caller, such as the clock, is one."""


class Turns(Generic[T]):
    """What waits, in order of arrival for each caller. Callers take turns, one thing at a time. A
    caller whose work took all the time of a group has the next one to themselves, or comes last."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[Hashable, deque[T]] = OrderedDict()
        self._taken: list[tuple[Hashable, T]] = []
        self._slow = set[Hashable]()

    def __iter__(self) -> Iterator[T]:
        """All that has no answer yet, what was taken first."""
        yield from (each for _, each in self._taken)
        yield from chain.from_iterable(self._lanes.values())

    def __bool__(self) -> bool:
        return bool(self._taken or self._lanes)

    def add(self, each: T) -> None:
        """Let something wait for its caller's turn."""
        caller = CALLER.get()
        if (lane := self._lanes.get(caller)) is None:
            lane = self._lanes[caller] = deque()
        lane.append(each)

    def take(self, most: int) -> list[T]:
        """What comes next, at most so much of it. It counts as waiting until `leave`."""
        while self._lanes and len(self._taken) < most:
            caller = next(iter(self._lanes))
            if caller in self._slow and self._taken:
                break
            lane = self._lanes.pop(caller)
            self._taken.append((caller, lane.popleft()))
            if lane:
                self._lanes[caller] = lane
        return [each for _, each in self._taken]

    def leave(self, done: int) -> None:
        """The first of what was taken are done, at least one. The others come next, in their order,
        behind callers who wait longer."""
        served, left = self._taken[:done], self._taken[done:]
        self._taken = []
        for caller, each in reversed(left):
            self._lanes.setdefault(caller, deque()).appendleft(each)
            self._lanes.move_to_end(caller, last=False)
        for caller, _ in served:
            if caller in self._lanes:
                self._lanes.move_to_end(caller)
        if left:
            self._slow.add(served[-1][0])
        self._slow &= self._lanes.keys()

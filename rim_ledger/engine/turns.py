"""A fair queue of decisions: one caller does not keep the others waiting."""

from collections import OrderedDict, deque
from collections.abc import Hashable, Iterator
from contextvars import ContextVar
from itertools import chain
from typing import Final, Generic, TypeVar

T = TypeVar("T")

CALLER: Final = ContextVar[Hashable]("caller", default="")
"""The caller on whose behalf this task requests decisions. Tasks without one, such as the
scheduler, count as one caller."""


class Turns(Generic[T]):
    """A queue in order of arrival per caller. Callers take turns, one item at a time. A caller
    whose items took all the time of a batch comes last, with one item while others wait too."""

    def __init__(self) -> None:
        self._lanes: OrderedDict[Hashable, deque[T]] = OrderedDict()
        self._taken: list[tuple[Hashable, T]] = []
        self._slow = set[Hashable]()

    def __iter__(self) -> Iterator[T]:
        """Yield all unanswered items, those taken first."""
        yield from (each for _, each in self._taken)
        yield from chain.from_iterable(self._lanes.values())

    def __bool__(self) -> bool:
        return bool(self._taken or self._lanes)

    def add(self, each: T) -> None:
        """Queue an item for its caller."""
        caller = CALLER.get()
        if (lane := self._lanes.get(caller)) is None:
            lane = self._lanes[caller] = deque()
        lane.append(each)

    def take(self, most: int) -> list[T]:
        """Return the next items, at most `most`. They count as waiting until `leave`."""
        callers = set[Hashable]()
        while self._lanes and len(self._taken) < most:
            caller = next(iter(self._lanes))
            if caller in self._slow and callers - {caller}:
                break
            callers.add(caller)
            lane = self._lanes.pop(caller)
            self._taken.append((caller, lane.popleft()))
            if lane:
                self._lanes[caller] = lane
        return [each for _, each in self._taken]

    def leave(self, done: int) -> None:
        """Mark the first of the taken items as done, at least one. The others come next, in order,
        after callers who wait longer."""
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

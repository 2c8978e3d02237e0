"""A cache of the least recently used kind, bounded by memory."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar, overload

K = TypeVar("K")
V = TypeVar("V")
D = TypeVar("D")


class Recent(Generic[K, V]):
    """Values by key, in the order of use. Only `shrink` evicts for lack of memory: what is loaded
    for a batch stays until the batch is decided."""

    def __init__(self, weight_max: int, weigh: Callable[[V], int]) -> None:
        """`weigh` returns the approximate memory of a value with its key, in bytes; `weight_max` is
        the limit of their sum."""
        self._weight_max, self._weigh = weight_max, weigh
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self.weight = 0
        """Approximate memory of all values, in bytes."""

    def __len__(self) -> int:
        return len(self._values)

    def __contains__(self, key: K) -> bool:
        return key in self._values

    def __getitem__(self, key: K) -> V:
        value, _ = self._values[key]
        self._values.move_to_end(key)
        return value

    @overload
    def get(self, key: K) -> V | None: ...
    @overload
    def get(self, key: K, default: D) -> V | D: ...
    def get(self, key: K, default: object = None) -> object:
        if (found := self._values.get(key)) is None:
            return default
        self._values.move_to_end(key)
        return found[0]

    def __setitem__(self, key: K, value: V) -> None:
        self.forget(key)
        weight = self._weigh(value)
        self._values[key] = value, weight
        self.weight += weight

    def update(self, values: Mapping[K, V]) -> None:
        for key, value in values.items():
            self[key] = value

    def forget(self, key: K) -> None:
        """Remove a value, if it is there."""
        _, weight = self._values.pop(key, (None, 0))
        self.weight -= weight

    def clear(self) -> None:
        self._values.clear()
        self.weight = 0

    def shrink(self) -> None:
        """Evict the least recently used values, until the rest fits."""
        while self.weight > self._weight_max:
            _, (_, weight) = self._values.popitem(last=False)
            self.weight -= weight

"""What was not used for longest is forgotten first, and no more than must be."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rim_ledger.engine.cache import Cache
from rim_ledger.engine.entry import UNWRITABLE_BYTES, Entry, weight
from rim_ledger.engine.recent import Recent
from tests.engine.test_ledger import VAULT, WORLD
from tests.sample import JARS, Jar


def test_what_is_used_stays() -> None:
    recent = Recent[str, str](10, len)
    recent.update({"a": "aaaa", "b": "bbbb", "c": "cc"})
    assert recent["a"] == "aaaa"
    assert recent.get("x") is None
    recent["d"] = "d"
    assert "b" in recent, "nothing goes before it is time"
    recent.shrink()
    assert [each for each in "abcd" if each in recent] == ["a", "c", "d"]
    assert recent.weight == 7
    recent["a"] = "a" * 20
    recent.shrink()
    assert len(recent) == 0, "what is too heavy for all the room goes as well"
    with pytest.raises(KeyError):
        recent["a"]


@given(
    st.lists(st.tuples(st.sampled_from("abcdef"), st.sampled_from(["put", "get", "forget"]))),
    st.integers(0, 20),
)
def test_it_is_the_last_used_that_fit(steps: list[tuple[str, str]], room: int) -> None:
    recent, used = Recent[str, int](room, lambda value: value), dict[str, int]()
    for number, (key, step) in enumerate(steps):
        if step == "put":
            recent[key] = number % 7
            used.pop(key, None)
            used[key] = number % 7
        elif step == "forget":
            recent.forget(key)
            used.pop(key, None)
        elif (value := recent.get(key)) is not None:
            used[key] = used.pop(key)
            assert value == used[key]
        assert recent.weight == sum(used.values())
    recent.shrink()
    while sum(used.values()) > room:
        del used[next(iter(used))]
    assert {key: recent[key] for key in "abcdef" if key in recent} == used


def test_a_stream_weighs_more_the_more_it_holds() -> None:
    jar = Jar(id=WORLD.new_id(), number="1")
    assert weight(Entry()) < weight(Entry(jar, 1)) < weight(Entry(jar.but(number="1" * 99), 1))
    assert weight(Entry(jar.but(coins=2**70), 1)) == UNWRITABLE_BYTES


def test_what_has_ended_is_not_kept() -> None:
    class Ended(Jar):
        @property
        def ended(self) -> bool:
            return self.coins > 0

    cache, jar = Cache(JARS, VAULT), WORLD.new_id()
    cache.keep({jar: Entry(Ended(id=jar, number="1"), 1)})
    assert jar in cache.streams
    cache.keep({jar: Entry(Ended(id=jar, number="1", coins=1), 2)})
    assert jar not in cache.streams

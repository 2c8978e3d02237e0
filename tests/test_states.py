"""Every state that a snapshot can have is read as it was, value for value, type for type."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct
from msgspec.structs import astuple, fields
from typing_extensions import is_typeddict

from rim_ledger.catalogue import ENTITIES, ENTITY_OF
from rim_ledger.engine.aggregate import Aggregate
from rim_ledger.engine.entry import Entry
from rim_ledger.engine.snapshots import Snapshots
from rim_ledger.vault.key_ring import derived
from tests.spec import START, examples
from tests.test_events import example

MAC = derived(b"a secret of the tests").event_mac
assert MAC
SNAPSHOTS = Snapshots(ENTITY_OF, MAC)
STREAM = UUID("01900000-0000-7000-8000-000000000001")
WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
VALUES: dict[Any, st.SearchStrategy[Any]] = {
    str: WORDS,
    int: st.integers(-(2**63), 2**63 - 1),
    bool: st.booleans(),
    float: st.floats(allow_nan=False),
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    datetime: st.datetimes(timezones=st.just(UTC)),
    date: st.dates(),
    UUID: st.uuids(),
    NoneType: st.none(),
    Any: st.recursive(
        st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
        | WORDS,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
        max_leaves=5,
    ),
}  # fmt: skip
"""What JSON has, for what a state takes from an event as it is."""


@cache
def values(kind: Any) -> st.SearchStrategy[Any]:
    """Values of a type, as the fold makes them."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return values(arguments[0])
    if origin in (UnionType, Union):
        return st.one_of(*map(values, arguments))
    if is_typeddict(kind):
        return st.fixed_dictionaries({k: values(v) for k, v in get_type_hints(kind).items()})
    if origin is tuple and arguments[-1] is not ...:
        return st.tuples(*map(values, arguments))
    if origin in (tuple, list, frozenset):
        return st.lists(values(arguments[0]), max_size=3).map(origin)
    if origin in (dict, Mapping):
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
    if isinstance(kind, type) and issubclass(kind, Struct):
        return st.builds(kind, **{field.name: values(field.type) for field in fields(kind)})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    return VALUES[origin or kind]


def shape(value: Any) -> Any:
    """A value together with the types that it is made of, in order where it has one."""
    if isinstance(value, Struct):
        return type(value), [shape(each) for each in astuple(value)]
    if isinstance(value, Mapping):
        return type(value), [(shape(key), shape(each)) for key, each in value.items()]
    if isinstance(value, tuple | list):
        return type(value), [shape(each) for each in value]
    if isinstance(value, frozenset):
        return type(value), {repr(shape(each)) for each in value}
    if isinstance(value, Decimal):
        return type(value), value.as_tuple()
    return type(value), value


@pytest.mark.parametrize("kind", ENTITIES, ids=lambda kind: kind.__name__)
@settings(max_examples=examples(30))
@given(data=st.data())
def test_a_state_is_read_as_it_was(kind: type[Aggregate], data: st.DataObject) -> None:
    state = data.draw(values(kind))
    kept = data.draw(st.dictionaries(WORDS, WORDS, max_size=2))
    entry = Entry(state, data.draw(st.integers(1, 2**62)), STREAM, START, kept)
    snapshot = SNAPSHOTS.made(STREAM, entry)
    assert snapshot
    found = SNAPSHOTS.opened(snapshot, STREAM)
    assert found
    assert shape(found[0]) == shape(entry)


def test_a_state_that_would_be_read_as_another_is_not_kept() -> None:
    kind = next(each for each in ENTITIES if each.__name__ == "SystemConfig")
    state = example_of(kind).but(value=2**70)
    assert SNAPSHOTS.made(STREAM, Entry(state, 20, STREAM, START)) is None


def example_of(kind: type[Aggregate]) -> Aggregate:
    """Some state of a kind."""
    return kind(**{field.name: example(field.type) for field in fields(kind)})

"""Columns of an event type in an export: one for each field, with its own name and type."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Final, NamedTuple, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
import pyarrow as pa
from msgspec import Struct, UnsetType

from projections.analysis.export_rows import SCHEMA
from projections.tables.dictionary import unit
from rim_ledger.catalogue import EVENTS
from rim_ledger.vault.personal_keys import kept_back

COMMON: Final = tuple(
    each for each in SCHEMA.names if each not in ("entity", "name", "amount", "data", "body")
)
"""The log's columns that each type's file has too. A field with such a name becomes data_NAME."""

PLAIN: Final[Mapping[type, Any]] = MappingProxyType(
    {int: pa.int64(), bool: pa.bool_(), datetime: pa.timestamp("us", tz="UTC")}
)
MONEY: Final = pa.decimal128(20, 2)
RATE: Final = pa.decimal128(10, 6)

_decoder: Final = msgspec.json.Decoder(float_hook=Decimal)
_encoder: Final = msgspec.json.Encoder(decimal_format="number")


class Field(NamedTuple):
    """The column of an event's field: its owner (the event or a nested struct), its path in the
    data, and its default. `kind` is None where the column holds JSON."""

    column: str
    owner: str
    name: str
    path: tuple[str, ...]
    kind: type | None
    type: Any
    default: Any

    def value(self, data: Mapping[str, Any]) -> Any:
        """The column's value in an event's data."""
        found: Any = data
        for name in self.path:
            if found is None:
                return None
            if name not in found:
                found = self.default
                break
            found = found[name]
        if found is None:
            return None
        if self.kind is None:
            return _encoder.encode(found).decode()
        if self.kind is datetime:
            return datetime.fromisoformat(found).astimezone(UTC)
        return Decimal(found) if self.kind is Decimal else found


@cache
def fields_of(name: str) -> tuple[Field, ...]:
    """The fields of an event type that are not internal."""
    event = EVENTS[name]
    found = tuple(_fields(event, "", ()))
    shown = tuple(each for each in found if each.path[0] not in kept_back(event))
    assert len({each.column for each in shown}) == len(shown), f"columns of {name} share a name"
    return shown


@cache
def schema_of(name: str) -> Any:
    """The Arrow schema of an event type's files."""
    common = [SCHEMA.field(each) for each in COMMON]
    plain = [
        each.with_type(pa.string()) if pa.types.is_dictionary(each.type) else each
        for each in common
    ]
    return pa.schema([*plain, *((each.column, each.type) for each in fields_of(name))])


def typed(row: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a log row to the row in its type's file. Raises what a value not of its field
    raises."""
    data = _decoder.decode(row["data"])
    found = {name: row[name] for name in COMMON}
    return found | {each.column: each.value(data) for each in fields_of(row["name"])}


def _fields(struct: type[Struct], prefix: str, path: tuple[str, ...]) -> Iterator[Field]:
    hints = get_type_hints(struct)
    for each in msgspec.structs.fields(struct):
        kind, place = _bare(hints[each.name]), (*path, each.encode_name)
        column = f"{prefix}{each.name}"
        if isinstance(kind, type) and issubclass(kind, Struct):
            yield from _fields(kind, f"{column}_", place)
            continue
        column = f"data_{column}" if column in COMMON else column
        made = each.default_factory
        default = each.default if made is msgspec.NODEFAULT else made()
        default = None if default in (msgspec.NODEFAULT, msgspec.UNSET) else default
        kind, type_ = _typed(struct.__name__, each.name, kind)
        yield Field(column, struct.__name__, each.name, place, kind, type_, default)


def _typed(owner: str, name: str, kind: Any) -> tuple[type | None, Any]:
    """The struct of a type, if any, and its Arrow type."""
    if kind is Decimal:
        return Decimal, RATE if unit(owner, name, kind) == "%" else MONEY
    if kind in PLAIN:
        return kind, PLAIN[kind]
    if isinstance(kind, type) and issubclass(kind, (str, UUID)):
        return str, pa.string()
    return None, pa.string()


def _bare(annotation: Any) -> Any:
    """A type without annotations and without None."""
    if get_origin(annotation) is Annotated:
        return _bare(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        some = [each for each in get_args(annotation) if each not in (NoneType, UnsetType)]
        return _bare(some[0]) if len(some) == 1 else Any
    return annotation

"""The declaration of a read table, from which its SQL, JSON and schema follow."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from types import MappingProxyType, new_class
from typing import Any, ClassVar, get_origin, get_type_hints

from msgspec import Struct
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from projections.tables.columns import Column, read_column
from projections.tables.indexes import Index, ordering, orders
from rim_ledger.catalogue import ENTITIES
from rim_ledger.engine.unit_of_work import Right


class RelatedFilter(Struct, frozen=True):
    """A filter over other tables."""

    where: str
    """SQL over alias t, with a list of texts as parameter."""
    kind: Any
    """The type that parses the texts."""
    found: bool = False
    """Whether an index finds its rows."""


class Visibility(Struct, frozen=True):
    """Restricts the rows that a caller sees without the right to all. `Aggregate.known_to` is the
    same rule for commands."""

    all: Right
    ways: tuple[str, ...]
    """SQL over alias t, in which each %s is the caller's id: a row is seen if it meets one."""

    @property
    def where(self) -> str:
        """They as one."""
        return "(" + " OR ".join(f"({way})" for way in self.ways) + ")"


UPDATED = "updated_at"
VERSION = "version"
BEGUN = "begun"
ERASED = "erased"


class Row(BaseModel):
    """A row as clients see it, and its table.

    A column takes the attribute of the same name from the aggregate it is `of`. `updated_at` is the
    time at which the last event was recorded; `erased` is true once the person's key is destroyed.
    Every table also has the columns of `kept`: `version`, the stream's version, shown as ETag only,
    and, where rows have streams of their own, `begun`, the position of the first event.
    """

    model_config = ConfigDict(alias_generator=to_camel, serialize_by_alias=True, frozen=True)

    TABLE: ClassVar[str]
    OF: ClassVar[type[Any]]
    COLUMNS: ClassVar[Mapping[str, Column]]
    BUSINESS_ID: ClassVar[str | None]
    NEWEST: ClassVar[str]
    """The column of the default order, newest first."""
    PERSON: ClassVar[str | None]
    """The column with the id of the person whose data the row holds."""
    RELATED: ClassVar[Mapping[str, RelatedFilter]]
    """Filters over other tables, by their JSON names."""
    VISIBILITY: ClassVar[Visibility | None]
    """Restricts the rows that callers see, if not all do."""
    BORROWERS: ClassVar[str | None]
    """SQL test over alias t for the rows that a borrower sees of a table without a person, in which
    each %s is the borrower's id; None for all."""
    VIEW: ClassVar[str | None]
    """An SQL query that gives the rows, if events do not build them."""
    TOGETHER: ClassVar[tuple[str, ...]]
    """Columns that are unique together."""
    ORDERS: ClassVar[tuple[Column, ...]]
    """The columns by which lists are sorted."""
    INDEXES: ClassVar[tuple[Index, ...]]
    """The indexes that serve filters and orders."""
    TAKEN: ClassVar[tuple[Column, ...]]
    """The columns taken from the aggregate."""
    WIRES: ClassVar[tuple[str, ...]]
    """Their JSON names, in the same order."""
    SEALED: ClassVar[tuple[int, ...]]
    """Indexes of personal data in that order."""
    SHOWS_PERSONS: ClassVar[bool]
    """Whether readers without the right to personal data see some columns masked."""
    VALUES: ClassVar[Callable[[Any], tuple[Any, ...]]]
    """Gives their values, in the same order."""

    def __init_subclass__(
        cls,
        *,
        table: str,
        of: type[Any],
        newest: str = "created_at",
        person: str | None = None,
        together: tuple[str, ...] = (),
        related: Mapping[str, RelatedFilter] = MappingProxyType({}),
        visibility: Visibility | None = None,
        borrowers: str | None = None,
        indexes: tuple[Index, ...] = (),
        view: str | None = None,
        **options: Any,
    ) -> None:
        super().__init_subclass__(**options)
        hints = get_type_hints(cls, include_extras=True)
        columns = {
            name: read_column(name, hint)
            for name, hint in hints.items()
            if get_origin(hint) is not ClassVar and name in cls.__annotations__
        }
        cls.TABLE, cls.OF, cls.NEWEST, cls.PERSON = table, of, newest, person
        cls.TOGETHER, cls.RELATED, cls.VISIBILITY, cls.VIEW = together, related, visibility, view
        cls.BORROWERS = borrowers
        cls.COLUMNS = MappingProxyType(columns)
        cls.BUSINESS_ID = getattr(of, "BUSINESS_ID", None)
        for column in columns.values():
            unread = column.kind is None and column.sql_type in ("text", "text[]")
            plain = unread and not column.words and column.name != cls.BUSINESS_ID
            assert not (plain and column.indexed), f"how do filters read {table}.{column.name}?"
        cls.ORDERS = tuple(orders(columns, newest, cls.BUSINESS_ID))
        cls.INDEXES = (*ordering(columns, cls.ORDERS, newest, together), *indexes)
        cls.TAKEN = tuple(c for c in columns.values() if c.taken and c.name != UPDATED)
        cls.WIRES = tuple(column.wire for column in cls.TAKEN)
        cls.SEALED = tuple(i for i, column in enumerate(cls.TAKEN) if column.personal)
        cls.SHOWS_PERSONS = any(each.masked or each.sealed for each in columns.values())
        cls.VALUES = attrgetter(*(column.source for column in cls.TAKEN))

    @classmethod
    def kept(cls) -> list[str]:
        """The columns that place a row in the log."""
        return [VERSION, BEGUN] if cls.OF in ENTITIES else [VERSION]

    @classmethod
    def written_types(cls) -> dict[str, str]:
        """The columns that a page of events fills, in the order of `TAKEN`, then the stream's; and
        their types."""
        types = {column.name: column.sql_type for column in cls.TAKEN}
        updated = {UPDATED: "timestamptz"} if UPDATED in cls.COLUMNS else {}
        return types | dict.fromkeys(cls.kept(), "bigint") | updated

    @classmethod
    def written(cls) -> list[str]:
        """The names of these columns."""
        return [*cls.written_types()]

    @classmethod
    def json(cls, masked: bool, *, own: bool = False) -> str:  # type: ignore[override]
        """SQL of a row's JSON text over alias t.

        Times are RFC 3339 in UTC with microseconds, naira have two decimals, nulls are kept.
        `masked` masks personal data; `own` leaves out internal columns, for the row's own borrower.
        """
        columns = [each for each in cls.COLUMNS.values() if not (own and each.internal)]
        shown = ", ".join(
            f'{each.shown(masked=masked, own=own)} AS "{each.wire}"' for each in columns
        )
        return f"(SELECT row_to_json(w)::text FROM (SELECT {shown}) w)"


def row_of(trace: type[Struct], **options: Any) -> type[Row]:
    """The row of an append-only table that has the fields of a struct as its columns, but for
    `version`; see Row for the options."""
    hints = get_type_hints(trace, include_extras=True)
    columns = {name: hints[name] for name in trace.__struct_fields__ if name != VERSION}
    body = {"__annotations__": columns, "__doc__": trace.__doc__, "__module__": trace.__module__}
    options["of"] = trace
    made: type[Row] = new_class(f"{trace.__name__}Row", (Row,), options, lambda ns: ns.update(body))
    return made

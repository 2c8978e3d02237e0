"""A read table is declared once; its SQL, its JSON and its schema follow from the declaration."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from types import MappingProxyType
from typing import Any, ClassVar, get_origin, get_type_hints

from msgspec import Struct
from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from projections.tables.columns import Column, read_column
from rim_ledger.catalogue import ENTITIES
from rim_ledger.engine.unit_of_work import Right


class Also(Struct, frozen=True):
    """A filter by what is in other tables."""

    where: str
    """SQL over the table's alias t, which takes a list of texts."""
    kind: Any
    """The type that the texts are read as."""


class Seen(Struct, frozen=True):
    """The rows that a caller sees who lacks the right to all of them; to others they are as if
    they were not there. Commands ask `Aggregate.known_to`, which says the same."""

    all: Right
    where: str
    """SQL over the table's alias t, in which each %s is the caller's id."""


UPDATED = "updated_at"
VERSION = "version"
BEGUN = "begun"
ERASED = "erased"


class Row(BaseModel):
    """A row as clients see it, and the table it lies in.

    A column takes the attribute of the same name from what the row is `of`. The column
    `updated_at` takes the time at which the last event was recorded, and `erased` is true once the
    person's key is destroyed. Every table has columns besides that `kept` names: `version`, the
    version of the stream, which the wire shows as ETag only, and where rows have streams of their
    own, `begun`, the position of the first event.
    """

    model_config = ConfigDict(alias_generator=to_camel, serialize_by_alias=True, frozen=True)

    TABLE: ClassVar[str]
    OF: ClassVar[type[Any]]
    COLUMNS: ClassVar[Mapping[str, Column]]
    BUSINESS_ID: ClassVar[str | None]
    NEWEST: ClassVar[str]
    """The column by which a list is ordered, the newest first, when nobody asks otherwise."""
    PERSON: ClassVar[str | None]
    """The column that names whose personal words the row holds."""
    ALSO: ClassVar[Mapping[str, Also]]
    """Filters by what is in other tables, by their names on the wire."""
    SEEN: ClassVar[Seen | None]
    """Which of the rows a caller sees, where that is not all of them."""
    VIEW: ClassVar[str | None]
    """Where the rows are, if nothing builds them: an SQL query."""
    TOGETHER: ClassVar[tuple[str, ...]]
    """Columns in which no two rows agree, taken together."""
    TAKEN: ClassVar[tuple[Column, ...]]
    """The columns that are taken from the aggregate."""
    WIRES: ClassVar[tuple[str, ...]]
    """Their names on the wire, in the same order."""
    SEALED: ClassVar[tuple[int, ...]]
    """Where in that order personal words stand."""
    SHOWS_PERSONS: ClassVar[bool]
    """Whether anything in it is hidden from those who may not see persons."""
    VALUES: ClassVar[Callable[[Any], tuple[Any, ...]]]
    """Their values, in the same order."""

    def __init_subclass__(
        cls,
        *,
        table: str,
        of: type[Any],
        newest: str = "created_at",
        person: str | None = None,
        together: tuple[str, ...] = (),
        also: Mapping[str, Also] = MappingProxyType({}),
        seen: Seen | None = None,
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
        cls.TOGETHER, cls.ALSO, cls.SEEN, cls.VIEW = together, also, seen, view
        cls.COLUMNS = MappingProxyType(columns)
        cls.BUSINESS_ID = getattr(of, "BUSINESS_ID", None)
        for column in columns.values():
            unread = column.kind is None and column.sql_type in ("text", "text[]")
            plain = unread and not column.words and column.name != cls.BUSINESS_ID
            assert not (plain and column.indexed), f"how do filters read {table}.{column.name}?"
        cls.TAKEN = tuple(c for c in columns.values() if c.taken and c.name != UPDATED)
        cls.WIRES = tuple(column.wire for column in cls.TAKEN)
        cls.SEALED = tuple(i for i, column in enumerate(cls.TAKEN) if column.personal)
        cls.SHOWS_PERSONS = any(each.masked or each.sealed for each in columns.values())
        cls.VALUES = attrgetter(*(column.source for column in cls.TAKEN))

    @classmethod
    def kept(cls) -> list[str]:
        """The columns that tell where a row stands in the log."""
        return [VERSION, BEGUN] if cls.OF in ENTITIES else [VERSION]

    @classmethod
    def written(cls) -> list[str]:
        """The columns that a page of events fills, in the order of `TAKEN`, then the stream's."""
        names = [column.name for column in cls.TAKEN]
        return [*names, *cls.kept(), *([UPDATED] if UPDATED in cls.COLUMNS else [])]

    @classmethod
    def json(cls, masked: bool, *, own: bool = False) -> str:  # type: ignore[override]
        """The SQL of a row's JSON on the wire, as text, over the table's alias t.

        Times are RFC 3339 in UTC with microseconds, naira have two decimals, nulls are kept.
        `masked` hides phones, e-mails and names but for what tells them apart; `own` leaves out
        what is internal, for the borrower whose row it is.
        """
        columns = [each for each in cls.COLUMNS.values() if not (own and each.internal)]
        shown = ", ".join(
            f'{each.shown(masked=masked, own=own)} AS "{each.wire}"' for each in columns
        )
        return f"(SELECT row_to_json(w)::text FROM (SELECT {shown}) w)"

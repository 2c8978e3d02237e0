"""The columns of read tables, and the words in which a table's declaration describes them."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from enum import Enum, StrEnum, auto
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Final, Union, get_args, get_origin
from uuid import UUID

from msgspec import Struct
from pydantic import WithJsonSchema
from pydantic.alias_generators import to_camel

from rim_ledger.values import Email, Name, Phone, Tag


class Mark(Enum):
    """What one word says of a column."""

    UNIQUE = auto()
    INDEXED = auto()
    INTERNAL = auto()
    PERSONAL = auto()
    SEALED = auto()


Unique: Final = Mark.UNIQUE
"""No two rows agree in it."""
Indexed: Final = Mark.INDEXED
"""Lists are filtered by it."""
Internal: Final = Mark.INTERNAL
"""For staff: borrowers do not see it in what is theirs."""
Personal: Final = Mark.PERSONAL
"""Sealed in the log, clear in the table, null once the person is erased."""

Sealed: Final = Mark.SEALED
"""Sealed in the table too: opened for a reader who may see persons, hidden from others."""


class UniqueWhile(Struct, frozen=True):
    """No two rows agree in it among those that meet an SQL condition."""

    condition: str


class References(Struct, frozen=True):
    """The id of a row in another table."""

    table: str


class Copied(Struct, frozen=True):
    """Always what `column` says in the row of `table` that our column `by` names."""

    table: str
    column: str
    by: str


class Generated(Struct, frozen=True):
    """What an SQL expression over other columns of the same row comes to."""

    expression: str


class FromAttribute(Struct, frozen=True):
    """The attribute that the column takes, where it does not have the column's own name."""

    attribute: str


class Sql(Struct, frozen=True):
    """The type in the database, where the type in Python does not tell."""

    type: str


class Shown(Struct, frozen=True):
    """How the wire writes a value: an SQL expression in which {} is the column."""

    expression: str


class Read(Struct, frozen=True):
    """How a filter reads a text that the column may hold: as this type, such as Phone. Values are
    equal when an SQL expression, in which {} is a value, says the same of both."""

    kind: Any
    compared: str = "{}"


class ForOwner(Struct, frozen=True):
    """How a value is written for the borrower whose row it is: an SQL expression in which {} is
    the column."""

    expression: str


class Masked(Struct, frozen=True):
    """How a value is written for readers who may not see it."""

    expression: str


_number = {"type": "number", "multipleOf": 0.01, "examples": [5000.0]}

Key = UUID
"""The primary key."""
Moment = datetime
Naira = Annotated[Decimal, Sql("numeric(20, 2)"), WithJsonSchema(_number)]
"""Six digits more than a command may name: sums and interest must never stop the tables."""
Percent = Annotated[
    Decimal,
    Sql("numeric(10, 6)"),
    Shown("trim_scale({})"),
    WithJsonSchema({"type": "number", "minimum": 0, "examples": [15]}),
]
Json = Annotated[Any, Sql("json")]
FreeFields = Annotated[
    Json, WithJsonSchema({"anyOf": [{"type": "object"}, {"type": "null"}], "examples": [{}]})
]
"""What no rule reads: an object, or null once the person was erased."""
Tags = Annotated[list[str], Sql("text[]"), Read(Tag)]
"""Words; rows are found by each of them."""
UniqueName = Annotated[
    str,
    Read(
        Name,
        compared="replace(translate(regexp_replace(lower(normalize({}, NFKC)), "
        "'\\s+', ' ', 'g'), 'ς', 'σ'), 'ß', 'ss')",
    ),
]
"""A name that only one has, in all its spellings: those that `folded` makes one, as far as SQL
before PostgreSQL 18, which cannot casefold, can say it."""
PhoneText = Annotated[
    str, Personal, Read(Phone), Masked("left({0}, 4) || '******' || right({0}, 4)")
]
EmailText = Annotated[
    str,
    Personal,
    Read(Email, compared="lower({})"),
    Masked("left({0}, 1) || '***' || substr({0}, strpos({0}, '@'))"),
]
NameText = Annotated[str, Personal, Masked("left({0}, 1) || '***'")]
Words = Annotated[str, Personal, Masked("left({0}, 0) || '***'")]
"""What somebody wrote about a person."""


def free_fields(*clear: str) -> Masked:
    """Hides the values of a JSON object, but for those under the names that are no person's."""
    names = ", ".join(f"'{name}'" for name in ("", *clear))
    shown = f"CASE WHEN m.key IN ({names}) THEN m.value ELSE '\"***\"' END"
    return Masked(
        f"(SELECT coalesce(json_object_agg(m.key, {shown}), '{{{{}}}}') FROM json_each({{0}}) m)"
    )


SQL_TYPES: Final[Mapping[Any, str]] = MappingProxyType(
    {UUID: "uuid", str: "text", int: "bigint", bool: "boolean", datetime: "timestamptz"}
)
TIME: Final = Shown("""to_char({} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')""")


class Column(Struct, frozen=True, kw_only=True):
    """One column: its name in the database, its name on the wire, and what is said of it."""

    name: str
    wire: str
    sql_type: str
    optional: bool
    words: tuple[str, ...] = ()
    unique: bool = False
    unique_while: str | None = None
    indexed: bool = False
    personal: bool = False
    references: str | None = None
    copied: Copied | None = None
    generated: str | None = None
    source: str
    sealed: bool = False
    internal: bool = False
    written: str = "{}"
    masked: str | None = None
    for_owner: str | None = None
    kind: Any = None
    """The type that filters read its texts as."""
    compared: str = "{}"
    """What two values have in common that are equal: an SQL expression over either."""

    @property
    def taken(self) -> bool:
        """Whether it takes an attribute of what the row is of."""
        return not (self.copied or self.generated)

    @property
    def definition(self) -> str:
        """The column in CREATE TABLE."""
        null = "" if self.optional or self.copied else " NOT NULL"
        words = ", ".join(f"'{word}'" for word in self.words)
        if self.generated:
            return f"{self.name} {self.sql_type} GENERATED ALWAYS AS ({self.generated}) STORED"
        check = f" CHECK ({self.name} IN ({words}))" if words else ""
        return f"{self.name} {self.sql_type}{null}{check}"

    @property
    def hidden(self) -> str:
        """The column for readers who may see no word about a person, over the table's alias t:
        empty, or of an object of free fields what says nothing about anybody."""
        if not (self.personal or self.sealed):
            return f"t.{self.name}"
        if self.sql_type == "json" and self.masked:
            return f"{self.masked.format(f't.{self.name}')} AS {self.name}"
        return f"NULL::{self.sql_type} AS {self.name}"

    def shown(self, *, masked: bool, own: bool = False) -> str:
        """The SQL of the value on the wire, over the table's alias t."""
        expression = self.masked if masked and self.masked else self.written
        expression = self.for_owner if own and self.for_owner else expression
        return expression.format(f"t.{self.name}")


def read_column(name: str, annotation: Any) -> Column:
    """The column that an annotation such as `Annotated[str | None, Indexed]` declares."""
    kind, words, optional = _unfold(annotation)
    marks = [word for word in words if isinstance(word, Mark)]
    said = {type(word): word for word in words if not isinstance(word, Mark)}
    names = tuple(kind) if isinstance(kind, type) and issubclass(kind, StrEnum) else ()
    written = said.get(Shown) or (TIME if kind is datetime else Shown("{}"))
    return Column(
        name=name,
        wire=to_camel(name),
        sql_type=said[Sql].type if Sql in said else SQL_TYPES[str if names else kind],
        optional=optional or kind is Any,
        words=tuple(word.value for word in names),
        unique=Mark.UNIQUE in marks,
        unique_while=said[UniqueWhile].condition if UniqueWhile in said else None,
        indexed=bool({Mark.INDEXED, Mark.UNIQUE} & set(marks)) or UniqueWhile in said,
        personal=Mark.PERSONAL in marks,
        sealed=Mark.SEALED in marks,
        internal=Mark.INTERNAL in marks,
        references=said[References].table if References in said else None,
        copied=said.get(Copied),
        generated=said[Generated].expression if Generated in said else None,
        source=said[FromAttribute].attribute if FromAttribute in said else name,
        written=written.expression,
        masked=said[Masked].expression if Masked in said else None,
        for_owner=said[ForOwner].expression if ForOwner in said else None,
        kind=said[Read].kind if Read in said else None,
        compared=said[Read].compared if Read in said else "{}",
    )


def _unfold(annotation: Any) -> tuple[Any, list[Any], bool]:
    """The bare type, the words around it at any depth, and whether it may be null."""
    words: list[Any] = []
    optional = False
    while True:
        if get_origin(annotation) is Annotated:
            annotation, *more = get_args(annotation)
            words += more
        elif get_origin(annotation) in (Union, UnionType):
            optional = True
            (annotation,) = (each for each in get_args(annotation) if each is not NoneType)
        else:
            return annotation, words, optional

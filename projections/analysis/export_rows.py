"""Rows of an export, all derived from signed events."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

import msgspec
import pyarrow as pa
from msgspec import Struct
from psycopg import AsyncConnection

from projections.cloud_events import Reader, persons_in, read
from rim_ledger.catalogue import ENTITY_OF, EVENTS
from rim_ledger.engine.store import Line
from rim_ledger.vault.living_keys import ERASED
from rim_ledger.vault.personal_keys import Keys

_word: Final = pa.dictionary(pa.int32(), pa.string())
_moment: Final = pa.timestamp("us", tz="UTC")
SCHEMA: Final = pa.schema(
    [
        ("position", pa.int64()),
        ("id", pa.string()),
        ("stream", pa.string()),
        ("version", pa.int64()),
        ("entity", _word),
        ("name", _word),
        ("occurred_at", _moment),
        ("recorded_at", _moment),
        ("actor_type", _word),
        ("actor_id", pa.string()),
        ("actor_name", pa.string()),
        ("request_id", pa.string()),
        ("causation_id", pa.string()),
        ("amount", pa.decimal128(20, 2)),
        ("erased", pa.bool_()),
        ("data", pa.string()),
        ("body", pa.string()),
    ]
)
"""`data` has personal data masked; `body` is the stored event as signed, with it encrypted."""


class _Amount(Struct):
    amount: Decimal | None = None


_amount: Final = msgspec.json.Decoder(_Amount)
WITH_AMOUNT: Final = frozenset(
    name
    for name, event in EVENTS.items()
    for field in msgspec.structs.fields(event)
    if (field.encode_name, field.type) == ("amount", Decimal)
)


async def batch(connection: AsyncConnection[Any], page: list[Line]) -> Any:
    """The rows of a page of events, personal data masked."""
    reader = Reader(sees=False, keys=await erased_in(connection, page), origin="")
    return rows_for(page, reader, bodies=True)


def rows_for(page: Iterable[Line], reader: Reader, *, bodies: bool) -> Any:
    """The rows of a page for a reader; `bodies` says whether the signed bodies, which hold
    encrypted personal data and fingerprints, are included."""
    columns: list[list[Any]] = [[] for _ in SCHEMA]
    for line in page:
        *shown, body = values_of(line, reader)
        for column, value in zip(columns, [*shown, body if bodies else None], strict=True):
            column.append(value)
    arrays = [pa.array(each, field.type) for each, field in zip(columns, SCHEMA, strict=True)]
    return pa.record_batch(arrays, SCHEMA)


async def erased_in(connection: AsyncConnection[Any], page: Iterable[Line]) -> Keys:
    """The persons in these events who were erased."""
    return await erased_of(connection, persons_in(page))


async def erased_of(connection: AsyncConnection[Any], persons: set[UUID]) -> Keys:
    """No keys, only which of these persons were erased: nothing can be decrypted."""
    if not persons:
        return {}
    cursor = await connection.execute(ERASED, [list(persons)])
    return dict.fromkeys([person for (person,) in await cursor.fetchall()])


def values_of(line: Line, reader: Reader) -> tuple[Any, ...]:
    """The row of an event in the schema's order: derived from the signed event, and from who was
    erased."""
    stored, erased = read(line, reader)
    stamp, data = stored.stamp, bytes(stored.data)
    return (
        line.position,
        stored.id,
        str(line.stream),
        line.version,
        ENTITY_OF[EVENTS[line.name]].__name__,
        line.name,
        datetime.fromisoformat(stamp.at),
        line.recorded_at,
        stamp.actor.type,
        stamp.actor.id,
        stamp.actor.name,
        stamp.request_id,
        stamp.causation,
        _amount.decode(data).amount if line.name in WITH_AMOUNT else None,
        erased,
        data.decode(),
        line.body.decode(),
    )

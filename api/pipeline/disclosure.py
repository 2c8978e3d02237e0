"""What readers were shown of persons, in the log of activities before they see it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import cache
from typing import Any, Final, TypeVar
from uuid import UUID

import msgspec
from msgspec import Struct, defstruct
from msgspec.structs import replace

from api.context import Context
from api.http.call import Call
from api.pipeline.rights import Rights
from api.pipeline.routes import List
from projections.cloud_events import persons_in_text
from projections.tables.table import Row
from rim_ledger.engine.activity import Activity
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.postgres.outage import StoresNothing
from rim_ledger.values import BUSINESS_ID, UUID_TEXT, moment
from rim_ledger.vault.living_keys import LIVING_KEYS
from rim_ledger.vault.personal_keys import Keys

T = TypeVar("T")
Filters = dict[str, list[str]]
"""The texts of each filter, as the log keeps them."""
UNSAID: Final = ("limit", "cursor")
"""Parameters that do not choose what is shown."""


class Look(Struct):
    """What one answer shows to a reader: to be filled in before it is given."""

    rights: Rights
    activity: Activity
    persons: set[UUID] = set()
    details: dict[str, Any] = {}
    noted: bool = False
    """Whether nothing is left to be logged of it."""

    def at_rows(self, row: type[Row], texts: Iterable[str]) -> None:
        """Note whose words these rows hold: their JSON, with sealed words still sealed."""
        if self.noted:
            return
        rows = f"[{','.join(texts)}]".encode()
        self.persons |= persons_in_text(rows)
        if row.PERSON:
            self.persons |= {each.person for each in _reader_of_persons(row, row.PERSON)(rows)}

    def at_list(
        self,
        route: List,
        texts: Sequence[str],
        filters: Callable[[], Filters],
        owner: UUID | str | None,
    ) -> None:
        """Note a page of a list: its rows, their number, the filters, and the owner of the list:
        their id, or their JSON where that is shown."""
        if self.noted:
            return
        self.at_rows(route.row, texts)
        self.details = {"count": len(texts), "filters": filters()}
        if route.of and owner:
            _, table = route.of
            if route.with_owner:
                self.at_rows(table, [str(owner)])
            elif table.PERSON == "id":
                self.persons.add(UUID(str(owner)))

    @property
    def done(self) -> Activity:
        """The activity with what was shown."""
        persons = tuple(sorted(self.persons))
        return replace(self.activity, persons=persons, details=self.details)


class _OfPerson(Struct):
    person: UUID


@cache
def _reader_of_persons(row: type[Row], column: str) -> Callable[[bytes], list[_OfPerson]]:
    """Reads whose each row is in a JSON array of rows, and nothing else of them."""
    rename = {"person": row.COLUMNS[column].wire}
    read = defstruct("OfPerson", [("person", UUID)], bases=(_OfPerson,), rename=rename)
    return msgspec.json.Decoder(list[read]).decode  # type: ignore[valid-type]


async def note(
    context: Context,
    call: Call,
    rights: Rights,
    activity: Activity,
    refusal: Refused | None = None,
) -> None:
    """Log an activity of an admitted caller, done or refused. Raises Unavailable when it cannot be
    logged."""

    def work(uow: UnitOfWork) -> UUID:
        uow.stamp = replace(uow.stamp, actor=rights.actor)
        uow.activities.append(activity)
        if refusal:
            raise refusal
        assert rights.actor.id is not None, "whoever was let in is somebody"
        return rights.actor.id

    try:
        await context.ledger.submit(work, call.stamp(context.environment))
    except Refused:
        if not refusal:
            raise


async def show(
    context: Context,
    call: Call,
    rights: Rights,
    activity: Activity,
    answer: Callable[[Look], Awaitable[T]],
    *,
    shows: bool = True,
) -> T:
    """Give what `answer` gives to this reader, after logging the disclosure and its outcome, if the
    answer `shows` personal data and the reader is an admin who may see it.

    While the database takes no writes, `answer` is called again for a reader without that right,
    and raises what cannot be shown then. Raises Unavailable when logging fails for another reason.
    """
    look = Look(rights, activity, noted=not shows or not rights.sees_persons or rights.own)
    if look.noted:
        return await answer(look)
    try:
        try:
            given = await answer(look)
        except Refused as refusal:
            if not look.noted:
                await note(context, call, rights, activity, refusal)
            raise
        if not look.noted:
            await note(context, call, rights, look.done)
    except StoresNothing as outage:
        return await answer(Look(replace(rights, unlogged=outage), activity, noted=True))
    return given


def filters_said(
    context: Context, given: Mapping[str, list[str]], declared: Mapping[str, Any]
) -> Filters:
    """The filters of a query by name. Ids, times and the words that a filter is declared to take
    are in the clear; of any other text a keyed hash is kept, equal for equal text."""

    def said(name: str, text: str) -> str:
        schema = declared.get(name, {})
        words = schema.get("enum", schema.get("items", {}).get("enum", ()))
        plain = text in words or text in ("true", "false") or moment(text)
        if plain or UUID_TEXT.fullmatch(text) or BUSINESS_ID.fullmatch(text):
            return text
        return context.vault.fingerprint("filter", f"{name}\0{text}")

    return {
        name: [said(name, text) for text in texts]
        for name, texts in given.items()
        if name not in UNSAID
    }


async def keys_of(context: Context, persons: Iterable[UUID], *, sees: bool) -> Keys:
    """The keys of these persons for a reader who may see them, and None for who was erased; for
    others only the latter."""
    if not (wanted := list(persons)):
        return {}
    wrapped = await context.pool.rows(LIVING_KEYS, [wanted])
    return {
        person: context.vault.unwrap(person, key) for person, key in wrapped if sees or key is None
    }

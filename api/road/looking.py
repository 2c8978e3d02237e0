"""What readers were shown of persons, in the log of activities before they see it."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from api.road.routes import List
from api.wire.call import Call
from projections.cloud_events import persons_in_text
from projections.tables import Row
from rim_ledger.activity import Activity
from rim_ledger.book import Book
from rim_ledger.core import Refused
from rim_ledger.values import BUSINESS_ID, UUID_TEXT, moment

if TYPE_CHECKING:
    from api.road.desk import Desk
    from api.road.rights import Rights

Filters = dict[str, list[str]]
"""The texts of each filter, as the log keeps them."""
UNSAID: Final = ("limit", "cursor")
"""Parameters that do not choose what is shown."""


class Look(Struct):
    """What one answer shows: to be filled in before it is given."""

    activity: Activity
    persons: set[UUID] = set()
    details: dict[str, Any] = {}
    noted: bool = False
    """Whether that is in the log already."""

    def at_rows(self, row: type[Row], texts: Iterable[str]) -> None:
        """Note whose words these rows hold: their JSON, with sealed words still sealed."""
        column = row.COLUMNS[row.PERSON].wire if row.PERSON else None
        for text in texts:
            self.persons |= persons_in_text(text.encode())
            if column:
                self.persons.add(UUID(msgspec.json.decode(text)[column]))

    def at_list(
        self, route: List, texts: Sequence[str], filters: Filters, owner: "UUID | str | None"
    ) -> None:
        """Note a page of a list: its rows, how many they are, which were asked for, and whose list
        it is: the owner's id, or their JSON where that is shown."""
        self.at_rows(route.row, texts)
        self.details = {"count": len(texts), "filters": filters}
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


async def note(
    desk: "Desk",
    call: Call,
    rights: "Rights",
    activity: Activity,
    refusal: Refused | None = None,
) -> None:
    """Log an activity of somebody who was let in before, done or refused. Raises Unavailable when
    it cannot be logged."""

    def work(book: Book) -> UUID:
        book.stamp = replace(book.stamp, actor=rights.actor)
        book.activities.append(activity)
        if refusal:
            raise refusal
        assert rights.actor.id is not None, "whoever was let in is somebody"
        return rights.actor.id

    try:
        await desk.ledger.submit(work, call.stamp(desk.world))
    except Refused:
        if not refusal:
            raise


@asynccontextmanager
async def looking(
    desk: "Desk", call: Call, rights: "Rights", activity: Activity, *, shows: bool = True
) -> AsyncIterator[Look]:
    """Log what is looked at within, with its outcome, where the answer `shows` persons and the
    reader is one of the staff who may see them.

    Raises Unavailable when it cannot be logged; the answer is then not given.
    """
    look = Look(activity)
    logged = shows and rights.sees_persons and not rights.own
    try:
        yield look
    except Refused as refusal:
        if logged and not look.noted:
            await note(desk, call, rights, activity, refusal)
        raise
    if logged and not look.noted:
        await note(desk, call, rights, look.done)


def filters_said(
    desk: "Desk", given: Mapping[str, list[str]], declared: Mapping[str, Any]
) -> Filters:
    """The filters of a query by name. Ids, times and the words that a filter is declared to take
    are in the clear; of any other text a keyed hash is kept, equal for equal text."""

    def said(name: str, text: str) -> str:
        schema = declared.get(name, {})
        words = schema.get("enum", schema.get("items", {}).get("enum", ()))
        plain = text in words or text in ("true", "false") or moment(text)
        if plain or UUID_TEXT.fullmatch(text) or BUSINESS_ID.fullmatch(text):
            return text
        return desk.vault.fingerprint("filter", f"{name}\0{text}")

    return {
        name: [said(name, text) for text in texts]
        for name, texts in given.items()
        if name not in UNSAID
    }

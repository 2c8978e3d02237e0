"""Messages and history as rows: read by the other side, named as then, gone with the person."""

from uuid import UUID

import pytest

from rim_ledger.engine.aggregate import Actor, Stamp
from rim_ledger.engine.command import Command, perform
from rim_ledger.engine.unit_of_work import UnitOfWork, Work
from rim_ledger.lending.user import User, UserContactChanged, UserErased
from rim_ledger.support.conversation import MarkMessagesRead, PostMessage
from rim_ledger.support.ticket import Category, Ticket
from rim_ledger.support.ticket_intake import OpenTicket, TagTicket
from tests.projections.story import (
    ADA,
    ADMIN,
    AT,
    START,
    WORLD,
    erases,
    followed,
    opens,
    rebuilt_equals_live,
    rows,
    told,
    written,
)

TICKET = WORLD.new_id()
CUSTOMER = Stamp(at=AT, actor=Actor(type="user", id=ADA))


def asks(command: Command[Ticket]) -> Work:
    def work(uow: UnitOfWork) -> UUID:
        return perform(uow, Ticket, TICKET, command)

    return work


def opened(uow: UnitOfWork) -> UUID:
    wish = OpenTicket(
        id=TICKET,
        customer_id=ADA,
        subject="No airtime",
        description="It never came.",
        category=Category.LOAN,
        tags=["vip"],
    )
    return perform(uow, Ticket, None, wish)


async def by_customer(url: str, *works: Work) -> None:
    async def story() -> None:
        await written(url, *works, stamp=CUSTOMER)
        await followed(url)

    await story()


def read(url: str) -> list[tuple[object, ...]]:
    return rows(url, "SELECT sender_type, is_read FROM read.chat_messages ORDER BY number")


@pytest.mark.parametrize("page", [1, 3, 1000])
async def test_a_message_is_read_when_the_other_side_has_read_it(database: str, page: int) -> None:
    await told(database, *START, opened, asks(PostMessage(message="Hello")), page=page)
    await by_customer(database, asks(PostMessage(message="Where is it?")))
    assert read(database) == [("agent", False), ("customer", False)]
    await told(database, asks(MarkMessagesRead()), page=page)
    assert read(database) == [("agent", False), ("customer", True)]
    await by_customer(database, asks(MarkMessagesRead()), asks(PostMessage(message="Please")))
    assert read(database) == [("agent", True), ("customer", True), ("customer", False)]
    assert await rebuilt_equals_live(database)


async def test_messages_and_history_keep_the_names_of_then(database: str) -> None:
    await told(database, *START, opened)
    await by_customer(database, asks(PostMessage(message="Where is it?")))
    await told(
        database, opens(User, ADA, UserContactChanged(name="Adaeze")), asks(TagTicket(tag="new"))
    )
    names = "SELECT action, performed_by, performed_by_name, details FROM read.ticket_history"
    history = rows(database, names + " ORDER BY version")
    assert [(action, by) for action, by, _, _ in history] == [
        ("TicketOpened", ADMIN),
        ("MessagePosted", None),
        ("TicketTagged", ADMIN),
    ]
    (_, posted, tagged) = history
    assert (posted[2][:3], tagged[2:]) == ("~1.", ("root", "new"))
    assert rows(database, "SELECT customer_name, tags FROM read.tickets") == [
        ("Adaeze", ["vip", "new"])
    ]
    assert await rebuilt_equals_live(database)


async def test_what_an_erased_customer_wrote_is_in_no_table(database: str) -> None:
    await told(database, *START, opened, asks(PostMessage(message="Your number 0803 123 4567?")))
    await told(database, erases(ADA, UserErased()))
    shown = "SELECT subject, description, customer_name, customer_phone FROM read.tickets"
    assert rows(database, shown) == [(None, None, None, None)]
    ((message,),) = rows(database, "SELECT message FROM read.chat_messages")
    assert message.startswith("~1.")
    assert await rebuilt_equals_live(database)

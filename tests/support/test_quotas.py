"""Quotas of the support desk: by the day in Lagos, for each person, and for the service none."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from rim_ledger.engine.aggregate import Actor
from rim_ledger.engine.refusals import QuotaExceeded
from rim_ledger.lending.user import User
from rim_ledger.support.conversation import AddAttachment, PostMessage
from rim_ledger.support.ticket import Category, Ticket
from rim_ledger.support.ticket_intake import OpenTicket
from rim_ledger.system.config import KNOWN, SetConfig
from tests.spec import names
from tests.support.desk import SupportDesk

MEBIBYTE = 1024 * 1024


@pytest.fixture
def desk() -> SupportDesk:
    desk = SupportDesk()
    for key in (each for category, each in KNOWN if category == "quotas"):
        desk.run(SetConfig(category="quotas", key=key, value=2).work)
    return desk


def opening(desk: SupportDesk) -> OpenTicket:
    customer = desk.customer
    return OpenTicket(customer_id=customer, subject="A", description="B", category=Category.ACCOUNT)


def file_of(desk: SupportDesk, size: int = 1) -> AddAttachment:
    return AddAttachment(
        attachment_id=desk.environment.new_id(),
        name="a.pdf",
        size=size,
        media_type="application/pdf",
        sha256="0" * 64,
    )


def exceeded(desk: SupportDesk, ticket: UUID, command: Any) -> QuotaExceeded:
    """What Ann is told, who has had enough."""
    with pytest.raises(QuotaExceeded) as refusal:
        desk.ask(desk.ann, ticket, command)
    return refusal.value


def test_a_person_opens_so_many_tickets_in_a_day_and_then_again(desk: SupportDesk) -> None:
    for _ in range(2):
        desk.ask(desk.ann, desk.environment.new_id(), opening(desk))
    said = exceeded(desk, desk.environment.new_id(), opening(desk))
    assert said.more == {"retryAfter": 14 * 3600}, "midnight in Lagos is an hour before that in UTC"
    desk.ask(desk.bob, desk.environment.new_id(), opening(desk))
    desk.environment.time += timedelta(seconds=14 * 3600 - 1)
    exceeded(desk, desk.environment.new_id(), opening(desk))
    desk.environment.time += timedelta(seconds=1)
    desk.ask(desk.ann, desk.environment.new_id(), opening(desk))


def test_the_service_itself_has_no_quota(desk: SupportDesk) -> None:
    opened = [desk.ask(None, desk.environment.new_id(), opening(desk)) for _ in range(5)]
    assert all("TicketOpened" in names(events) for events in opened)


def test_files_count_by_number_and_by_size_over_all_tickets(desk: SupportDesk) -> None:
    first, second = desk.open(), desk.open()
    desk.ask(desk.ann, first, file_of(desk, MEBIBYTE))
    exceeded(desk, second, file_of(desk, MEBIBYTE + 1))
    desk.ask(desk.ann, second, file_of(desk, MEBIBYTE))
    exceeded(desk, first, file_of(desk))
    assert names(desk.ask(desk.bob, first, file_of(desk))) == ["AttachmentAdded"]


def test_messages_count_for_each_person_and_ticket(desk: SupportDesk) -> None:
    first, second = desk.open(), desk.open()
    message = PostMessage(message="A")
    for _ in range(2):
        desk.ask(desk.ann, first, message)
        desk.ask(desk.bob, first, message)
    exceeded(desk, first, message)
    desk.ask(desk.ann, second, message)
    for _ in range(5):
        desk.ask(None, first, message)
    desk.environment.pass_days(1)
    desk.ask(desk.ann, first, message)
    assert len(desk.ticket(first).said) == 1, "former days are forgotten"
    assert desk.replayed()[first].aggregate == desk.ticket(first)


def test_a_borrower_has_quotas_of_their_own(desk: SupportDesk) -> None:
    desk.run(SetConfig(category="quotas", key="borrowerTicketsPerDay", value=1).work)
    borrower = Actor(type="user", id=desk.customer)
    assert desk.uow().read(User, desk.customer)
    desk.perform(Ticket, desk.environment.new_id(), opening(desk), borrower)
    with pytest.raises(QuotaExceeded, match="Tickets in a day: 1 from one person"):
        desk.perform(Ticket, desk.environment.new_id(), opening(desk), borrower)

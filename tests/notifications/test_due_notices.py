"""Due notices: once a day, by day, to those who still owe and want to be told."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from rim_ledger.delivery.kill_switch import SwitchOutbound
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.refusals import Refused
from rim_ledger.lending.loan import DueNoticeSent, Loan
from rim_ledger.lending.notice_days import DUE_NOTICE, next_notice
from rim_ledger.lending.reschedule import RescheduleLoan
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import EraseUser, SuspendUser
from rim_ledger.lending.write_off import WriteOffLoan
from rim_ledger.notifications.contact import OptOut
from rim_ledger.notifications.due_notice import PAID, TOO_LATE, check_due_notice, notice_over
from rim_ledger.notifications.notification import NotificationHistory
from rim_ledger.notifications.template import (
    CreateEmailTemplate,
    CreateSmsTemplate,
    DisableSmsTemplate,
    EmailTemplate,
    SmsTemplate,
)
from rim_ledger.payments.reversal import ReverseTransaction
from rim_ledger.payments.transaction import Transaction
from rim_ledger.values import LAGOS
from tests.lending.desk import Desk
from tests.spec import names

DUE = datetime(2026, 1, 15, 23, 59, 59, tzinfo=LAGOS)


def at(day: int, hour: float = 9) -> datetime:
    """A time on a day of January 2026 in Lagos."""
    return datetime(2026, 1, day, tzinfo=LAGOS) + timedelta(hours=hour)


def lending(*days: int, **more: Any) -> tuple[Desk, UUID]:
    """A loan of 100 that is due on 15 January, and notices on these days."""
    desk = Desk()
    desk.configure("dueNotices", value=[*days])
    loan = desk.disbursed(100, repayment_period=10, **more)
    assert desk.loan(loan).due_date == DUE
    return desk, loan


def check(desk: Desk, loan: UUID, time: datetime) -> list[Event]:
    """The clock looks at the loan."""
    desk.environment.time = time
    return desk.run(check_due_notice(loan))


def planned(desk: Desk, loan: UUID) -> datetime | None:
    return desk.reminders.get((DUE_NOTICE, loan))


def notices(desk: Desk) -> list[NotificationHistory]:
    found = (entry.aggregate for entry in desk.streams.values())
    return [each for each in found if isinstance(each, NotificationHistory)]


def words(desk: Desk) -> list[tuple[str, str, str]]:
    """Channel, title and message of each notice."""
    uow = desk.uow()
    return [
        (each.notice.channel, uow.reveal(desk.ada, each.title), uow.reveal(desk.ada, each.message))
        for each in notices(desk)
    ]


@pytest.mark.parametrize(
    ("after", "last", "found"),
    [
        (at(1), None, (-1, at(14, 8))),
        (at(14, 7.9), None, (-1, at(14, 8))),
        (at(14, 19.9), None, (-1, at(14, 8))),
        (at(14, 20), None, (3, at(18, 8))),
        (at(14, 9), at(14).date(), (3, at(18, 8))),
        (at(18, 20), None, None),
    ],
)
def test_a_notice_belongs_to_one_day_from_morning_to_evening(
    after: datetime, last: Any, found: Any
) -> None:
    assert next_notice([3, -1], DUE, after, last) == found


def test_without_days_nothing_is_planned_or_sent() -> None:
    desk, loan = lending()
    assert (DUE_NOTICE, loan) not in desk.reminders
    assert check(desk, loan, at(15)) == []


def test_a_notice_is_sent_once_a_day_and_the_next_is_planned() -> None:
    desk, loan = lending(-1, 0, 3)
    assert check(desk, loan, at(5)) == []
    assert planned(desk, loan) == at(14, 8)
    events = check(desk, loan, at(14, 8))
    assert names(events) == ["DueNoticeSent", "NotificationQueued"]
    assert events[0] == DueNoticeSent(day=-1)
    assert planned(desk, loan) == at(15, 8)
    assert check(desk, loan, at(14, 12)) == []
    assert names(check(desk, loan, at(15, 19.9)))[0] == "DueNoticeSent"
    assert check(desk, loan, at(18, 20)) == []
    assert planned(desk, loan) is None
    (first, _) = notices(desk)
    assert (first.notice.type, first.notice.loan_id) == ("scheduled", loan)
    said = desk.loan(loan)
    assert said.noticed_on == at(15).date()
    assert words(desk)[0] == (
        "sms",
        f"Loan {said.loan_id}",
        f"115.00 naira of your airtime loan {said.loan_id} is due on 15 Jan 2026.",
    )


def test_a_missed_day_is_left_out() -> None:
    desk, loan = lending(-1, 3)
    assert check(desk, loan, at(16)) == []
    assert planned(desk, loan) == at(18, 8)
    check(desk, loan, at(18))
    assert "was due on 15 Jan 2026" in words(desk)[0][2]


def test_who_has_paid_is_not_told_and_who_owes_again_is() -> None:
    desk, loan = lending(0, 3)
    payment = desk.pay(115, loan)
    assert check(desk, loan, at(15)) == []
    desk.perform(Transaction, payment, ReverseTransaction(reason="a chargeback"))
    assert planned(desk, loan) == desk.environment.now()
    check(desk, loan, at(15, 10))
    assert len(notices(desk)) == 1


def test_what_was_queued_is_not_sent_after_the_payment_or_in_the_evening() -> None:
    desk, loan = lending(0)
    check(desk, loan, at(15))
    queued_at = notices(desk)[0].created_at
    assert notice_over(desk.uow(), loan, queued_at) is None
    desk.environment.time = at(15, 20)
    assert notice_over(desk.uow(), loan, queued_at) == TOO_LATE
    desk.environment.time = at(15, 10)
    desk.pay(115, loan)
    assert notice_over(desk.uow(), loan, queued_at) == PAID


@pytest.mark.parametrize("command", [OptOut(), SuspendUser(reason="fraud")])
def test_who_opted_out_or_is_suspended_is_not_told(command: Any) -> None:
    desk, loan = lending(0, 3)
    check(desk, loan, at(15))
    desk.perform(User, desk.ada, command)
    assert notice_over(desk.uow(), loan, at(15)) == PAID
    assert check(desk, loan, at(18)) == []


def test_who_was_erased_is_not_told() -> None:
    desk, loan = lending(0)
    with pytest.raises(Refused):
        desk.perform(User, desk.ada, EraseUser())  # a debt keeps a person's data
    desk.pay(115, loan)
    desk.perform(User, desk.ada, EraseUser())
    assert check(desk, loan, at(15)) == []


def test_a_loan_that_is_written_off_or_of_the_past_is_left_alone() -> None:
    desk, loan = lending(0)
    entry = desk.streams[loan]
    assert isinstance(entry.aggregate, Loan)
    past = entry.aggregate.but(historical=True)
    desk.streams[loan] = type(entry)(past, entry.version, latest=entry.latest)
    assert check(desk, loan, at(15)) == []
    desk = Desk()
    desk.configure("dueNotices", value=[0])
    gone = desk.loan_that_is("defaulted")
    desk.perform(Loan, gone, WriteOffLoan(reason="gone"))
    due = desk.loan(gone).due_date
    assert due
    assert check(desk, gone, due - timedelta(hours=10)) == []


def test_a_later_due_day_has_notices_of_its_own() -> None:
    desk, loan = lending(0)
    command = RescheduleLoan(due_date=at(20).date(), reason="a wedding")
    desk.perform(Loan, loan, command)
    assert check(desk, loan, at(15)) == []
    assert planned(desk, loan) == at(20, 8)
    check(desk, loan, at(20))
    assert len(notices(desk)) == 1


def test_while_sending_is_stopped_nothing_is_queued() -> None:
    desk, loan = lending(0)
    desk.run(SwitchOutbound(enabled=False).work)
    assert check(desk, loan, at(15)) == []
    assert planned(desk, loan) == at(15) + timedelta(minutes=1)
    assert check(desk, loan, at(16)) == []
    assert planned(desk, loan) is None


def test_templates_say_it_by_sms_and_by_e_mail_if_there_is_one() -> None:
    desk, loan = lending(0, 3, 7)
    sms, mail = desk.environment.new_id(), desk.environment.new_id()
    message = "{{name}}: {{amount}} naira by {{dueDate}}"
    said = ("name", "amount", "dueDate")
    made = CreateSmsTemplate(name="due-notice", message=message, variables=said)
    desk.perform(SmsTemplate, sms, made)
    check(desk, loan, at(15))
    assert words(desk)[0][2] == "Ada: 115.00 naira by 15 Jan 2026"
    letter = CreateEmailTemplate(
        name="due-notice",
        subject="Loan {{loanId}}",
        body="<p>{{name}}</p>",
        variables=("loanId", "name"),
        type="notification",  # type: ignore[arg-type]
    )
    desk.perform(EmailTemplate, mail, letter)
    desk.perform(SmsTemplate, sms, DisableSmsTemplate())
    check(desk, loan, at(18))
    loan_id = desk.loan(loan).loan_id
    assert words(desk)[1:] == [("email", f"Loan {loan_id}", "<p>Ada</p>")]


def test_a_template_with_a_variable_that_we_do_not_know_is_not_used() -> None:
    desk, loan = lending(0)
    made = CreateSmsTemplate(name="due-notice", message="{{nickname}}", variables=("nickname",))
    desk.perform(SmsTemplate, desk.environment.new_id(), made)
    check(desk, loan, at(15))
    assert "is due on" in words(desk)[0][2]


@pytest.mark.parametrize("value", ["0", [0.5], [True], [0, 0], [366], [*range(51)], {"a": 1}, 0])
def test_days_are_a_list_of_whole_numbers(value: Any) -> None:
    with pytest.raises(Refused):
        Desk().configure("dueNotices", value=value)


def test_an_empty_list_is_off() -> None:
    desk, loan = lending(0)
    desk.configure("dueNotices", value=[])
    assert check(desk, loan, at(15)) == []

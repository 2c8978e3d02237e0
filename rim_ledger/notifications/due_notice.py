"""Due notices: a borrower is told before or after the due day of a loan that they still owe."""

from collections.abc import Mapping
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from rim_ledger.delivery.kill_switch import LATER, is_open
from rim_ledger.engine.unit_of_work import UnitOfWork, decision
from rim_ledger.lending.loan import DueNoticeSent, Loan
from rim_ledger.lending.notice_days import DUE_NOTICE, evening_of, is_owing, next_notice
from rim_ledger.lending.user import User
from rim_ledger.notifications.contact import Purpose, wants
from rim_ledger.notifications.notification import (
    Notice,
    NotificationChannel,
    NotificationType,
    RecipientType,
    queue,
)
from rim_ledger.notifications.sms_text import on_one_line
from rim_ledger.notifications.template import EmailTemplate, SmsTemplate, Template
from rim_ledger.system.config import setting
from rim_ledger.values import LAGOS, derived_id, lagos_day

T = TypeVar("T", bound=Template)
TEMPLATE: Final = "due-notice"
"""The name of the templates of the SMS and the e-mail."""
PAID: Final = "Nothing is owed any more, or the recipient wants no notices."
TOO_LATE: Final = "The evening came before this could be sent."


@decision
def check_due_notice(uow: UnitOfWork, id: UUID) -> None:
    """Run the reminder of a loan's next notice: it is queued once its day has
    begun, at most once a Lagos day. While sending is stopped, it waits, and is left out if the day
    is over by then."""
    uow.act_upon(id)
    uow.forget(DUE_NOTICE, id)
    loan, days = uow.read(Loan, id), setting(uow, "lending", "dueNotices")
    if not days or not is_owing(loan) or loan.due_date is None:
        return
    found = next_notice(days, loan.due_date, uow.stamp.at, loan.noticed_on)
    if found and found[1] <= uow.stamp.at:
        if not is_open(uow):
            uow.remind(DUE_NOTICE, id, uow.now + LATER)
            return
        _send(uow, loan, found[0])
        today = lagos_day(uow.stamp.at)
        found = next_notice(days, loan.due_date, uow.stamp.at, today)
    if found:
        uow.remind(DUE_NOTICE, id, found[1])


def notice_over(uow: UnitOfWork, loan_id: UUID, queued_at: datetime) -> str | None:
    """Return why a queued notice about a loan is not to be sent any more; None if it is."""
    loan = uow.read(Loan, loan_id)
    if not is_owing(loan) or not _may_be_told(uow.read(User, loan.user_id)):
        return PAID
    return TOO_LATE if uow.now >= evening_of(lagos_day(queued_at)) else None


def _may_be_told(user: User) -> bool:
    """Return whether a user is told of debts: not if suspended, gone, or opted out of messages."""
    return wants(user, Purpose.MARKETING)


def _send(uow: UnitOfWork, loan: Loan, day: int) -> None:
    """Queue the notice of a day, if the borrower may be told and there is something to say."""
    user = uow.read(User, loan.user_id)
    texts = _texts(uow, loan, user, day) if _may_be_told(user) else {}
    if not texts:
        return
    with uow.dated(loan.id):
        uow.append(Loan, loan.id, [DueNoticeSent(day=day)])
    for channel, (title, message) in texts.items():
        notice = Notice(
            type=NotificationType.SCHEDULED,
            channel=channel,
            recipient=user.id,
            recipient_type=RecipientType.USER,
            cause=derived_id("due-notice", loan.id, lagos_day(uow.stamp.at)),
            loan_id=loan.id,
            html=channel is NotificationChannel.EMAIL,
        )
        queue(uow, notice, title, message)


def _texts(
    uow: UnitOfWork, loan: Loan, user: User, day: int
) -> Mapping[NotificationChannel, tuple[str, str]]:
    """Return title and text for each channel: of the templates, or in our words where there is none
    for SMS. Nothing is sent from a disabled template."""
    values = _values(uow, loan, user)
    texts = dict[NotificationChannel, tuple[str, str]]()
    sms = _template(uow, SmsTemplate)
    if sms is None or sms.enabled:
        own = _own(sms, values) if sms else None
        message = sms.filled(own) if sms and own is not None else _our_words(values, day)
        texts[NotificationChannel.SMS] = f"Loan {loan.loan_id}", message
    mail = _template(uow, EmailTemplate)
    if mail and mail.enabled and (own := _own(mail, values)) is not None:
        rendered = mail.filled(own)
        texts[NotificationChannel.EMAIL] = rendered.subject, rendered.body
    return texts


def _template(uow: UnitOfWork, kind: type[T]) -> T | None:
    holder = kind.UNIQUE.holder(uow, TEMPLATE)
    return uow.find(kind, holder) if holder else None


def _own(template: Template, values: Mapping[str, str]) -> dict[str, str] | None:
    """Return the values of a template's variables; None where it has one that we do not know, or
    one without a value."""
    own = {name: values.get(name, "") for name in template.variables}
    return own if all(own.values()) else None


def _values(uow: UnitOfWork, loan: Loan, user: User) -> dict[str, str]:
    assert loan.due_date, "a loan that was disbursed is due some day"
    due = loan.due_date.astimezone(LAGOS)
    return {
        "name": on_one_line(uow.reveal(user.id, user.name) or ""),
        "amount": f"{loan.outstanding_amount:,.2f}",
        "dueDate": f"{due.day} {due:%b %Y}",
        "loanId": loan.loan_id,
    }


def _our_words(values: Mapping[str, str], day: int) -> str:
    verb = "is" if day <= 0 else "was"
    loan, amount, due = values["loanId"], values["amount"], values["dueDate"]
    return f"{amount} naira of your airtime loan {loan} {verb} due on {due}."

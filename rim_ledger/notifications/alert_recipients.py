"""Recipients, channels and text of an alert that fires."""

from collections.abc import Container, Iterator
from decimal import Decimal
from functools import partial
from typing import Final
from uuid import UUID

from rim_ledger.admin.admin_role import ROLE_NAMES, AdminRole
from rim_ledger.admin.admin_user import AdminStatus, AdminUser
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.alert import AlertType, SystemAlert
from rim_ledger.notifications.notification import (
    Notice,
    NotificationChannel,
    NotificationType,
    RecipientType,
    notification_id,
    queue,
)
from rim_ledger.values import LAGOS

SMS, EMAIL = NotificationChannel.SMS, NotificationChannel.EMAIL
OTHER: Final = {SMS: EMAIL, EMAIL: SMS}

WORDS: Final = {
    AlertType.OVERDUE_LOANS: "Overdue loans",
    AlertType.API_FAILURE: "Failed calls to providers in five minutes",
    AlertType.PAYMENT_GATEWAY: "Repayments that failed or hang",
    AlertType.USER_ISSUE: "Urgent or escalated tickets",
    AlertType.SYSTEM_ERROR: "Unexpected errors in five minutes and backups that failed",
}


def notify(alert: SystemAlert, value: Decimal, failing: Container[str], uow: UnitOfWork) -> None:
    """Queue a message per recipient and channel, once even for holders of several roles."""
    admins = _recipients(alert, uow)
    notices = [notice for admin in admins for notice in _notices(alert, admin, failing)]
    uow.look_ahead(partial(uow.version, notification_id(each)) for each in notices)
    uow.look_ahead(partial(uow.reveal, each.id, each.email) for each in admins)
    message = (
        f"{WORDS[alert.type]}: {_plain(value)} at"
        f" {uow.stamp.at.astimezone(LAGOS):%H:%M on %Y-%m-%d};"
        f" the alert's threshold is {_plain(alert.threshold)}."
    )
    for notice in notices:
        queue(uow, notice, f"Alert: {alert.name}", message)


def find_recipient(text: str, uow: UnitOfWork) -> AdminUser | AdminRole | None:
    """Return the admin with an id, or the role with an id or name."""
    try:
        id_: UUID | None = UUID(text)
    except ValueError:
        id_ = ROLE_NAMES.holder(uow, text)
    if id_ is None:
        return None
    role = uow.find(AdminRole, id_)
    return (role if role and not role.archived else None) or uow.find(AdminUser, id_)


def _recipients(alert: SystemAlert, uow: UnitOfWork) -> list[AdminUser]:
    """Return the active admins among the recipients, each once."""
    ids = dict[UUID, None]()
    for text in alert.recipients:
        match find_recipient(text, uow):
            case AdminUser(id=admin):
                ids[admin] = None
            case AdminRole(members=members):
                ids |= dict.fromkeys(sorted(members))
    uow.look_ahead(partial(uow.version, each) for each in ids)
    admins = (uow.find(AdminUser, each) for each in ids)
    return [each for each in admins if each and each.status is AdminStatus.ACTIVE]


def _notices(alert: SystemAlert, admin: AdminUser, failing: Container[str]) -> Iterator[Notice]:
    for way in dict.fromkeys(_channel(admin, wanted, failing) for wanted in alert.channel):
        other = OTHER.get(way)
        yield Notice(
            type=NotificationType.ALERT,
            channel=way,
            recipient=admin.id,
            recipient_type=RecipientType.ADMIN,
            cause=alert.cause,
            alert_id=alert.id,
            otherwise=other if other and _reaches(other, admin) else None,
        )


def _channel(
    admin: AdminUser, wanted: NotificationChannel, failing: Container[str]
) -> NotificationChannel:
    """Return the wanted channel, or the other one if that channel fails or the admin has no phone.
    A failing channel is better than none."""
    if wanted not in OTHER:
        return wanted
    there = [each for each in (wanted, OTHER[wanted]) if _reaches(each, admin)]
    return next((each for each in there if each not in failing), there[0])


def _reaches(channel: NotificationChannel, admin: AdminUser) -> bool:
    return channel is EMAIL or admin.phone is not None


def _plain(value: Decimal) -> str:
    return f"{value.normalize():f}"

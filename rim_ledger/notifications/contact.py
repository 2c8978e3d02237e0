"""How a person is contacted, and whether they want to be; notices of a changed contact."""

from collections.abc import Container, Iterable
from datetime import datetime, time
from enum import StrEnum
from typing import Final
from uuid import UUID

from rim_ledger.admin.admin_user import AdminStatus, AdminUser
from rim_ledger.delivery.port import Channel
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Forbidden, require
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.user import User, UserOptedIn, UserOptedOut, UserStatus
from rim_ledger.notifications.notification import (
    Notice,
    NotificationChannel,
    NotificationHistory,
    NotificationQueued,
    NotificationType,
    RecipientType,
)
from rim_ledger.values import LAGOS, derived_id
from rim_ledger.vault.personal_keys import Vault

EVENING, MORNING = time(20), time(8)
"""No marketing is sent between these times in Lagos."""


class Purpose(StrEnum):
    """Why a broadcast is sent. A notice concerns an existing relation with the user."""

    MARKETING = "marketing"
    NOTICE = "notice"


GONE: Final = "The recipient is suspended, deactivated or no longer there."


class OptOut(Command[User]):
    """Stop marketing messages to a user."""

    def decide(self, aggregate: User, uow: UnitOfWork) -> Iterable[Event]:
        require(not aggregate.opted_out, "already-done", "The user gets no marketing.")
        yield UserOptedOut()


class OptIn(Command[User]):
    """Allow marketing messages to a user again, at the user's request."""

    def decide(self, aggregate: User, uow: UnitOfWork) -> Iterable[Event]:
        require(aggregate.opted_out, "already-done", "The user gets marketing.")
        yield UserOptedIn()


def is_quiet(moment: datetime) -> bool:
    """Return whether it is evening, night or early morning in Lagos."""
    there = moment.astimezone(LAGOS).time()
    return there >= EVENING or there < MORNING


def wants(user: User, purpose: Purpose) -> bool:
    """Return whether a user may be contacted for this purpose."""
    there = not user.gone and user.status is not UserStatus.SUSPENDED
    return there and not (purpose is Purpose.MARKETING and user.opted_out)


def address(
    uow: UnitOfWork, kind: RecipientType, person: UUID, channel: NotificationChannel
) -> str | None:
    """Return phone or e-mail of a person in the clear; None if there is none, or the person is
    gone."""
    user, admin = uow.find(User, person), uow.find(AdminUser, person)
    found: User | AdminUser | None = None
    if kind is RecipientType.USER:
        found = user if user and wants(user, Purpose.NOTICE) else None
    elif admin and admin.status is AdminStatus.ACTIVE:
        found = admin
    if found is None:
        return None
    sealed = found.phone if channel is NotificationChannel.SMS else found.email
    clear: str | None = uow.reveal(person, sealed)
    return clear


FINGERPRINTS = {Channel.SMS: "phone", Channel.EMAIL: "email"}


def recipient_hash(vault: Vault, to: str) -> str:
    """Return a keyed hash of a recipient for the activity log. It differs from every other hash of
    the same phone or e-mail in the ledger."""
    return vault.fingerprint("test-recipient", to.casefold())


def require_test_recipient(
    uow: UnitOfWork, channel: Channel, to: str, allowed: Container[str]
) -> None:
    """Refuse a test message to anyone but the caller, at the caller's recorded phone or e-mail, or
    a recipient that the installation names (`allowed`, case-folded).

    Raises Forbidden (`not-own-contact`).
    """
    text = to.casefold()
    if text in allowed or uow.fingerprint(FINGERPRINTS[channel], text) in uow.contacts:
        return
    words = "A test message goes to your own recorded phone or e-mail, or to RIM_TEST_RECIPIENTS."
    raise Forbidden("not-own-contact", words)


CHANGED: Final = "Your contact was changed"
CHANGED_WORDS: Final = (
    "RIM: your phone number or e-mail was changed. If you did not ask for that, tell us at once."
)


def notify_former_phone(uow: UnitOfWork, before: User) -> None:
    """Queue an SMS to the phone that a user has before this decision. It is sealed under the user's
    key, and sent there although the user has another phone by then."""
    if (phone := uow.reveal(before.id, before.phone)) is None:
        return
    notice = Notice(
        type=NotificationType.ALERT,
        channel=NotificationChannel.SMS,
        recipient=before.id,
        recipient_type=RecipientType.USER,
        cause=derived_id("contact-changed", before.id, uow.version(before.id)),
    )
    queued = NotificationQueued(notice=notice, title=CHANGED, message=CHANGED_WORDS, to=phone)
    uow.open_stream(NotificationHistory, uow.new_id(), [queued])

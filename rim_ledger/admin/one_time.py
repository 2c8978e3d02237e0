"""One-time tokens: after an invitation or a reset, an admin chooses a password with one."""

from typing import Annotated, ClassVar, Final
from uuid import UUID

from pydantic import Field, SecretStr

from rim_ledger.admin.admin_commands import keep_new_password
from rim_ledger.admin.admin_user import AdminPasswordChanged, AdminStatus, AdminUser
from rim_ledger.admin.audit_actor import NO_ADMIN, access_activity, act_as, failures_logged
from rim_ledger.admin.passwords import Password, WithPassword
from rim_ledger.admin.security_settings import current, require_address
from rim_ledger.admin.session import token_hash
from rim_ledger.delivery.port import Channel, Message
from rim_ledger.delivery.providers import Sender
from rim_ledger.engine.aggregate import Stamp
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.refusals import Unauthenticated
from rim_ledger.engine.unit_of_work import UnitOfWork

INVITED: Final = "You are invited to RIM Ledger"
INVITATION: Final = """You are invited to RIM Ledger as {}. Choose a password with this token, once
and within seven days, at /v1/auth/invitation:

{}"""
RESET: Final = "Choose a new password"
RESETTING: Final = """Your password for RIM Ledger as {} was reset. Choose another with this token,
once and within an hour, at /v1/auth/reset:

{}"""


class _ChoosePassword(WithPassword):
    """What both ways to choose a password have in common."""

    RESETS: ClassVar[bool]

    token: Annotated[SecretStr, Field(min_length=1, max_length=200)]
    password: Password


class AcceptInvitation(_ChoosePassword):
    """Choose one's first password, with the token of an invitation."""

    RESETS = False


class FinishReset(_ChoosePassword):
    """Choose another password, with the token of a reset. Ends all sessions."""

    RESETS = True


async def choose_password(
    ledger: Ledger, stamp: Stamp, form: AcceptInvitation | FinishReset
) -> Receipt:
    """Set the password of the token's owner, and use the token up.

    Raises Unauthenticated (`invalid-token`), Invalid (`weak-password`), and Forbidden
    (`ip-blocked`) for a blocked address.
    """
    asked, sent_to = "ChoosePassword", NO_ADMIN
    token = token_hash(form.token.get_secret_value())

    def find(uow: UnitOfWork) -> UUID:
        return uow.holder("token", token) or NO_ADMIN

    def holder(uow: UnitOfWork) -> AdminUser:
        require_address(uow, current(uow))
        admin = uow.find(AdminUser, find(uow))
        sent = admin.one_time if admin and admin.status is AdminStatus.ACTIVE else None
        if not admin or not sent or (sent.resets, sent.token) != (form.RESETS, token):
            raise _invalid()
        if sent.expires_at <= uow.now:
            raise _invalid()
        return admin

    def choose(uow: UnitOfWork) -> UUID:
        admin = holder(uow)
        act_as(admin, uow)
        keep_new_password(ready, admin, uow)
        uow.append(AdminUser, admin.id, [AdminPasswordChanged()])
        uow.activities.append(access_activity(asked))
        return admin.id

    async with failures_logged(ledger, stamp, asked, lambda: sent_to, None):
        # Hashing is expensive, so the token is checked first.
        sent_to = await ledger.read(find, stamp)
        await ledger.read(holder, stamp)
        ready = await form.hashed()
        return await ledger.submit(choose, stamp)


async def send_token(
    ledger: Ledger, sender: Sender, environment: Environment, id: UUID, token: str
) -> None:
    """Send an admin the token of an invitation or a reset."""
    reference = str(environment.new_id())

    def write(uow: UnitOfWork) -> Message:
        admin = uow.read(AdminUser, id)
        to = uow.reveal(id, admin.email) or ""
        resets = admin.one_time is not None and admin.one_time.resets
        subject, words = (RESET, RESETTING) if resets else (INVITED, INVITATION)
        return Message(Channel.EMAIL, to, subject, words.format(admin.username, token), reference)

    await sender.send(await ledger.run(write))


def _invalid() -> Unauthenticated:
    words = "This token is unknown, was used, or is too old. Ask for another one."
    return Unauthenticated("invalid-token", words)

"""The gate: a password opens a session, and its token admits each request from then on."""

import hashlib
from base64 import urlsafe_b64encode
from datetime import datetime, timedelta
from typing import Annotated, Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace
from pydantic import Field

from rim_ledger.admin.admin_role import AdminRole
from rim_ledger.admin.admin_user import (
    AdminLoggedIn,
    AdminSeen,
    AdminStatus,
    AdminUser,
    ChangePassword,
)
from rim_ledger.admin.attempts import Attempts
from rim_ledger.admin.passwords import TriedPassword, verify
from rim_ledger.admin.security_settings import DEFAULTS, SETTINGS, current, require_address
from rim_ledger.book import Book, perform
from rim_ledger.core import Actor, Form, Invalid, Refused, Stamp, Unauthenticated
from rim_ledger.ledger import Admit, Ledger, admit_all
from rim_ledger.outcomes import Receipt
from rim_ledger.world import World

TOKEN: Final = 32
"""Bytes of a token: 256 bits."""

SESSION: Final = timedelta(hours=12)
SIGHTINGS: Final = 10
"""How often at most the use of a session is noted within the time that it may be left alone: who
is logged out for doing nothing has done nothing for nine tenths of it at least."""

NOBODY: Final = UUID(int=0)
"""Whose password is looked for when nobody has the name: that takes as long."""


class LogIn(Form):
    """Who wants in."""

    username: Annotated[str, Field(max_length=200)]
    password: TriedPassword


class LoggedIn(Struct, frozen=True):
    """A session. The token is told once; the ledger knows its hash only."""

    token: str
    expires_at: datetime
    admin_id: UUID
    username: str
    role: str


def token_hash(token: str) -> str:
    """What the ledger knows a token by."""
    return hashlib.sha256(token.encode()).hexdigest()


def enter(book: Book, token_hash: str) -> None:
    """Admit the admin whose live session this is: sets actor, rights and contacts of the decision,
    and notes now and then that the session is used.

    Raises Unauthenticated when there is no such session, or none any more; Forbidden
    (`ip-blocked`) when nobody may come in from the caller's address.
    """
    holder = book.holder("session", token_hash)
    admin = book.find(AdminUser, holder) if holder else None
    session = admin.sessions.get(token_hash) if admin else None
    settings = current(book)
    if admin is None or session is None or not session.is_live(book.now, settings.idle):
        raise Unauthenticated("unauthenticated", "Please log in: there is no live session.")
    require_address(book, settings)
    book.rights = _act_as(admin, book).rights
    book.contacts = frozenset(filter(None, (admin.email_hash, admin.phone_hash)))
    if book.now >= session.seen_at + settings.idle / SIGHTINGS:
        seen = AdminSeen(session=token_hash, idle_at=book.stamp.at + settings.idle)
        book.append(AdminUser, admin.id, [seen])


async def log_in(
    ledger: Ledger,
    attempts: Attempts,
    stamp: Stamp,
    form: LogIn,
    world: World,
) -> LoggedIn:
    """Open a session for an active admin.

    Raises Unauthenticated with the one code `invalid-credentials`, after the same work, whether
    the name, the password or the standing is at fault; TooManyAttempts, without a look at the
    password, after too many of those; Forbidden (`ip-blocked`) for a blocked address.
    """
    name = form.username.lower()
    settings, admin_id, known = DEFAULTS, NOBODY, ""

    def look_up(book: Book) -> UUID:
        nonlocal settings, admin_id, known
        settings = current(book)
        require_address(book, settings)
        admin_id = book.holder("admin-username", name) or NOBODY
        admin = book.find(AdminUser, admin_id)
        kept = book.secret(admin_id, "password") or ""
        known = kept if admin and admin.status is AdminStatus.ACTIVE else ""
        return SETTINGS

    await ledger.submit(look_up, stamp)
    token = urlsafe_b64encode(world.random(TOKEN)).decode().rstrip("=")
    opened: LoggedIn | None = None

    def begin(book: Book) -> UUID:
        nonlocal opened
        opened = begin_session(book, admin_id, known, token)
        return opened.admin_id

    async with attempts.attempt(name, stamp.ip, settings) as attempt:
        if not await verify(known, form.password):
            raise _invalid()
        await ledger.submit(begin, stamp)
        await attempt.forgive()
    assert opened is not None, "what was committed was decided"
    return opened


async def change_password(
    ledger: Ledger,
    attempts: Attempts,
    stamp: Stamp,
    admin_id: UUID,
    form: ChangePassword,
    *,
    admit: Admit = admit_all,
) -> Receipt:
    """Change one's own password, which ends all of one's sessions.

    Raises Invalid (`wrong-password`) when the present one is not right, TooManyAttempts after too
    many of those; what failed at the log-in counts as well.
    """
    settings, name, known = DEFAULTS, "", ""

    def look_up(book: Book) -> UUID:
        nonlocal settings, name, known
        settings = current(book)
        name = book.read(AdminUser, admin_id).username
        known = book.secret(admin_id, "password") or ""
        return admin_id

    wrong = Invalid("wrong-password", "This is not your present password.", "/currentPassword")
    await ledger.submit(look_up, stamp, admit=admit)
    async with attempts.attempt(name, stamp.ip, settings):
        if not await verify(known, form.current_password):
            raise wrong
    ready = await form.hashed()

    def change(book: Book) -> UUID:
        if book.secret(admin_id, "password") != known:
            raise wrong
        return perform(book, AdminUser, admin_id, ready)

    return await ledger.submit(change, stamp, admit=admit)


def begin_session(book: Book, admin_id: UUID, verified: str, token: str) -> LoggedIn:
    """Begin a session, if the password that was verified is still the one and the admin active.
    Sessions that have expired or are too many end here."""
    before = book.read(AdminUser, admin_id)
    still = book.secret(admin_id, "password") == verified
    if not still or before.status is not AdminStatus.ACTIVE:
        raise _invalid()
    role = _act_as(before, book)
    session, now = token_hash(token), book.stamp.at
    begun = AdminLoggedIn(
        session=session, expires_at=now + SESSION, idle_at=now + current(book).idle
    )
    book.claim("session", session, admin_id, Refused("already-exists", "The token is taken."))
    book.append(AdminUser, admin_id, [begun])
    for ended in before.sessions.keys() - book.read(AdminUser, admin_id).sessions.keys():
        book.release("session", ended)
    return LoggedIn(token, begun.expires_at, admin_id, before.username, role.name)


def _act_as(admin: AdminUser, book: Book) -> AdminRole:
    """Put the admin's name and role, as they are now, into the stamp."""
    role = book.read(AdminRole, admin.role_id)
    actor = Actor(type="admin", id=admin.id, name=admin.username, role=role.name)
    book.stamp = replace(book.stamp, actor=actor)
    return role


def _invalid() -> Unauthenticated:
    return Unauthenticated("invalid-credentials", "The user name or the password is wrong.")

"""The gate: a password opens a session, and its token admits each request from then on."""

import hashlib
import math
from base64 import urlsafe_b64encode
from collections import deque
from datetime import datetime, timedelta
from typing import Annotated, Final
from uuid import UUID
from weakref import WeakKeyDictionary

from msgspec import Struct
from msgspec.structs import replace
from pydantic import Field, SecretStr

from rim_ledger.admin.admin_role import AdminRole
from rim_ledger.admin.admin_user import AdminLoggedIn, AdminStatus, AdminUser, ChangePassword
from rim_ledger.admin.passwords import TriedPassword, verify
from rim_ledger.book import Book, perform
from rim_ledger.core import Actor, Form, Invalid, Refused, Stamp, Unauthenticated
from rim_ledger.ledger import Admit, Ledger, admit_all
from rim_ledger.outcomes import Receipt
from rim_ledger.world import World

TOKEN: Final = 32
"""Bytes of a token: 256 bits."""

SESSION: Final = timedelta(hours=12)
FAILURES_MAX: Final = 5
WINDOW: Final = timedelta(minutes=15)
NAMES_MAX: Final = 10_000


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


class TooManyAttempts(Refused):
    """Too many wrong passwords for one name. `retry_after` is in whole seconds."""

    def __init__(self, retry_after: int) -> None:
        minutes = math.ceil(retry_after / 60)
        super().__init__(
            "too-many-attempts",
            f"Too many wrong passwords. Please try again in {minutes} min.",
            retryAfter=retry_after,
        )
        self.retry_after = retry_after


class Failures:
    """Wrong passwords of late, by user name; known or not, a name counts alike.

    They are counted in the memory of this process: another process counts its own, and a restart
    forgets. At most NAMES_MAX names are remembered, the oldest go first.
    """

    def __init__(self) -> None:
        self._times: dict[str, deque[datetime]] = {}

    def refuse(self, name: str, now: datetime) -> None:
        """Raise TooManyAttempts while the last FAILURES_MAX lie within the window."""
        times = self._times.get(name)
        if times is None or len(times) < FAILURES_MAX:
            return
        if (wait := times[0] + WINDOW - now) > timedelta(0):
            raise TooManyAttempts(math.ceil(wait.total_seconds()))

    def note(self, name: str, now: datetime) -> None:
        times = self._times.pop(name, None) or deque(maxlen=FAILURES_MAX)
        self._times[name] = times
        times.append(now)
        if len(self._times) > NAMES_MAX:
            del self._times[next(iter(self._times))]

    def forget(self, name: str) -> None:
        self._times.pop(name, None)


_failures: WeakKeyDictionary[Ledger, Failures] = WeakKeyDictionary()


def token_hash(token: str) -> str:
    """What the ledger knows a token by."""
    return hashlib.sha256(token.encode()).hexdigest()


def enter(book: Book, token_hash: str) -> None:
    """Admit the admin whose live session this is: sets actor, rights and contacts of the decision.

    Raises Unauthenticated when there is no such session, or none any more.
    """
    holder = book.holder("session", token_hash)
    admin = book.find(AdminUser, holder) if holder else None
    expires_at = admin.sessions.get(token_hash) if admin else None
    if admin is None or expires_at is None or expires_at <= book.now:
        raise Unauthenticated("unauthenticated", "Please log in: there is no live session.")
    book.rights = _act_as(admin, book).rights
    book.contacts = frozenset(filter(None, (admin.email_hash, admin.phone_hash)))


async def log_in(
    ledger: Ledger, stamp: Stamp, username: str, password: SecretStr, world: World
) -> LoggedIn:
    """Open a session for an active admin.

    Raises Unauthenticated with the one code `invalid-credentials`, after the same time, whether
    the name, the password or the standing is at fault; TooManyAttempts after five of those.
    """
    name = username.lower()
    found: tuple[UUID, str] | None = None

    def look_up(book: Book) -> UUID:
        nonlocal found
        found = None
        holder = book.holder("admin-username", name)
        hash_ = book.secret(holder, "password") if holder else None
        if holder is None or hash_ is None:
            raise _invalid()
        found = book.read(AdminUser, holder).id, hash_
        return holder

    failures = _failures.setdefault(ledger, Failures())
    failures.refuse(name, world.now())
    try:
        await ledger.submit(look_up, stamp)
    except Unauthenticated:
        found = None
    await _verify(
        failures, name, found[1] if found else None, password, world=world, wrong=_invalid()
    )
    assert found is not None, "a password was right, so there is an admin who has it"
    token = urlsafe_b64encode(world.random(TOKEN)).decode().rstrip("=")
    opened: LoggedIn | None = None

    def begin(book: Book) -> UUID:
        nonlocal opened
        opened = _begin_session(book, *found, token)
        return opened.admin_id

    try:
        await ledger.submit(begin, stamp)
    except Unauthenticated:
        failures.note(name, world.now())
        raise
    failures.forget(name)
    assert opened is not None
    return opened


async def change_password(
    ledger: Ledger,
    stamp: Stamp,
    admin_id: UUID,
    form: ChangePassword,
    world: World,
    *,
    admit: Admit = admit_all,
) -> Receipt:
    """Change one's own password, which ends all of one's sessions.

    Raises Invalid (`wrong-password`) when the present one is not right, TooManyAttempts after
    five of those; wrong passwords at the log-in count as well.
    """
    name, known = "", ""

    def look_up(book: Book) -> UUID:
        nonlocal name, known
        name = book.read(AdminUser, admin_id).username
        known = book.secret(admin_id, "password") or ""
        return admin_id

    wrong = Invalid("wrong-password", "This is not your present password.", "/currentPassword")
    failures = _failures.setdefault(ledger, Failures())
    await ledger.submit(look_up, stamp, admit=admit)
    await _verify(failures, name, known, form.current_password, world=world, wrong=wrong)
    ready = await form.hashed()

    def change(book: Book) -> UUID:
        if book.secret(admin_id, "password") != known:
            raise wrong
        return perform(book, AdminUser, admin_id, ready)

    return await ledger.submit(change, stamp, admit=admit)


async def _verify(
    failures: Failures,
    name: str,
    known: str | None,
    password: SecretStr,
    *,
    world: World,
    wrong: Refused,
) -> None:
    """Raise `wrong` unless the password is right. The failures are looked at again afterwards,
    so that guesses made all at once learn no more than guesses made one by one."""
    failures.refuse(name, world.now())
    right = await verify(known, password)
    failures.refuse(name, world.now())
    if not right:
        failures.note(name, world.now())
        raise wrong


def _begin_session(book: Book, admin_id: UUID, verified: str, token: str) -> LoggedIn:
    """Begin a session, if the password that was verified is still the one and the admin active.
    Sessions that have expired or are too many end here."""
    before = book.read(AdminUser, admin_id)
    still = book.secret(admin_id, "password") == verified
    if not still or before.status is not AdminStatus.ACTIVE:
        raise _invalid()
    role = _act_as(before, book)
    session, expires_at = token_hash(token), book.now + SESSION
    book.claim("session", session, admin_id, Refused("already-exists", "The token is taken."))
    book.append(AdminUser, admin_id, [AdminLoggedIn(session=session, expires_at=expires_at)])
    for ended in before.sessions.keys() - book.read(AdminUser, admin_id).sessions.keys():
        book.release("session", ended)
    return LoggedIn(token, expires_at, admin_id, before.username, role.name)


def _act_as(admin: AdminUser, book: Book) -> AdminRole:
    """Put the admin's name and role, as they are now, into the stamp."""
    role = book.read(AdminRole, admin.role_id)
    actor = Actor(type="admin", id=admin.id, name=admin.username, role=role.name)
    book.stamp = replace(book.stamp, actor=actor)
    return role


def _invalid() -> Unauthenticated:
    return Unauthenticated("invalid-credentials", "The user name or the password is wrong.")

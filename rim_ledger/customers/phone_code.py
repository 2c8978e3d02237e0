"""Log-in of borrowers, with a one-time code that is sent to the phone."""

import asyncio
import logging
from datetime import datetime, timedelta
from functools import cached_property
from hmac import compare_digest
from typing import Final
from uuid import UUID

from msgspec import Struct

from rim_ledger.admin.audit_actor import NO_ADMIN
from rim_ledger.admin.challenge import Challenge
from rim_ledger.admin.login_throttle import TooManyAttempts, address_block
from rim_ledger.admin.second_factor import SentCodes
from rim_ledger.admin.security_settings import SecuritySettings, current
from rim_ledger.admin.session import SESSION, claim_token, new_token
from rim_ledger.admin.two_factor import LIFE, Code, new_code, plain
from rim_ledger.customers.access import (
    CustomerAccess,
    CustomerLoggedIn,
    access_stream,
    act_as,
    is_admitted,
    may_have_changed_hands,
)
from rim_ledger.delivery.port import Channel
from rim_ledger.engine.aggregate import Stamp
from rim_ledger.engine.command import Form
from rim_ledger.engine.refusals import Unauthenticated
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.user import User
from rim_ledger.values import Phone

SENT_MOST: Final = 5
SENT_WITHIN: Final = timedelta(hours=1)
"""Codes sent to one phone within a time span; after that, one whenever the last has expired. Each
costs money, and unrequested ones annoy; but requests by others do not lock out the phone's owner,
who receives every code."""
ASKED_MOST: Final = 10 * SENT_MOST
"""Codes requested from one address within that time span."""
TRIES: Final = 15
"""Wrong tries, from all addresses together, after which a code is void. From one address, the limit
of the security settings applies."""

log = logging.getLogger(__name__)


class AskForCode(Form):
    """The phone to send a code to."""

    phone: Phone


class LogInWithCode(Form):
    """A borrower's phone, and the code that was sent to it."""

    phone: Phone
    code: Code


class CustomerSession(Struct, frozen=True):
    """A session. The token is shown once; the ledger stores only its hash."""

    token: str
    expires_at: datetime
    id: UUID
    user_id: str


class PhoneCodes(SentCodes):
    """Sends codes to phones, and opens sessions for them. Answers and the work before them are the
    same for known and unknown phones."""

    @cached_property
    def _sending(self) -> set[asyncio.Task[None]]:
        return set()

    async def send(self, stamp: Stamp, form: AskForCode) -> datetime:
        """Send a code to the phone of an admitted borrower; return when the code expires, also for
        an unknown phone.

        Raises TooManyAttempts for an address with too many recent requests.
        """
        now, code = self._environment.now(), new_code(self._environment)

        def look(uow: UnitOfWork) -> tuple[Challenge, bool]:
            self._sender.require(Channel.SMS, uow)
            phone, user = _find(uow, form.phone)
            holder = user.id if user else NO_ADMIN
            hashed = _code_hash(uow, holder, phone, code)
            return Challenge(_key(phone), holder, 0, now + LIFE, hashed), user is not None

        waiting, known = await self._ledger.read(look, stamp)
        if place := address_block(stamp.ip):
            await self._attempts.note("codes from", place, ASKED_MOST, SENT_WITHIN)
        try:
            await self._attempts.note("code", form.phone, SENT_MOST, SENT_WITHIN)
        except TooManyAttempts:
            if ends := await self._challenges.waits_until(waiting.id, now):
                return ends  # The code that was sent last is still valid.
        await self._challenges.put(waiting)
        if known:
            # Not awaited: the time it takes would reveal that the phone is known.
            task = asyncio.create_task(self._send(form.phone, code))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return waiting.expires_at

    async def log_in(self, stamp: Stamp, form: LogInWithCode) -> CustomerSession:
        """Open a session for the right code.

        Raises Unauthenticated (`invalid-code`) whatever is at fault, and TooManyAttempts, without
        checking the code, after too many of those.
        """
        code, token = plain(form.code), new_token(self._environment)
        asked: Challenge | None = None

        def look_up(uow: UnitOfWork) -> tuple[SecuritySettings, str]:
            return current(uow), _key(_find(uow, form.phone)[0])

        def accept(uow: UnitOfWork) -> User:
            phone, user = _find(uow, form.phone)
            holder = user.id if user else NO_ADMIN
            right = _code_hash(uow, holder, phone, code)
            sent = asked.code if asked and asked.code else ""
            if not compare_digest(right, sent) or user is None:
                words = "This code is wrong, was used, or is too old."
                raise Unauthenticated("invalid-code", words)
            return user

        def begin(uow: UnitOfWork) -> tuple[UUID, CustomerSession]:
            opened = begin_session(uow, accept(uow), token)
            return opened.id, opened

        settings, name = await self._ledger.read(look_up, stamp)
        here = f"{form.phone} {address_block(stamp.ip)}"
        async with self._attempts.attempt(here, stamp.ip, settings) as attempt:
            asked = await self._challenges.try_at(name, self._environment.now(), TRIES)
            await self._ledger.read(accept, stamp)
            # Only one request can take the challenge: one code opens one session.
            if not await self._challenges.take(name):
                asked = None
            _, opened = await self._ledger.decide(begin, stamp)
            await attempt.forgive()
        return opened

    async def drain(self) -> None:
        """Wait for the messages that are being sent."""
        await asyncio.gather(*self._sending)

    async def _send(self, phone: str, code: str) -> None:
        reference = str(self._environment.new_id())
        try:
            await self.send_code(Channel.SMS, phone, code, reference)
        except Exception as error:
            # The borrower can request another code.
            log.warning("the code %s could not be sent: %s", reference, type(error).__name__)


def begin_session(uow: UnitOfWork, user: User, token: str) -> CustomerSession:
    """Begin a session of an authenticated borrower. Sessions that have expired or are too many end
    here."""
    act_as(user, uow)
    stream, now = access_stream(user.id), uow.stamp.at
    session = claim_token(uow, token, stream)
    begun = CustomerLoggedIn(
        user_id=user.id,
        session=session,
        expires_at=now + SESSION,
        idle_at=now + current(uow).idle,
    )
    uow.append(CustomerAccess, stream, [begun])
    return CustomerSession(token, begun.expires_at, user.id, user.user_id)


def _find(uow: UnitOfWork, phone: str) -> tuple[str, User | None]:
    """Return the keyed hash of a phone, and its borrower if one is admitted with it."""
    known_by = uow.fingerprint("phone", phone)
    holder = uow.holder("user-phone", known_by) or NO_ADMIN
    user = uow.find(User, holder)
    admitted = user is not None and is_admitted(user) and not may_have_changed_hands(user, uow)
    return known_by, user if admitted else None


def _key(phone: str) -> str:
    return f"log-in by {phone}"


def _code_hash(uow: UnitOfWork, holder: UUID, phone: str, code: str) -> str:
    return uow.fingerprint("code", f"{holder} {phone} {code}")

"""How a borrower logs in: with a code that is sent to the phone, once."""

import asyncio
import logging
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import Final
from uuid import UUID

from msgspec import Struct

from rim_ledger.admin.audit_actor import NOBODY
from rim_ledger.admin.challenge import Challenge, Challenges
from rim_ledger.admin.login_throttle import LoginThrottle, TooManyAttempts, place_of
from rim_ledger.admin.second_factor import BODY
from rim_ledger.admin.security_settings import SecuritySettings, current
from rim_ledger.admin.session import SESSION
from rim_ledger.admin.tokens import new_token, token_hash
from rim_ledger.admin.two_factor import LIFE, Code, new_code, plain
from rim_ledger.customers.access import CustomerAccess, CustomerLoggedIn, access_of, access_stream
from rim_ledger.customers.customer_session import act_as, is_silent, may_come_in
from rim_ledger.delivery.port import Channel, Message
from rim_ledger.delivery.sender import Sender
from rim_ledger.engine.aggregate import Stamp
from rim_ledger.engine.command import Form
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.refusals import Refused, Unauthenticated
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.user import User
from rim_ledger.values import Phone

SENT_MOST: Final = 5
SENT_WITHIN: Final = timedelta(hours=1)
"""How many codes are sent to one phone within which time; after that, one when the one before it
has ended. A message costs money, and unasked ones are a nuisance; but whoever asks for them does
not keep the owner of the phone out, who is sent them all."""
ASKED_MOST: Final = 10 * SENT_MOST
"""How many codes may be asked for from one address within that time."""
TRIES: Final = 15
"""Wrong tries after which a code is none, from all addresses together. From one address a phone can
be tried as often as the security settings allow."""

log = logging.getLogger(__name__)


class AskForCode(Form):
    """Whose phone a code shall be sent to."""

    phone: Phone


class LogInWithCode(Form):
    """A borrower's phone, and the code that was sent to it."""

    phone: Phone
    code: Code


class CustomerSession(Struct, frozen=True):
    """A session. The token is told once; the ledger knows its hash only."""

    token: str
    expires_at: datetime
    id: UUID
    user_id: str


class PhoneCodes:
    """Sends codes to phones, and opens sessions for them. What is answered, and what is done until
    then, are the same whether the phone is known or not."""

    def __init__(
        self,
        ledger: Ledger,
        attempts: LoginThrottle,
        challenges: Challenges,
        sender: Sender,
        environment: Environment,
    ) -> None:
        self._ledger, self._attempts, self._challenges = ledger, attempts, challenges
        self._sender, self._environment = sender, environment
        self._leaving: set[asyncio.Task[None]] = set()

    async def send(self, stamp: Stamp, form: AskForCode) -> datetime:
        """Send a code to a phone, if it is that of a borrower who may come in; the time at which
        such a code ends.

        Raises TooManyAttempts for an address that asked too often of late.
        """
        now, code = self._environment.now(), new_code(self._environment)

        def look(uow: UnitOfWork) -> tuple[Challenge, bool]:
            self._sender.require(Channel.SMS, uow)
            phone, user = _find(uow, form.phone)
            holder = user.id if user else NOBODY
            printed = _print(uow, holder, phone, code)
            return Challenge(_name(phone), holder, 0, now + LIFE, printed), user is not None

        waiting, known = await self._ledger.read(look, stamp)
        if place := place_of(stamp.ip):
            await self._attempts.note("codes from", place, ASKED_MOST, SENT_WITHIN)
        try:
            await self._attempts.note("code", form.phone, SENT_MOST, SENT_WITHIN)
        except TooManyAttempts:
            if ends := await self._challenges.waits_until(waiting.id, now):
                return ends  # The code that was sent last is as good.
        await self._challenges.put(waiting, now)
        if known:
            # Nobody waits for it: how long that takes would tell that there is somebody.
            task = asyncio.create_task(self._send(form.phone, code))
            self._leaving.add(task)
            task.add_done_callback(self._leaving.discard)
        return waiting.expires_at

    async def log_in(self, stamp: Stamp, form: LogInWithCode) -> CustomerSession:
        """Open a session for whoever knows the code.

        Raises Unauthenticated (`invalid-code`) whatever is at fault, and TooManyAttempts, without
        a look at the code, after too many of those.
        """
        code, token = plain(form.code), new_token(self._environment)
        asked: Challenge | None = None

        def look_up(uow: UnitOfWork) -> tuple[SecuritySettings, str]:
            return current(uow), _name(_find(uow, form.phone)[0])

        def accept(uow: UnitOfWork) -> User:
            phone, user = _find(uow, form.phone)
            holder = user.id if user else NOBODY
            right = _print(uow, holder, phone, code)
            sent = asked.code if asked and asked.code else ""
            if not compare_digest(right, sent) or user is None:
                words = "This code is wrong, was used, or is too old."
                raise Unauthenticated("invalid-code", words)
            return user

        def begin(uow: UnitOfWork) -> tuple[UUID, CustomerSession]:
            opened = begin_session(uow, accept(uow), token)
            return opened.id, opened

        settings, name = await self._ledger.read(look_up, stamp)
        here = f"{form.phone} {place_of(stamp.ip)}"
        async with self._attempts.attempt(here, stamp.ip, settings) as attempt:
            asked = await self._challenges.try_at(name, self._environment.now(), TRIES)
            await self._ledger.read(accept, stamp)
            # Whoever ends the challenge goes on: one code opens one session.
            if not await self._challenges.take(name):
                asked = None
            _, opened = await self._ledger.decide(begin, stamp)
            await attempt.forgive()
        return opened

    async def drain(self) -> None:
        """Wait for the messages that are on their way."""
        await asyncio.gather(*self._leaving)

    async def _send(self, phone: str, code: str) -> None:
        reference = str(self._environment.new_id())
        try:
            await self._sender.send(Message(Channel.SMS, phone, None, BODY.format(code), reference))
        except Exception as error:
            # Whoever waits for it asks for another one.
            log.warning("the code %s could not be sent: %s", reference, type(error).__name__)


def begin_session(uow: UnitOfWork, user: User, token: str) -> CustomerSession:
    """Begin a session of a borrower who has proved to be one. Sessions that have expired or are
    too many end here."""
    act_as(user, uow)
    before, session, now = access_of(uow, user.id), token_hash(token), uow.stamp.at
    begun = CustomerLoggedIn(
        user_id=user.id,
        session=session,
        expires_at=now + SESSION,
        idle_at=now + current(uow).idle,
    )
    stream = access_stream(user.id)
    uow.claim("token", session, stream, Refused("already-exists", "The token is taken."))
    uow.append(CustomerAccess, stream, [begun])
    if before:
        for ended in before.sessions.keys() - uow.read(CustomerAccess, stream).sessions.keys():
            uow.release("token", ended)
    return CustomerSession(token, begun.expires_at, user.id, user.user_id)


def _find(uow: UnitOfWork, phone: str) -> tuple[str, User | None]:
    """The keyed hash of a phone, and the borrower who may come in with it."""
    known_by = uow.fingerprint("phone", phone)
    holder = uow.holder("user-phone", known_by) or NOBODY
    user = uow.find(User, holder)
    admitted = user is not None and may_come_in(user) and not is_silent(user, uow)
    return known_by, user if admitted else None


def _name(phone: str) -> str:
    return f"log-in by {phone}"


def _print(uow: UnitOfWork, holder: UUID, phone: str, code: str) -> str:
    return uow.fingerprint("code", f"{holder} {phone} {code}")

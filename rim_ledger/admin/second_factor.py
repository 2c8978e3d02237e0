"""Second factor across several decisions: challenge at log-in, enrolling, disabling."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from msgspec import Struct
from msgspec.structs import replace
from pydantic import Field

from rim_ledger.admin import two_factor
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.audit_actor import access_activity, failures_logged
from rim_ledger.admin.authentication import FactorDue, LoggedIn, begin_session
from rim_ledger.admin.challenge import Challenge, Challenges
from rim_ledger.admin.login_throttle import Attempt, LoginThrottle
from rim_ledger.admin.security_settings import (
    SecuritySettings,
    TwoFactorMethod,
    current,
    require_address,
)
from rim_ledger.admin.session import new_token, token_hash
from rim_ledger.delivery.port import Channel, Message
from rim_ledger.delivery.providers import Sender
from rim_ledger.engine.aggregate import Stamp
from rim_ledger.engine.command import Form
from rim_ledger.engine.deciding import Admit
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.idempotency import Receipt
from rim_ledger.engine.ledger import Ledger, admit_all
from rim_ledger.engine.refusals import Invalid, Unauthenticated, require
from rim_ledger.engine.unit_of_work import UnitOfWork

SENT_MOST: Final = 10
SENT_WITHIN: Final = timedelta(hours=1)
"""Codes sent to one admin within a time span; each costs money, and unrequested ones annoy."""

BODY: Final = "Your RIM Ledger code is {}. It is valid for 10 minutes. Tell it to nobody."


class AnswerChallenge(Form):
    """The answer to a challenge: a code of the second factor, or a recovery code."""

    challenge: str = Field(min_length=1, max_length=200)
    code: two_factor.Code


class Challenged(Struct, frozen=True):
    """The challenge of a log-in. It is shown once; the ledger stores only its hash."""

    challenge: str
    method: TwoFactorMethod
    expires_at: datetime


class Enrolment(Struct, frozen=True):
    """A prepared second factor. `secret` is an app's, shown once; otherwise a code was sent."""

    method: TwoFactorMethod
    expires_at: datetime
    username: str
    secret: str | None


Known = tuple[AdminUser, SecuritySettings]
"""An admin before an attempt, and the settings."""


class SentCodes:
    """What log-ins and second factors with codes need, which takes more than one decision."""

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

    async def send_code(self, channel: Channel, to: str, code: str, reference: str) -> None:
        """Send a code. Raises as `Sender.send` does."""
        subject = "Your code" if channel is Channel.EMAIL else None
        await self._sender.send(Message(channel, to, subject, BODY.format(code), reference))


class SecondFactor(SentCodes):
    """Challenges at log-in, and the second factor's enrolment and end."""

    async def challenge(self, stamp: Stamp, due: FactorDue) -> Challenged:
        """Issue a challenge for the second factor, after the password was right."""
        token = new_token(self._environment)
        method, expires_at = await self._issue(stamp, due.admin_id, token_hash(token), due.epoch)
        return Challenged(token, method, expires_at)

    async def verify(self, stamp: Stamp, form: AnswerChallenge) -> LoggedIn:
        """Open a session for the right answer to a challenge.

        Raises Unauthenticated (`invalid-challenge`, `invalid-code`), and TooManyAttempts after too
        many of the latter; wrong passwords count as well.
        """
        asked = await self._challenges.try_at(token_hash(form.challenge), self._environment.now())
        if asked is None:
            raise _void_challenge()
        admin_id, code = asked.holder, two_factor.plain(form.code)
        token = new_token(self._environment)
        known = await self._load(stamp, admin_id)

        def accept(uow: UnitOfWork) -> tuple[AdminUser, two_factor.Accepted]:
            require_address(uow, current(uow))
            admin = uow.read(AdminUser, admin_id)
            if admin.epoch != asked.epoch:
                raise _void_challenge()
            if (accepted := two_factor.check(uow, admin, code, asked.code)) is None:
                words = "This code is wrong, was used, or is too old."
                raise Unauthenticated("invalid-code", words)
            return admin, accepted

        def begin(uow: UnitOfWork) -> tuple[UUID, LoggedIn]:
            admin, accepted = accept(uow)
            two_factor.use_up(uow, admin, accepted)
            recovery = accepted.recovery is not None
            opened = begin_session(uow, admin, token, accepted.step, recovery=recovery)
            uow.activities.append(access_activity("AnswerChallenge"))
            return admin_id, opened

        async with self._attempt(stamp, "AnswerChallenge", known) as attempt:
            await self._ledger.read(accept, stamp)
            # Only one request can take the challenge. The code is used up by the decision.
            if not await self._challenges.take(asked.id):
                raise _void_challenge()
            _, opened = await self._ledger.decide(begin, stamp)
            await attempt.forgive()
        return opened

    async def enrol(
        self, stamp: Stamp, id: UUID, form: two_factor.EnrolTwoFactor, admit: Admit
    ) -> Enrolment:
        """Prepare a second factor for oneself: returns an app's secret, or sends a code."""
        known = await self._load(stamp, id, admit)
        method = form.method or known[1].two_factor_method
        sent = two_factor.CHANNELS.get(method)
        secret = None if sent else two_factor.new_secret(self._environment)

        def work(uow: UnitOfWork) -> UUID:
            uow.activities.append(access_activity("EnrolTwoFactor"))
            if sent:
                self._sender.require(sent, uow)
            two_factor.enrol(uow, id, method, secret)
            return id

        await self._ledger.submit(work, stamp, admit=admit)
        _, expires_at = await self._issue(stamp, id, _enrolment(id))
        return Enrolment(method, expires_at, known[0].username, secret)

    async def confirm(
        self, stamp: Stamp, id: UUID, form: two_factor.ConfirmTwoFactor, admit: Admit
    ) -> tuple[Receipt, list[str]]:
        """Activate the prepared second factor; returns the recovery codes, which are shown once."""
        known = await self._load(stamp, id, admit)
        asked = await self._challenges.try_at(_enrolment(id), self._environment.now())
        if asked is None or asked.epoch != known[0].epoch:
            raise two_factor.nothing_to_confirm()
        code = two_factor.plain(form.code)
        recovery = two_factor.new_recovery_codes(self._environment)

        def work(uow: UnitOfWork) -> UUID:
            two_factor.confirm(uow, id, code, asked.code, recovery)
            uow.activities.append(access_activity("ConfirmTwoFactor"))
            return id

        async with self._attempt(stamp, "ConfirmTwoFactor", known):
            receipt = await self._ledger.submit(work, stamp, admit=admit)
        await self._challenges.take(asked.id)
        return receipt, recovery

    async def disable(
        self, stamp: Stamp, id: UUID, form: two_factor.DisableTwoFactor, admit: Admit
    ) -> Receipt | None:
        """Disable the second factor. Returns None if a code was sent instead."""
        known = await self._load(stamp, id, admit)
        require(known[0].two_factor is not None, "already-done", "There is no second factor.")
        if form.code is None:
            if known[0].two_factor not in two_factor.CHANNELS:
                words = "Send a code of the app along, or one for recovery."
                raise Invalid("code-needed", words, "/code")
            await self._issue(stamp, id, _disabling(id))
            return None
        asked = await self._challenges.try_at(_disabling(id), self._environment.now())
        sent = asked.code if asked and asked.epoch == known[0].epoch else None
        code = two_factor.plain(form.code)

        def work(uow: UnitOfWork) -> UUID:
            two_factor.disable(uow, id, code, sent)
            uow.activities.append(access_activity("DisableTwoFactor"))
            return id

        async with self._attempt(stamp, "DisableTwoFactor", known):
            return await self._ledger.submit(work, stamp, admit=admit)

    @asynccontextmanager
    async def _attempt(self, stamp: Stamp, action: str, known: Known) -> AsyncIterator[Attempt]:
        """Run an attempt of an admin, which is counted and logged if it fails."""
        admin, settings = known
        async with (
            failures_logged(self._ledger, stamp, action, lambda: admin.id, self._attempts),
            self._attempts.attempt(admin.username, stamp.ip, settings) as attempt,
        ):
            yield attempt

    async def _load(self, stamp: Stamp, id: UUID, admit: Admit = admit_all) -> Known:
        return await self._ledger.read(
            lambda uow: (uow.read(AdminUser, id), current(uow)), stamp, admit
        )

    async def _issue(
        self, stamp: Stamp, id: UUID, name: str, epoch: int | None = None
    ) -> tuple[TwoFactorMethod, datetime]:
        """Store a challenge under a name, and send its code if the method sends one."""
        now, code = self._environment.now(), two_factor.new_code(self._environment)

        def look(uow: UnitOfWork) -> tuple[Challenge, TwoFactorMethod, str]:
            admin = uow.read(AdminUser, id)
            if (method := admin.two_factor or admin.pending_factor) is None:
                raise _void_challenge()
            since = admin.epoch if epoch is None else epoch
            waiting = Challenge(name, id, since, now + two_factor.LIFE)
            if (channel := two_factor.CHANNELS.get(method)) is None:
                return waiting, method, ""
            self._sender.require(channel, uow)
            known_by = two_factor.code_hash(uow, admin, code)
            to = two_factor.contact(uow, admin, method)
            return replace(waiting, code=known_by), method, to

        challenge, method, to = await self._ledger.read(look, stamp)
        if channel := two_factor.CHANNELS.get(method):
            await self._attempts.note("code", str(id), SENT_MOST, SENT_WITHIN)
        await self._challenges.put(challenge)
        if channel:
            await self.send_code(channel, to, code, str(self._environment.new_id()))
        return method, challenge.expires_at


def _enrolment(id: UUID) -> str:
    return f"enrolment of {id}"


def _disabling(id: UUID) -> str:
    return f"disabling by {id}"


def _void_challenge() -> Unauthenticated:
    words = "This challenge was answered, is too old, or had too many wrong codes: log in again."
    return Unauthenticated("invalid-challenge", words)

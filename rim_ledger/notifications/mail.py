"""E-mails over SMTP. What was handed over cannot be asked about afterwards: SMTP knows no such."""

import asyncio
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime
from typing import Final

import email_validator
from aiosmtplib import (
    SMTP,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
)

from rim_ledger.delivery.messages import Heard, Message, Unclear
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.refusals import Unavailable
from rim_ledger.notifications.sms_text import on_one_line
from rim_ledger.system.breaker import Breaker
from rim_ledger.system.egress import Blocked, NoAnswer, Outside, Unreachable
from rim_ledger.system.endpoint import Line
from rim_ledger.system.mail_server import LATER, conversation
from rim_ledger.system.retry import pauses

PATIENCE: Final = 9.0
"""Seconds that each may take: to be let in, to name both sides, and to hand over the message."""
AT_ONCE: Final = 8
"""Conversations with a server at once in this process; it has only so many lines."""
LEAVING: Final = 1.0
"""Seconds to say good-bye in: by then the server has the message."""
CLOSING: Final = 421
"""What a server says that goes away, whatever it was asked."""
REFUSED: Final = range(400, 600)


class Mail:
    """Speaks for one integration. On its way to the server a message is encrypted, but to this
    machine itself."""

    def __init__(
        self,
        line: Line,
        outside: Outside,
        breaker: Breaker,
        environment: Environment,
        conversations: asyncio.Semaphore,
    ) -> None:
        self._line, self._outside, self._breaker, self._world = line, outside, breaker, environment
        self._conversations = conversations

    async def send(self, message: Message) -> None:
        """Raises Unavailable (`not-sent`) when the server says no, or was not reached or said "not
        now" three times; Unclear when it falls silent once the message itself was begun."""
        try:
            to = _told(message.to)
            mail = self._mail(message, to).as_bytes(policy=WIRE)
        except ValueError:  # It is no address that a server could be told.
            raise _not_sent() from None
        for pause in pauses(self._world):
            await asyncio.sleep(pause)
            with suppress(Unreachable):
                return await self._converse(to, mail)
        raise _not_sent()

    async def ask(self, reference: str) -> Heard:
        """Nobody tells."""
        return Heard.UNKNOWN

    async def _converse(self, to: str, mail: bytes) -> None:
        """One conversation, which the circuit breaker hears of; but a server that does not want
        this one message is well. Raises Unreachable when the server certainly has nothing and may
        be tried again."""
        error, failed = None, False
        try:
            async with (
                self._conversations,
                conversation(self._outside, self._line, PATIENCE) as server,
            ):
                await self._hand_over(server, to, mail)
        except (Blocked, Unreachable, NoAnswer, SMTPException, OSError) as refusal:
            error = Unreachable() if _passes(refusal) else _not_sent()
            failed = not _is_about_one(refusal)
        except Unclear as unclear:
            error, failed = unclear, True
        await self._breaker.note(self._line.id, failed=failed)
        if error:
            raise error

    async def _hand_over(self, server: SMTP, to: str, mail: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            await server.mail(self._line.sender)
            await server.rcpt(to)
        try:
            async with asyncio.timeout(PATIENCE):
                await server.data(mail)
        except (SMTPException, OSError) as error:
            if isinstance(error, SMTPDataError) and error.code in REFUSED:
                raise
            raise Unclear from None
        with suppress(SMTPException, OSError):
            await server.quit(timeout=LEAVING)

    def _mail(self, message: Message, to: str) -> EmailMessage:
        mail, sender = EmailMessage(), self._line.sender
        mail["From"], mail["To"] = sender, to
        mail["Subject"] = on_one_line(message.subject or "")
        mail["Date"] = format_datetime(self._world.now())
        # A server that gets the same reference again may know it by this.
        mail["Message-ID"] = f"<{message.reference}@{sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        kind = "html" if message.html else "plain"
        # Not every server on the way takes eight bits.
        mail.set_content(message.body, subtype=kind, cte="quoted-printable")
        return mail


def _told(address: str) -> str:
    """An address as every server understands it. Raises ValueError if there is no such."""
    known = email_validator.validate_email(address, check_deliverability=False).ascii_email
    if known is None:
        raise ValueError("no server without SMTPUTF8 can be told this address")
    return known


def _passes(refusal: Exception) -> bool:
    """Whether it may be otherwise in a moment."""
    match refusal:
        case Unreachable():
            return True
        case NoAnswer():
            return refusal.reason.startswith("status-4")
        case SMTPResponseException():
            return refusal.code in LATER
    return False


def _is_about_one(refusal: Exception) -> bool:
    """Whether the server would take another message."""
    match refusal:
        case SMTPRecipientRefused() | SMTPDataError():
            return refusal.code != CLOSING
    return False


def _not_sent() -> Unavailable:
    return Unavailable("not-sent", "The mail server did not take the message.")

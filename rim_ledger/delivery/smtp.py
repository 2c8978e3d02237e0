"""E-mails over SMTP. What was handed over cannot be asked about afterwards: SMTP knows no such."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime
from functools import partial
from typing import Final
from urllib.parse import urlsplit

import email_validator
from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
)

from rim_ledger.delivery import egress
from rim_ledger.delivery.breaker import Breaker
from rim_ledger.delivery.egress import Blocked, Egress, NoAnswer, Unreachable
from rim_ledger.delivery.endpoint import Endpoint
from rim_ledger.delivery.port import UNKNOWN, Message, Outcome, Verdict
from rim_ledger.delivery.retry import retried
from rim_ledger.engine.environment import Environment
from rim_ledger.notifications.sms_text import on_one_line

STEP_TIMEOUT_SECONDS: Final = 9.0
"""Each may take as long: to be let in, to name both sides, and to hand over the message."""
QUIT_TIMEOUT_SECONDS: Final = 1.0
"""For the good-bye: by then the server has the message."""
AT_ONCE: Final = 8
"""Conversations with a server at once in this process; it has only so many lines."""
LATER: Final = range(400, 500)
"""What a server says that may say otherwise in a moment."""
CLOSING: Final = 421
"""What a server says that goes away, whatever it was asked."""
REFUSED: Final = range(400, 600)
NOT_TAKEN: Final = Outcome(Verdict.FAILED, "The mail server did not take the message.")


class SmtpServer:
    """Speaks for one integration. On its way to the server a message is encrypted, but to this
    machine itself."""

    def __init__(
        self,
        endpoint: Endpoint,
        egress: Egress,
        breaker: Breaker,
        environment: Environment,
        conversations: asyncio.Semaphore,
    ) -> None:
        self.name = endpoint.name
        self._endpoint, self._egress, self._breaker = endpoint, egress, breaker
        self._environment, self._conversations = environment, conversations

    async def send(self, order: Message) -> Outcome:
        """Failed when the server says no, or was not reached or said "not now" three times; unknown
        when it falls silent once the message itself was begun."""
        try:
            to = _told(order.to)
            mail = self._mail(order, to).as_bytes(policy=WIRE)
        except ValueError:  # It is no address that a server could be told.
            return NOT_TAKEN
        with suppress(Unreachable):
            return await retried(partial(self._converse, to, mail), self._environment)
        return NOT_TAKEN

    async def query(self, reference: str) -> Outcome:
        """Nobody tells."""
        return UNKNOWN

    async def _converse(self, to: str, mail: bytes) -> Outcome:
        """One conversation, which the circuit breaker hears of; but a server that does not want
        this one message is well. Raises Unreachable when the server certainly has nothing and may
        be tried again."""
        try:
            async with (
                self._conversations,
                conversation(self._egress, self._endpoint, STEP_TIMEOUT_SECONDS) as server,
            ):
                outcome = await self._hand_over(server, to, mail)
        except (Blocked, Unreachable, NoAnswer, SMTPException, OSError) as refusal:
            await self._breaker.note(self._endpoint.id, failed=not _is_about_one(refusal))
            if _passes(refusal):
                raise Unreachable from None
            return NOT_TAKEN
        await self._breaker.note(self._endpoint.id, failed=outcome == UNKNOWN)
        return outcome

    async def _hand_over(self, server: SMTP, to: str, mail: bytes) -> Outcome:
        async with asyncio.timeout(STEP_TIMEOUT_SECONDS):
            await server.mail(self._endpoint.sender)
            await server.rcpt(to)
        try:
            async with asyncio.timeout(STEP_TIMEOUT_SECONDS):
                await server.data(mail)
        except (SMTPException, OSError) as error:
            if isinstance(error, SMTPDataError) and error.code in REFUSED:
                raise
            return UNKNOWN
        with suppress(SMTPException, OSError):
            await server.quit(timeout=QUIT_TIMEOUT_SECONDS)
        return Outcome(Verdict.ACCEPTED)

    def _mail(self, message: Message, to: str) -> EmailMessage:
        mail, sender = EmailMessage(), self._endpoint.sender
        mail["From"], mail["To"] = sender, to
        mail["Subject"] = on_one_line(message.subject or "")
        mail["Date"] = format_datetime(self._environment.now())
        # A server that gets the same reference again may know it by this.
        mail["Message-ID"] = f"<{message.reference}@{sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        kind = "html" if message.html else "plain"
        # Not every server on the way takes eight bits.
        mail.set_content(message.body, subtype=kind, cte="quoted-printable")
        return mail


@asynccontextmanager
async def conversation(
    way: Egress, endpoint: Endpoint, timeout_seconds: float
) -> AsyncIterator[SMTP]:
    """A conversation with a server that has let us in, within so many seconds; each later step
    may take as long again.

    Raises Blocked or Unreachable without a connection, and NoAnswer when it did not let us in.
    """
    url, parts = endpoint.base_url, urlsplit(endpoint.base_url)
    client: SMTP | None = None
    try:
        try:
            async with asyncio.timeout(timeout_seconds):
                client = SMTP(
                    # The certificate must be that of the name, though an address is called.
                    hostname=parts.hostname,
                    sock=await way.connect(url),
                    use_tls=parts.scheme == "smtps",
                    start_tls=False,
                    tls_context=egress.certificates(),
                    local_hostname=endpoint.sender.rpartition("@")[2],
                    timeout=timeout_seconds,
                )
                await client.connect()
                if not (client.use_tls or way.is_local(url)):
                    await _encrypt(client)
                await client.ehlo()
                if endpoint.key and endpoint.secret:
                    user, password = endpoint.key, endpoint.secret
                    await client.login(user.get_secret_value(), password.get_secret_value())
        except (SMTPException, OSError) as error:
            raise NoAnswer(_reason(error)) from None
        yield client
    finally:
        if client:
            client.close()


async def _encrypt(client: SMTP) -> None:
    """Go on encrypted. Nobody is told anything by a server that cannot."""
    await client.ehlo()
    if not client.supports_extension("starttls"):
        raise NoAnswer("no-tls")
    await client.starttls()


def _reason(error: Exception) -> str:
    """One word of ours for what went wrong; the server's own may tell who we are."""
    match error:
        case SMTPAuthenticationError() if error.code not in LATER:
            return "log-in-refused"
        case SMTPResponseException() if error.code > 0:
            return f"status-{error.code}"
        case TimeoutError():
            return "timeout"
    return "tls" if isinstance(error.__cause__ or error, ssl.SSLError) else "broken"


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

"""E-mails over SMTP, which cannot be queried afterwards."""

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
from rim_ledger.delivery.egress import Blocked, Egress, NoAnswer, Unreachable, retried
from rim_ledger.delivery.endpoint import Endpoint
from rim_ledger.delivery.port import UNKNOWN, Message, Outcome, Verdict
from rim_ledger.engine.environment import Environment
from rim_ledger.notifications.sms_text import on_one_line

STEP_TIMEOUT_SECONDS: Final = 9.0
"""Limit of each step: connecting and logging in, the envelope, and the message."""
QUIT_TIMEOUT_SECONDS: Final = 1.0
"""Limit of QUIT: the server has the message by then."""
AT_ONCE: Final = 8
"""Sessions per server and process, since a server limits its connections."""
LATER: Final = range(400, 500)
"""Replies of temporary failures."""
CLOSING: Final = 421
"""The reply of a server that shuts down."""
REFUSED: Final = range(400, 600)
NOT_TAKEN: Final = Outcome(Verdict.FAILED, "The mail server did not take the message.")


class SmtpServer:
    """Client of one integration. Messages are encrypted on the way, except to this machine."""

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
        """Failed if the server refuses, or is unreachable or temporarily failing three times;
        unknown if the connection breaks after the message itself was begun."""
        try:
            to = email_validator.validate_email(order.to, check_deliverability=False).ascii_email
            if to is None:  # No server without SMTPUTF8 takes this address.
                return NOT_TAKEN
            mail = self._mail(order, to).as_bytes(policy=WIRE)
        except ValueError:  # No valid address for a server.
            return NOT_TAKEN
        with suppress(Unreachable):
            return await retried(partial(self._converse, to, mail), self._environment)
        return NOT_TAKEN

    async def query(self, reference: str) -> Outcome:
        """SMTP has no queries."""
        return UNKNOWN

    async def _converse(self, to: str, mail: bytes) -> Outcome:
        """Run one SMTP session, and report it to the circuit breaker; a refusal of this one message
        is not a failure of the server. Raises Unreachable if the server certainly has nothing and
        may be tried again."""
        try:
            async with (
                self._conversations,
                conversation(self._egress, self._endpoint, STEP_TIMEOUT_SECONDS) as server,
            ):
                outcome = await self._hand_over(server, to, mail)
        except (Blocked, Unreachable, NoAnswer, SMTPException, OSError) as refusal:
            await self._breaker.note(self._endpoint.id, failed=not _is_about_message(refusal))
            if _is_temporary(refusal):
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
        # A server can recognise a repeated reference by this.
        mail["Message-ID"] = f"<{message.reference}@{sender.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        kind = "html" if message.html else "plain"
        # Not every relay accepts eight bits.
        mail.set_content(message.body, subtype=kind, cte="quoted-printable")
        return mail


@asynccontextmanager
async def conversation(
    way: Egress, endpoint: Endpoint, timeout_seconds: float
) -> AsyncIterator[SMTP]:
    """Open an SMTP session and log in within so many seconds; each later step may take as long.

    Raises Blocked or Unreachable without a connection, and NoAnswer if the log-in failed.
    """
    url, parts = endpoint.base_url, urlsplit(endpoint.base_url)
    client: SMTP | None = None
    try:
        try:
            async with asyncio.timeout(timeout_seconds):
                client = SMTP(
                    # The certificate is that of the name, though an address is called.
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
                    await client.ehlo()
                    if not client.supports_extension("starttls"):
                        raise NoAnswer("no-tls")
                    await client.starttls()
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


def _reason(error: Exception) -> str:
    """Return our one-word reason; the server's text may reveal who we are."""
    match error:
        case SMTPAuthenticationError() if error.code not in LATER:
            return "log-in-refused"
        case SMTPResponseException() if error.code > 0:
            return f"status-{error.code}"
        case TimeoutError():
            return "timeout"
    return "tls" if isinstance(error.__cause__ or error, ssl.SSLError) else "broken"


def _is_temporary(refusal: Exception) -> bool:
    """Return whether a later attempt may succeed."""
    match refusal:
        case Unreachable():
            return True
        case NoAnswer():
            return refusal.reason.startswith("status-4")
        case SMTPResponseException():
            return refusal.code in LATER
    return False


def _is_about_message(refusal: Exception) -> bool:
    """Return whether the server would accept another message."""
    match refusal:
        case SMTPRecipientRefused() | SMTPDataError():
            return refusal.code != CLOSING
    return False

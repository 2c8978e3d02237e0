"""E-mails over SMTP. What was handed over cannot be asked about afterwards: SMTP knows no such."""

import asyncio
from contextlib import suppress
from email.message import EmailMessage
from email.policy import SMTP as WIRE
from email.utils import format_datetime
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from aiosmtplib import SMTP, SMTPDataError, SMTPException

from rim_ledger.core import Unavailable
from rim_ledger.notifications.sms_text import on_one_line
from rim_ledger.sending import Message, Unclear
from rim_ledger.values import LOOPBACK
from rim_ledger.world import World

PATIENCE: Final = 15.0
"""Seconds that each step of the conversation may take."""
AT_ONCE: Final = 8
"""Conversations under way at once in this process; a server has only so many lines."""
PORTS: Final = {"smtp": 587, "smtps": 465}


class Smtp:
    """One server. On its way there a message is encrypted, but to this machine itself."""

    def __init__(self, url: str, world: World) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or PORTS[parts.scheme]
        self._user = unquote(parts.username) if parts.username else None
        self._password = unquote(parts.password) if parts.password else None
        self._from = parse_qs(parts.query)["from"][0]
        self._tls = parts.scheme == "smtps"
        self._local = self._host in LOOPBACK
        self._world, self._at_once = world, asyncio.Semaphore(AT_ONCE)

    async def send(self, message: Message) -> None:
        """Raises Unavailable (`not-sent`) until the message itself was begun, Unclear when the
        server falls silent after that."""
        mail = self._mail(message).as_bytes(policy=WIRE)
        async with self._at_once:
            client = self._client()
            try:
                await self._hand_over(client, message.to, mail)
            finally:
                client.close()

    def _client(self) -> SMTP:
        return SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            use_tls=self._tls,
            # On this machine nobody listens in, so that a server there needs no certificate.
            start_tls=not (self._tls or self._local),
            timeout=PATIENCE,
        )

    async def _hand_over(self, client: SMTP, to: str, message: bytes) -> None:
        try:
            await client.connect()
            await client.mail(self._from)
            await client.rcpt(to)
        except (SMTPException, OSError, ValueError):
            raise _not_sent() from None
        try:
            await client.data(message)
        except SMTPDataError:
            raise _not_sent() from None
        except (SMTPException, OSError):
            raise Unclear from None
        with suppress(SMTPException, OSError):
            await client.quit()

    def _mail(self, message: Message) -> EmailMessage:
        mail = EmailMessage()
        mail["From"], mail["To"] = self._from, message.to
        mail["Subject"] = on_one_line(message.subject or "")
        mail["Date"] = format_datetime(self._world.now())
        # A server that gets the same reference again may know it by this.
        mail["Message-ID"] = f"<{message.reference}@{self._from.rpartition('@')[2]}>"
        mail["Auto-Submitted"] = "auto-generated"
        mail.set_content(message.body, subtype="html" if message.html else "plain")
        return mail


def _not_sent() -> Unavailable:
    return Unavailable("not-sent", "The mail server did not take the message.")

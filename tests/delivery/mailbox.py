"""A real mail server on this machine: what it does with a message follows from the address."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult

USER, PASSWORD = "a-user-of-the-mail-server", "a-password-of-the-mail-server"


class Mailbox:
    """Takes what comes, but for some addresses. It knows one user."""

    def __init__(self) -> None:
        self.got: list[EmailMessage] = []
        self.logins: list[tuple[str, str, bool]] = []
        """User, password, and whether they came encrypted."""
        self.left = 0
        """Conversations that ended politely."""
        self.replies: dict[str, list[str]] = {}
        """What it says at a step (AUTH, MAIL, RCPT, DATA) at first, whoever the message is for."""
        self.asked = 0
        """How often somebody wanted to hand over a message."""

    def server(self, starttls: ssl.SSLContext | None = None) -> SMTP:
        """The server's side of one conversation."""
        return SMTP(
            self,
            tls_context=starttls,
            require_starttls=starttls is not None,
            authenticator=self._let_in,
            auth_require_tls=False,
            hostname="mail.example",
            loop=asyncio.get_running_loop(),
        )

    def _let_in(self, server: Any, session: Any, envelope: Any, way: str, said: Any) -> AuthResult:
        user, password = said.login.decode(), said.password.decode()
        encrypted = server.transport.get_extra_info("cipher") is not None
        self.logins.append((user, password, encrypted))
        if reply := self._reply("AUTH"):
            return AuthResult(success=False, handled=False, message=reply)
        return AuthResult(success=(user, password) == (USER, PASSWORD), handled=False)

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.left += 1
        return "221 Bye"

    async def handle_MAIL(  # noqa: N802 - named by the server
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        self.asked += 1
        if reply := self._reply("MAIL"):
            return reply
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if reply := self._reply("RCPT"):
            return reply
        if address.startswith("nobody"):
            return "550 no such mailbox"
        if address.startswith("busy"):
            return "450 try again later"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if reply := self._reply("DATA"):
            return reply
        (address,) = envelope.rcpt_tos
        if address.startswith("full"):
            return "552 mailbox full"
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.got.append(message)
        if address.startswith("silent"):
            server.transport.abort()
        return "250 taken"

    def _reply(self, step: str) -> str | None:
        """What it says instead of what it would."""
        left = self.replies.get(step)
        return left.pop(0) if left else None


@asynccontextmanager
async def a_mail_server(
    box: Mailbox, *, tls: ssl.SSLContext | None = None, starttls: ssl.SSLContext | None = None
) -> AsyncIterator[str]:
    """A server that is encrypted from the beginning, once it is asked to be, or never; its URL."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: box.server(starttls), "127.0.0.1", 0, ssl=tls)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield f"smtp{'s' if tls else ''}://127.0.0.1:{port}"

"""The way to a mail server: its address judged as all are, encrypted, and logged in."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from aiosmtplib import SMTP, SMTPAuthenticationError, SMTPException, SMTPResponseException

from rim_ledger.system import egress
from rim_ledger.system.egress import NoAnswer, Outside
from rim_ledger.system.endpoint import Line

LATER: Final = range(400, 500)
"""What a server says that may say otherwise in a moment."""


@asynccontextmanager
async def conversation(way: Outside, line: Line, patience: float) -> AsyncIterator[SMTP]:
    """A conversation with a server that has let us in, within so many seconds; each later step
    may take as long again.

    Raises Blocked or Unreachable without a connection, and NoAnswer when it did not let us in.
    """
    url, parts = line.base_url, urlsplit(line.base_url)
    client: SMTP | None = None
    try:
        try:
            async with asyncio.timeout(patience):
                client = SMTP(
                    # The certificate must be that of the name, though an address is called.
                    hostname=parts.hostname,
                    sock=await way.connect(url),
                    use_tls=parts.scheme == "smtps",
                    start_tls=False,
                    tls_context=egress.certificates(),
                    local_hostname=line.sender.rpartition("@")[2],
                    timeout=patience,
                )
                await client.connect()
                if not (client.use_tls or way.is_local(url)):
                    await _encrypt(client)
                await client.ehlo()
                if line.key and line.secret:
                    user, password = line.key, line.secret
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

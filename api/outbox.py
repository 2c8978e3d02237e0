"""How messages leave: through the providers that are set; else, in development, to a file."""

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from api.settings import Settings
from api.sms_gateway import SmsGateway
from api.smtp import Smtp
from rim_ledger.core import Refused, Unavailable
from rim_ledger.sending import Channel, Heard, Message, Sender
from rim_ledger.world import World

NAME: Final = "outbox.ndjson"


class Outbox:
    """Delivers nothing: appends each message to RIM_HOME/outbox.ndjson, a line each."""

    def __init__(self, home: Path, world: World) -> None:
        self.path, self._world = home / NAME, world

    def require(self, channel: Channel) -> None:
        """Every kind of message fits into a file."""

    async def send(self, message: Message) -> None:
        line = {
            "at": f"{self._world.now():%Y-%m-%dT%H:%M:%S.%fZ}",
            "channel": message.channel,
            "to": message.to,
            "subject": message.subject,
            "body": message.body,
            "reference": message.reference,
        }
        try:
            await asyncio.to_thread(self._append, line)
        except OSError:
            raise Unavailable("not-sent", "The message could not be handed over.") from None

    async def ask(self, channel: Channel, reference: str) -> Heard:
        return Heard.SENT if await asyncio.to_thread(self._has, reference) else Heard.NEVER

    def _has(self, reference: str) -> bool:
        own = f'"reference": {json.dumps(reference)}}}'.encode()
        with suppress(FileNotFoundError), self.path.open("rb") as lines:
            return any(line.rstrip().endswith(own) for line in lines)
        return False

    def _append(self, line: dict[str, Any]) -> None:
        """In one write to the end of the file, so that processes never mix their lines."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, json.dumps(line).encode() + b"\n")
        finally:
            os.close(file)


class NoSender:
    """No provider is connected: what needs a message is refused before it begins."""

    def require(self, channel: Channel) -> None:
        raise Refused("no-sender", f"No provider of {channel} messages is connected.")

    async def send(self, message: Message) -> None:
        self.require(message.channel)

    async def ask(self, channel: Channel, reference: str) -> Heard:
        return Heard.UNKNOWN


class Providers:
    """The providers that are set, and for whatever else there is, another sender."""

    def __init__(self, smtp: Smtp | None, sms: SmsGateway | None, other: Sender) -> None:
        self._smtp, self._sms, self._other = smtp, sms, other

    def require(self, channel: Channel) -> None:
        if not (self._smtp if channel is Channel.EMAIL else self._sms):
            self._other.require(channel)

    async def send(self, message: Message) -> None:
        if message.channel is Channel.EMAIL and self._smtp:
            await self._smtp.send(message)
        elif message.channel is Channel.SMS and self._sms:
            await self._sms.send(message)
        else:
            await self._other.send(message)

    async def ask(self, channel: Channel, reference: str) -> Heard:
        if channel is Channel.EMAIL and self._smtp:
            return Heard.UNKNOWN
        if channel is Channel.SMS and self._sms:
            return await self._sms.ask(reference)
        return await self._other.ask(channel, reference)


def sender(settings: Settings, world: World) -> Sender:
    """The sender of this installation."""
    other: Sender = NoSender() if settings.production else Outbox(settings.home, world)
    smtp = Smtp(settings.smtp_url, world) if settings.smtp_url else None
    sms = SmsGateway(settings.sms_url) if settings.sms_url else None
    return Providers(smtp, sms, other) if smtp or sms else other

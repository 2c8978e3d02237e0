"""How messages leave: in development to a file that people and tests read, elsewhere not yet."""

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from api.settings import Settings
from rim_ledger.core import Refused, Unavailable
from rim_ledger.sending import Channel, Heard, Sender
from rim_ledger.world import World

NAME: Final = "outbox.ndjson"


class Outbox:
    """Delivers nothing: appends each message to RIM_HOME/outbox.ndjson, a line each."""

    def __init__(self, home: Path, world: World) -> None:
        self.path, self._world = home / NAME, world

    def require(self, channel: Channel) -> None:
        """Every kind of message fits into a file."""

    async def send(
        self,
        channel: Channel,
        to: str,
        subject: str | None,
        body: str,
        reference: str,
        *,
        html: bool = False,
    ) -> None:
        line = {
            "at": f"{self._world.now():%Y-%m-%dT%H:%M:%S.%fZ}",
            "channel": channel,
            "to": to,
            "subject": subject,
            "body": body,
            "reference": reference,
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

    async def send(
        self,
        channel: Channel,
        to: str,
        subject: str | None,
        body: str,
        reference: str,
        *,
        html: bool = False,
    ) -> None:
        self.require(channel)

    async def ask(self, channel: Channel, reference: str) -> Heard:
        return Heard.UNKNOWN


def sender(settings: Settings, world: World) -> Sender:
    """The sender of this installation."""
    return NoSender() if settings.production else Outbox(settings.home, world)

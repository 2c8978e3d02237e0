"""How messages leave: through integrations; without one, in development, to a file."""

import asyncio
import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from api.config.settings import Settings
from rim_ledger.delivery.messages import Heard, Message
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.refusals import Unavailable
from rim_ledger.notifications.providers import Integrations
from rim_ledger.system.breaker import Breaker
from rim_ledger.system.egress import Outside

NAME: Final = "outbox.ndjson"


class Outbox:
    """Delivers nothing: appends each message to RIM_HOME/outbox.ndjson, a line each."""

    def __init__(self, home: Path, environment: Environment) -> None:
        self.path, self._world = home / NAME, environment

    async def send(self, message: Message) -> None:
        """Raises Unavailable (`not-sent`) when the file cannot be written."""
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

    async def ask(self, reference: str) -> Heard:
        """Whether it is there."""
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


def providers(
    settings: Settings, url: str, ledger: Ledger, environment: Environment, outside: Outside
) -> Integrations:
    """Who delivers the messages of this installation."""
    otherwise = None if settings.production else Outbox(settings.home, environment)
    return Integrations(outside, Breaker(url, ledger, environment), environment, otherwise)

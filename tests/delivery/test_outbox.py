"""The development sender: a line a message, whoever writes at the same time."""

import asyncio
import json
from pathlib import Path
from typing import cast

import pytest

from api.config.delivery import OUTBOX, providers
from api.config.settings import Settings
from rim_ledger.delivery.port import Channel, Message, Outcome, Verdict
from rim_ledger.delivery.simulated import Outbox
from rim_ledger.engine.ledger import Ledger
from tests.spec import TestWorld

SECRET = b"a secret of the tests, 32 bytes."


async def test_each_message_is_a_line_of_a_file_that_only_its_owner_reads(tmp_path: Path) -> None:
    home = tmp_path / "not made yet"
    outbox = Outbox(home / OUTBOX, TestWorld())
    await outbox.send(Message(Channel.EMAIL, "ada@rim.example", "Hello", "Two\nlines", "M-1"))
    await outbox.send(Message(Channel.SMS, "+2348031234567", None, "Your code is 1", "M-2"))
    first, second = map(json.loads, (home / "outbox.ndjson").read_text().splitlines())
    assert first == {
        "at": "2026-01-05T09:00:00.000000Z",
        "channel": "email",
        "to": "ada@rim.example",
        "subject": "Hello",
        "body": "Two\nlines",
        "reference": "M-1",
    }
    assert (second["channel"], second["subject"]) == ("sms", None)
    assert (home / "outbox.ndjson").stat().st_mode & 0o777 == 0o600


async def test_messages_sent_at_once_never_mix_their_lines(tmp_path: Path) -> None:
    outboxes = [Outbox(tmp_path / OUTBOX, TestWorld()) for _ in range(2)]
    sends = (
        each.send(Message(Channel.SMS, str(n), None, "x" * 5000, "M"))
        for n in range(50)
        for each in outboxes
    )
    await asyncio.gather(*sends)
    lines = (tmp_path / "outbox.ndjson").read_text().splitlines()
    told = sorted(int(json.loads(line)["to"]) for line in lines)
    assert told == sorted([*range(50), *range(50)])


async def test_a_message_that_cannot_be_written_is_not_taken_for_sent(tmp_path: Path) -> None:
    (tmp_path / "outbox.ndjson").mkdir()
    outbox = Outbox(tmp_path / OUTBOX, TestWorld())
    outcome = await outbox.send(Message(Channel.SMS, "1", None, "x", "M"))
    assert outcome.verdict is Verdict.FAILED


async def test_it_is_asked_what_it_has(tmp_path: Path) -> None:
    outbox = Outbox(tmp_path / OUTBOX, TestWorld())
    assert await outbox.query("M-1") == Outcome(Verdict.ABSENT)
    await outbox.send(Message(Channel.SMS, "+2348031234567", None, "Hi", "M-1"))
    assert await outbox.query("M-1") == Outcome(Verdict.ACCEPTED)


@pytest.mark.parametrize("env", ["development", "production"])
def test_in_production_there_is_no_file_to_write_messages_to(env: str, tmp_path: Path) -> None:
    settings = Settings(secret_key=SECRET, home=tmp_path, env=env)
    found = providers(settings, "postgresql://nowhere", cast("Ledger", None), TestWorld())
    assert isinstance(found.outbox, Outbox) is (env == "development")

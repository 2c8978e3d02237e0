"""Somebody changes what is signed, past all rules: it is noticed, and nothing untrue is signed."""

import asyncio
import re
from pathlib import Path
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from api.cli import main, sealing
from api.cli.backup_commands import restore
from api.config.backup_files import backup_worker
from api.config.database import open_ledger, open_vault
from api.config.settings import Settings
from projections.proofs import checkpoints
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.engine.event_mac import Forged
from rim_ledger.operator_error import OperatorError
from tests.cli.lost import Ledger

PATIENCE = 60.0
"""Seconds until what should have ended by itself has not."""


def cut(ledger: Ledger, size: int) -> None:
    """Take what was signed last out of the store, with its seals."""
    ledger.change(f"DELETE FROM ledger.events WHERE position > {size}")
    ledger.change(f"DELETE FROM ledger.checkpoints WHERE size > {size}")


def test_a_tail_that_is_cut_while_the_sealer_runs_is_not_signed_otherwise(ledger: Ledger) -> None:
    first = ledger.seal()
    ledger.go_on()

    async def run() -> None:
        signing = asyncio.create_task(sealing.seal(Settings.load(), ledger.url))
        await ledger.signed(signing)
        cut(ledger, first.size)
        await asyncio.to_thread(ledger.go_on)
        await asyncio.to_thread(ledger.go_on)
        with pytest.raises(OperatorError, match=r"database contradicts .* signed"):
            await asyncio.wait_for(signing, PATIENCE)

    asyncio.run(run())
    assert ledger.last().size == first.size + 2
    with pytest.raises(OperatorError, match=r"database contradicts .*: the first"):
        main.init()
    assert f"checkpoint of {first.size + 2} events: another root was signed" in ledger.finds()


def test_an_origin_that_no_restore_opened_excuses_nothing(ledger: Ledger) -> None:
    """Somebody has the database and the master secret, but not what is kept outside."""
    first = ledger.seal()
    ledger.go_on()
    last = ledger.seal()

    async def forge() -> None:
        async with await AsyncConnection.connect(ledger.url) as connection:
            vault = open_vault(Settings.load(), ledger.url)
            await checkpoints.open_next_origin(connection, vault, SystemEnvironment(), [last])

    cut(ledger, first.size)
    asyncio.run(forge())
    forged = ledger.origin
    for command in (main.init, main.seal):
        with pytest.raises(
            OperatorError, match=f"{forged} goes on from .*; no restore has said so there"
        ):
            command()
    assert f"{forged} goes on from" in ledger.finds()
    file, _ = ledger.backup()
    ledger.wipe()
    with pytest.raises(OperatorError, match=f"backup contradicts .*: {forged} goes on from"):
        restore(file)
    assert not ledger.outside(forged, "opening").exists()


KEY, ITS = "UPDATE ledger.secrets SET secret =", "WHERE purpose = 'signing-key'"
DAMAGED = {
    "tables of an older version": (
        "ALTER TABLE ledger.checkpoints DROP COLUMN opens",
        'no log of this version: column "opens" does not exist',
    ),
    "no tiles": ("DROP TABLE ledger.tiles", 'no log of this version: relation "ledger.tiles"'),
    "no checkpoints": (
        "DROP TABLE ledger.checkpoints",
        'no log of this version: relation "ledger.checkpoints"',
    ),
    "another byte in its key": (
        f"{KEY} overlay(secret placing 'AAAA' from 30) {ITS}",
        "the key that it is signed with is damaged",
    ),
    "no key": (f"{KEY} 'abc' {ITS}", "the key that it is signed with is damaged"),
    "a key of another ring": (
        f"{KEY} '99999999999999999999999.AAAA' {ITS}",
        "the key that it is signed with is damaged",
    ),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_a_store_that_is_damaged_is_said_to_be_in_a_line(ledger: Ledger, what: str) -> None:
    ledger.seal()
    change, words = DAMAGED[what]
    ledger.change(change)
    for command in (main.init, main.seal):
        with pytest.raises(OperatorError, match=f"database contradicts .*: .*{words}"):
            command()
    assert words in ledger.finds()


def test_tables_that_are_dropped_while_the_sealer_runs_are_missed(ledger: Ledger) -> None:
    async def run() -> None:
        signing = asyncio.create_task(sealing.seal(Settings.load(), ledger.url))
        await ledger.signed(signing)
        ledger.change("DROP TABLE ledger.tiles")
        await asyncio.to_thread(ledger.go_on)
        with pytest.raises(OperatorError, match=r"database contradicts .* no log of this version"):
            await asyncio.wait_for(signing, PATIENCE)

    asyncio.run(run())


AGAIN = """
INSERT INTO ledger.events (position, stream_id, version, name, body, recorded_at, mac)
SELECT position + 1, stream_id, version + 1, name, body, recorded_at, mac
  FROM ledger.events ORDER BY position DESC LIMIT 1"""


def test_an_event_in_another_name_is_neither_sealed_nor_decided_on(ledger: Ledger) -> None:
    ledger.seal()
    ledger.change(AGAIN)
    forged = f"position {ledger.head}"
    with pytest.raises(
        OperatorError, match=f"the event at {forged} was not written by this ledger"
    ):
        asyncio.run(asyncio.wait_for(sealing.seal(Settings.load(), ledger.url), PATIENCE))
    with pytest.raises(Forged, match=f"event at {forged} was not written by this ledger"):
        ledger.go_on()
    assert f"{forged}: the event (AdminCreated) was not written by" in ledger.finds()


def test_where_codes_begin_cannot_be_moved(ledger: Ledger) -> None:
    """Or all that somebody put there before would be believed."""
    ledger.go_on()
    ledger.seal()
    ledger.change("UPDATE ledger.events SET mac = NULL")
    ledger.change("DELETE FROM ledger.key_ring WHERE purpose = 'event'")
    with pytest.raises(
        OperatorError, match=r"codes begin after position 0; no event carries a code"
    ):
        main.init()


def test_a_ledger_from_before_the_codes_is_looked_at_as_a_whole_first(ledger: Ledger) -> None:
    ledger.go_on()
    ledger.seal()
    ledger.change("UPDATE ledger.events SET mac = NULL")
    ledger.change("DELETE FROM ledger.key_ring WHERE purpose = 'event'")
    for name in ("latest", *(each.name for each in ledger.outside(ledger.origin, "").glob("*-*"))):
        ledger.outside(ledger.origin, name).unlink()  # They say that there were codes.
    ledger.change("UPDATE ledger.events SET body = body || ' ' WHERE position = 2")
    with pytest.raises(
        OperatorError, match=r"position 2: the event .* is not the one that was sealed"
    ):
        main.init()
    ledger.change("UPDATE ledger.events SET body = trim(body) WHERE position = 2")
    with pytest.raises(OperatorError, match="carry no codes yet: run rim-ledger init"):
        main.rebuild()
    assert "codes that authenticate events" in ledger.says(main.init)
    ledger.go_on()
    ledger.seal()
    assert ledger.says(main.verify).endswith("as they were signed\n")


def test_without_the_secret_the_seals_are_compared_and_no_codes(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger.seal()
    monkeypatch.delenv("RIM_SECRET_KEY")
    said = ledger.says(main.verify)
    assert "MACs not checked, nor names, secrets, keys, outcomes, reminders and read tables" in said
    assert said.endswith(" of them sealed: as they were signed\n")
    assert not (ledger.home / "secret.key").exists(), "none is made for this"
    ledger.change("UPDATE ledger.events SET body = body || ' ' WHERE position = 2")
    assert "position 2: the event (AdminRoleCreated) is not the one that was" in ledger.finds()


BEFORE_LAST = "(SELECT stream_id FROM ledger.events WHERE name = 'AdminCreated' LIMIT 1)"
MISLED = {
    "another hash of the password": (
        "UPDATE ledger.secrets SET secret = 'own' WHERE purpose = 'password'",
        "ledger.secrets: password of .* does not follow from the log",
    ),
    "no hash of the password": (
        "DELETE FROM ledger.secrets WHERE purpose = 'password'",
        "ledger.secrets: password of .* is missing",
    ),
    "a secret for a role": (
        (
            "INSERT INTO ledger.secrets SELECT stream_id, 'password', 'own' FROM ledger.events"
            " WHERE name = 'AdminRoleCreated' LIMIT 1"
        ),
        "ledger.secrets: password of .* does not follow from the log",
    ),
    "a token of one's own": (
        f"INSERT INTO ledger.claims SELECT 'token', 'own', {BEFORE_LAST}",
        "ledger.claims: token leads to .*, which does not hold it",
    ),
    "no user name": (
        "DELETE FROM ledger.claims WHERE kind = 'admin-username'",
        "ledger.claims: admin-username of .* is missing",
    ),
    "a user name of another": (
        (
            "UPDATE ledger.claims SET stream_id = (SELECT stream_id FROM ledger.events"
            " WHERE name = 'AdminRoleCreated' LIMIT 1) WHERE kind = 'admin-username'"
        ),
        "ledger.claims: admin-username of .* leads to",
    ),
    "no personal key": (
        "DELETE FROM ledger.personal_keys",
        "ledger.personal_keys: the key of .* is missing",
    ),
    "an outcome": (
        "INSERT INTO ledger.outcomes VALUES ('ada', 'k', 'hash', '{}', now())",
        "ledger.outcomes: that of the key k was not stored so",
    ),
    "a limit that is shown": (
        "UPDATE read.admin_roles SET max_amount = 1 WHERE name = 'superadmin'",
        "read.admin_roles: .* differs in max_amount",
    ),
    "an admin who is not shown": (
        "DELETE FROM read.admin_users",
        "read.admin_users: .* is missing",
    ),
    "who is shown to have done it": (
        "UPDATE read.audit_logs SET user_name = 'eve' WHERE action = 'AdminCreated'",
        "read.audit_logs: .* differs in user_name",
    ),
}


@pytest.mark.parametrize("what", MISLED)
def test_a_row_that_does_not_follow_from_the_log_is_found(ledger: Ledger, what: str) -> None:
    ledger.seal()
    assert ledger.says(main.verify).endswith("as they were signed\n")
    statement, words = MISLED[what]
    ledger.change(statement)
    assert re.search(words, ledger.finds())


def test_a_reminder_that_somebody_put_there_clears_no_good_backup_away(ledger: Ledger) -> None:
    kept, _ = ledger.backup()
    file = ledger.home / "backups" / Path(kept).name

    async def drop() -> None:
        settings = Settings.load()
        async with open_ledger(settings, ledger.url) as opened:
            await backup_worker(settings, ledger.url, opened).drop(UUID(file.stem[-36:]))

    assert file.exists()
    asyncio.run(drop())
    assert file.exists()

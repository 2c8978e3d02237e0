"""A ledger of an earlier version gets the tables of this one before its checkpoints are read."""

import psycopg
import pytest

from api.config.database import update_ledger
from rim_ledger.postgres import migrations

NUMBERED = "0032_sealed_activity.sql"
"""The migration that gave checkpoints their numbers, which they are read by."""
SIGNED = "INSERT INTO ledger.checkpoints (size, opens, note) VALUES (0, true, 'a note')"


def test_an_earlier_ledger_is_brought_up_and_no_other_database(
    empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert update_ledger(empty) == []
    with psycopg.connect(empty, autocommit=True) as connection:
        found = connection.execute("SELECT to_regnamespace('ledger')").fetchone()
        assert found == (None,), "a restore needs an empty database"
        every = migrations.scripts()
        earlier = {name: text for name, text in every.items() if name < NUMBERED}
        with monkeypatch.context() as patched:
            patched.setattr(migrations, "scripts", lambda: earlier)
            migrations.migrate(empty)
        connection.execute(SIGNED)
        lacking = [f"migration {name}" for name in sorted(every.keys() - earlier.keys())]
        assert update_ledger(empty) == lacking
        assert connection.execute("SELECT number FROM ledger.checkpoints").fetchall() == [(1,)]
    assert update_ledger(empty) == []

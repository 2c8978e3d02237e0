"""A ledger is lost and restored, by the commands that people use: it says what it goes on from."""

import shutil
from datetime import UTC, datetime

import psycopg
import pytest

from api.cli import main
from api.cli.backup_commands import restore
from api.cli.export import export
from api.config.checkpoint_files import CheckpointFiles
from projections.proofs.origins import Origins, open_first
from projections.proofs.signed_note import Signer, Verifier
from rim_ledger.operator_error import OperatorError
from rim_ledger.system.backup_settings import BackupType
from tests.cli.lost import Ledger


def test_a_restore_goes_on_from_the_last_checkpoint_and_names_what_was_lost(
    ledger: Ledger,
) -> None:
    first = ledger.seal()
    old = ledger.outside(first.origin, "key").read_text()
    file, position = ledger.backup()
    ledger.go_on()
    last = ledger.seal()
    ledger.wipe()

    said = ledger.says(restore, file)
    opening = ledger.origins()[-1]
    Verifier.of(old).require_signed(opening.note)
    opening.verifier.require_signed(opening.note)
    assert opening.verifier.key != old.strip()
    assert opening.checkpoint.size == position
    assert (opening.after, opening.lost) == (first, [last])
    assert f"goes on from {first.origin} at position {position}; lost: the later" in said
    assert f"up to position {last.size}\n" in said
    reason = ledger.ask("SELECT body::json #>> '{data,reason}' FROM ledger.events WHERE name ="
                        " 'OutboundStopped' ORDER BY position DESC")  # fmt: skip
    assert reason == f"The ledger was restored from a backup: {opening}."

    main.init()
    verified = ledger.says(main.verify)
    assert str(opening) in verified
    assert verified.endswith(": as they were signed\n")
    later = ledger.seal()
    assert (later.origin, later.size) == (opening.verifier.origin, ledger.head)
    assert ledger.outside(later.origin, "opening").read_text() == opening.note
    assert ledger.outside(first.origin, "latest").exists()
    main.init()
    place = ledger.home.parent / "out"
    ledger.says(export, to=str(place))
    offline = {"export": place, "key": ledger.outside(first.origin, "key")}
    for verified in (ledger.says(main.verify), ledger.says(main.verify, **offline)):
        assert verified.startswith(f"{opening}\n")
        assert f"sealed by {later.origin}" in verified
        assert verified.endswith(": as they were signed\n")


def test_a_restore_of_all_that_was_signed_names_nothing_as_lost(ledger: Ledger) -> None:
    kept = ledger.seal()
    file, _ = ledger.backup()
    ledger.wipe()
    said = ledger.says(restore, file)
    opening = ledger.origins()[-1]
    assert (opening.after, opening.lost) == (kept, [])
    assert "; lost" not in said


def test_a_home_that_knows_no_checkpoint_takes_the_restored_ledger(ledger: Ledger) -> None:
    kept = ledger.seal()
    file, position = ledger.backup()
    ledger.go_on()
    ledger.seal()
    shutil.move(ledger.home, ledger.home.with_name("elsewhere"))
    ledger.wipe()
    ledger.says(restore, file)
    opening = ledger.origins()[-1]
    assert (opening.after, opening.lost) == (kept, [])
    assert opening.checkpoint.size == position
    ledger.seal()
    main.init()

    # What was kept elsewhere knows better: nobody has said that those events are lost.
    shutil.rmtree(ledger.home / "checkpoints")
    shutil.move(ledger.home.with_name("elsewhere") / "checkpoints", ledger.home / "checkpoints")
    with pytest.raises(OperatorError, match="which are not all in the log, and no restore says so"):
        main.init()
    assert "no restore says so" in ledger.finds()


def test_a_chain_of_backups_is_restored_twice_and_followed_through_three_keys(
    ledger: Ledger,
) -> None:
    first = ledger.seal()
    key = Verifier.of(ledger.outside(first.origin, "key").read_text())
    chain, position = [ledger.backup()[0]], 0
    for _ in range(2):
        ledger.go_on()
        file, position = ledger.backup(BackupType.INCREMENTAL)
        chain.append(file)
    ledger.go_on()
    lost = ledger.seal()
    ledger.wipe()
    ledger.says(restore, *chain)
    ledger.finish(chain[-1])
    second = ledger.seal()
    again, later = ledger.backup()
    ledger.go_on()
    gone = ledger.seal()
    ledger.wipe()
    ledger.says(restore, again)

    _, middle, last = ledger.origins()
    assert (middle.checkpoint.size, middle.after, middle.lost) == (position, first, [lost])
    assert (last.checkpoint.size, last.after, last.lost) == (later, second, [gone])
    for opening in (middle, last):
        key.require_signed(opening.note)
        key = opening.verifier
    ledger.seal()
    main.init()
    verified = ledger.says(main.verify)
    assert [str(each) in verified for each in (middle, last)] == [True, True]


def test_a_restore_that_is_done_again_loses_nothing(ledger: Ledger) -> None:
    """As when one was stopped between the outside and its commit."""
    ledger.seal()
    file, position = ledger.backup()
    ledger.wipe()
    ledger.says(restore, file)
    before = ledger.origins()[-1].checkpoint
    ledger.wipe()
    assert "; lost" not in ledger.says(restore, file)
    (named,) = ledger.origins()[-1].lost
    assert (named.origin, named.size) == (before.origin, position)
    assert "; lost" not in ledger.says(main.verify)
    ledger.seal()
    main.init()


def test_what_another_log_signed_is_not_called_lost(ledger: Ledger) -> None:
    ledger.seal()
    file, _ = ledger.backup()
    stranger = Signer(b"k" * 32)
    now, others = datetime(2026, 3, 4, tzinfo=UTC), Origins([open_first(stranger)])
    CheckpointFiles(ledger.home).keep(stranger.sign(77, b"r" * 32), others, now)
    with pytest.raises(OperatorError, match=f"contradicts .*: {stranger.origin} signed 77 events"):
        main.init()
    ledger.wipe()
    with pytest.raises(OperatorError, match=f"contradicts .*: it has no part in {stranger.origin}"):
        restore(file)
    assert ledger.ask("SELECT to_regnamespace('ledger')") is None


def test_what_a_restore_opens_is_known_outside_at_once(ledger: Ledger) -> None:
    first = ledger.seal()
    file, _ = ledger.backup()
    ledger.wipe()
    ledger.says(restore, file)
    opening = ledger.origins()[-1]
    assert ledger.outside(opening.verifier.origin, "opening").read_text() == opening.note
    main.init()

    # As on another machine, whose RIM_HOME the restore did not see.
    shutil.rmtree(ledger.outside(opening.verifier.origin, "opening").parent)
    for command in (main.init, main.seal):
        with pytest.raises(OperatorError, match="copy its checkpoints from there"):
            command()
    assert f"{opening}; no restore has said so there" in ledger.finds()
    shutil.rmtree(ledger.outside(first.origin, "opening").parent)
    ledger.seal()
    main.init()


def test_an_older_backup_loses_the_origin_that_came_after_it(ledger: Ledger) -> None:
    ledger.seal()
    file, _ = ledger.backup()
    lost = ledger.seal()
    ledger.wipe()
    ledger.says(restore, file)
    ledger.go_on()
    gone = ledger.seal()
    ledger.wipe()
    ledger.says(restore, file)
    opening = ledger.origins()[-1]
    assert len(ledger.origins()) == 2
    assert gone.origin != lost.origin
    assert {each.origin: each for each in opening.lost} == {
        each.origin: each for each in (lost, gone)
    }
    ledger.seal()
    main.init()
    assert "not as they were signed" not in ledger.says(main.verify)


def test_what_is_changed_after_a_restore_is_found(ledger: Ledger) -> None:
    ledger.seal()
    file, position = ledger.backup()
    ledger.wipe()
    ledger.says(restore, file)
    assert "not as they" not in ledger.says(main.verify)
    ledger.change("UPDATE ledger.events SET body = overlay(body placing '~' from 3)"
                  f" WHERE position = {position}")  # fmt: skip
    assert f"position {position}: the event (" in ledger.finds()


def test_an_older_store_that_no_restore_command_brought_is_refused(
    ledger: Ledger, server: str
) -> None:
    """As `pg_restore` and copies of the data directory bring one."""
    ledger.seal()
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CREATE DATABASE copied TEMPLATE lost_and_found")
    ledger.go_on()
    end = ledger.seal().size
    ledger.wipe()
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("DROP DATABASE lost_and_found")
        connection.execute("ALTER DATABASE copied RENAME TO lost_and_found")
    with pytest.raises(OperatorError, match=f"ends at position .*, and was signed up to {end}"):
        main.init()


def test_a_ledger_whose_restore_was_taken_out_again_is_refused(ledger: Ledger) -> None:
    ledger.seal()
    file, position = ledger.backup()
    ledger.seal()
    ledger.wipe()
    ledger.says(restore, file)
    ledger.change(f"DELETE FROM ledger.checkpoints WHERE opens AND size = {position}")
    with pytest.raises(OperatorError, match="is not the one whose key it holds"):
        main.init()
    assert "is not the one whose key it holds" in ledger.finds()


def test_a_backup_of_another_ledger_is_refused_and_leaves_nothing(ledger: Ledger) -> None:
    ledger.seal()
    file, _ = ledger.backup()
    shutil.rmtree(ledger.home / "checkpoints")
    ledger.wipe()
    main.init()
    ledger.seal()
    ledger.wipe()
    with pytest.raises(
        OperatorError, match=r"backup contradicts .*: it has no part in rim-ledger/"
    ):
        restore(file)
    assert ledger.ask("SELECT to_regnamespace('ledger')") is None

"""What is kept outside the database is whole and signed, or nothing goes on until it is."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from api.cli import main
from api.config.checkpoint_files import CheckpointFiles
from projections.proofs.origins import Origins, open_first
from projections.proofs.signed_note import Signer
from rim_ledger.operator_error import OperatorError
from tests.cli.lost import Ledger

SIGNER = Signer(b"k" * 32)
ORIGINS = Origins([open_first(SIGNER)])
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)


def edited(change: Callable[[bytes], bytes], name: str) -> Callable[[Path], object]:
    """What changes a file of an origin."""
    return lambda place: (place / name).write_bytes(change((place / name).read_bytes()))


def no_directory(place: Path) -> None:
    place.parent.rename(place.parent.with_name("moved"))
    place.parent.write_text("")


DAMAGED: dict[str, tuple[Callable[[Path], object], str]] = {
    "latest is empty": (edited(lambda _: b"", "latest"), "this is no checkpoint"),
    "latest has another byte": (
        edited(lambda was: was[:40] + b"\xff" + was[41:], "latest"),
        "this is no checkpoint",
    ),
    "latest has another size": (
        edited(lambda was: was.replace(b"\n", b"0\n", 2), "latest"),
        "the checkpoint is one of",
    ),
    "latest is a directory": (
        lambda place: ((place / "latest").unlink(), (place / "latest").mkdir()),
        "Is a directory",
    ),
    "opening is empty": (edited(lambda _: b"", "opening"), "this is no checkpoint"),
    "opening has another byte": (
        edited(lambda was: was[:-9] + b"\xff" + was[-8:], "opening"),
        "this is no checkpoint",
    ),
    "opening is gone": (lambda place: (place / "opening").unlink(), "lacks the file opening"),
    "the origin has another name": (
        lambda place: place.rename(place.with_name("0123456789abcdef")),
        "0123456789abcdef holds what rim-ledger/",
    ),
    "there is a file in its place": (no_directory, "Not a directory"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_what_was_damaged_is_refused_and_brought_back(tmp_path: Path, what: str) -> None:
    outside = CheckpointFiles(tmp_path)
    outside.keep(SIGNER.sign(7, b"r" * 32), ORIGINS, NOON)
    assert [each.size for each in outside.last()] == [7]
    damage, words = DAMAGED[what]
    damage(outside.place / SIGNER.origin.removeprefix("rim-ledger/"))
    for look in (outside.last, outside.all):
        with pytest.raises(
            OperatorError, match=rf"{re.escape(str(outside.place))} is no good: .*{words}"
        ):
            look()


def test_whoever_was_stopped_before_the_first_checkpoint_begins_again(tmp_path: Path) -> None:
    outside = CheckpointFiles(tmp_path)
    outside.know(ORIGINS)
    (outside.place / SIGNER.origin.removeprefix("rim-ledger/") / "opening").unlink()
    assert outside.last() == []
    outside.know(ORIGINS)
    assert [each.size for each in outside.last()] == [0]


def test_whoever_was_stopped_before_the_latest_had_kept_the_day(tmp_path: Path) -> None:
    outside = CheckpointFiles(tmp_path)
    for days in range(3):
        now = NOON + timedelta(days=days)
        outside.keep(SIGNER.sign(7 + days, b"r" * 32), ORIGINS, now)
    (outside.place / SIGNER.origin.removeprefix("rim-ledger/") / "latest").unlink()
    assert [each.size for each in outside.last()] == [9]


def test_a_clock_that_is_set_back_overwrites_no_older_day(tmp_path: Path) -> None:
    outside = CheckpointFiles(tmp_path)
    for size, days in ((7, 0), (8, 1), (9, 0), (10, -1)):
        now = NOON + timedelta(days=days)
        outside.keep(SIGNER.sign(size, b"r" * 32), ORIGINS, now)
    assert sorted(each.size for each in outside.all()) == [0, 7, 10]
    assert [each.size for each in outside.last()] == [10]


def test_where_nothing_can_be_kept_nothing_is_signed_and_it_is_said(ledger: Ledger) -> None:
    ledger.home.mkdir(exist_ok=True)
    (ledger.home / "checkpoints").write_text("")
    for command in (main.init, main.seal, main.verify):
        with pytest.raises(OperatorError, match="checkpoints is no good: "):
            command()


def test_a_damaged_checkpoint_lets_no_cut_log_pass(ledger: Ledger) -> None:
    last = ledger.seal()
    ledger.outside(last.origin, "latest").write_text("")
    ledger.change(f"DELETE FROM ledger.events WHERE position = {last.size}")
    for command in (main.init, main.seal, main.verify):
        with pytest.raises(OperatorError, match="checkpoints is no good: "):
            command()

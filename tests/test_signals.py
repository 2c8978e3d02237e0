"""A signal to stop waits until the end of a block, and starts leave no process behind."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.cli import progress, supervisor
from rim_ledger.postgres.server import EmbeddedPostgres
from rim_ledger.signals import STOPPING, uninterrupted


@pytest.fixture(autouse=True)
def interruptible() -> Iterator[None]:
    """Let every signal to stop raise a KeyboardInterrupt here, as it does in our commands."""
    before = {each: signal.signal(each, signal.default_int_handler) for each in STOPPING}
    yield
    for each, handler in before.items():
        signal.signal(each, handler)


@pytest.fixture
def begun(monkeypatch: pytest.MonkeyPatch) -> list["subprocess.Popen[Any]"]:
    """Every process that is started is met by a signal before the one who starts it knows it."""
    met = []

    class Met(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            met.append(self)
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(subprocess, "Popen", Met)
    return met


@pytest.mark.parametrize("wish", STOPPING)
def test_a_signal_waits_until_the_end_of_the_block(wish: int) -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        signal.raise_signal(wish)
        done.append("the rest of the block")
    assert done


def test_an_ignored_signal_stays_ignored() -> None:
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with uninterrupted():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


def test_a_signal_while_the_handlers_come_back_leaves_all_of_them_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    set_, before = signal.signal, {signal.SIGINT: signal.getsignal(signal.SIGINT)}
    for each in (signal.SIGTERM, signal.SIGHUP):
        before[each] = lambda *_: signal.raise_signal(signal.SIGINT)
        signal.signal(each, before[each])

    def met(number: int, handler: Any) -> Any:
        former = set_(number, handler)
        if handler in before.values():
            signal.raise_signal(signal.SIGTERM)
        return former

    with pytest.raises(KeyboardInterrupt), uninterrupted():
        monkeypatch.setattr(signal, "signal", met)
    monkeypatch.undo()
    assert {each: signal.getsignal(each) for each in STOPPING} == before


def test_a_thread_may_be_uninterrupted_too() -> None:
    done = []

    def work() -> None:
        with uninterrupted():
            done.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [signal.default_int_handler]


def test_what_is_started_in_the_block_hears_signals() -> None:
    with uninterrupted():
        process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    process.terminate()
    assert process.wait() == -signal.SIGTERM


@pytest.mark.database
def test_a_program_of_postgres_ends_with_an_interrupted_start(
    tmp_path: Path, begun: list["subprocess.Popen[Any]"]
) -> None:
    with pytest.raises(KeyboardInterrupt), EmbeddedPostgres(tmp_path / "home", durable=False):
        pytest.fail("the start went on")  # pragma: no cover
    assert [process.returncode is None for process in begun] == [False]


def test_a_child_that_was_just_begun_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, begun: list["subprocess.Popen[Any]"]
) -> None:
    monkeypatch.setenv("RIM_HOME", str(tmp_path))
    child = supervisor.Child("seal")
    with pytest.raises(KeyboardInterrupt):
        child.tend("postgresql://nowhere.invalid/")
    (process,) = begun
    child.ask_to_stop()
    child.stop(0)
    with pytest.raises(ProcessLookupError):
        os.kill(process.pid, 0)


def test_a_command_that_is_not_let_finish_does_not_look_like_one_that_did(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(SystemExit) as ended, progress.interruptible("not all was written"):
        signal.raise_signal(signal.SIGINT)
    assert ended.value.code == progress.INTERRUPTED
    assert capsys.readouterr().err == "interrupted; not all was written\n"

"""Progress of a long command: a bar on a terminal, plain lines elsewhere."""

import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import Progress

from rim_ledger.operator_error import OperatorError

STEPS = 10
"""Progress lines where there is no terminal."""

INTERRUPTED: Final = 130
"""Exit code of an interrupted command."""


@contextlib.contextmanager
def interruptible(words: str) -> Iterator[None]:
    """On interrupt, print these words and exit with INTERRUPTED."""
    try:
        yield
    except KeyboardInterrupt:
        print(f"interrupted; {words}", file=sys.stderr)  # noqa: T201 - the command's last words
        raise SystemExit(INTERRUPTED) from None


@contextlib.contextmanager
def progress(what: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function of (done, total) that reports progress to standard error."""
    console = Console(stderr=True)
    if console.is_terminal:
        with Progress(console=console) as bar:
            task = bar.add_task(what, total=None)
            yield lambda done, total: bar.update(task, completed=done, total=total)
    else:
        yield _lines(console, what)


def _lines(console: Console, what: str) -> Callable[[int, int], None]:
    reported = 0

    def report(done: int, total: int) -> None:
        nonlocal reported
        if (step := STEPS * done // max(1, total)) > reported:
            reported = step
            console.print(f"{what}: {done} of {total}", highlight=False)

    return report


def require_new(path: Path) -> None:
    """Raise OperatorError unless a file can be made at this path."""
    if path.exists():
        raise OperatorError(f"{path} is there already: name a new file")
    if not path.absolute().parent.is_dir():
        raise OperatorError(f"{path.absolute().parent} is no directory")

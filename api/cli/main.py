"""The command `rim-ledger`: processes of the service and operators' commands."""

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import Annotated, Literal, NoReturn

from cyclopts import App, Parameter
from psycopg.errors import InsufficientPrivilege, LockNotAvailable

from api.cli import logs, sealing
from api.cli import status as standing
from api.cli.fence import run_fenced
from api.cli.output import code_of, guard
from api.cli.progress import interruptible, progress
from api.cli.supervisor import bring_up_to_date
from api.cli.supervisor import up as run_everything
from api.config.database import (
    database,
    filled_database,
    first_line,
    fitting_database,
    log_database,
    open_vault,
)
from api.config.settings import Settings
from projections.follow import follower
from projections.follow.rebuild import rebuild as rebuild_tables
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.engine.refusals import Refused, Unavailable
from rim_ledger.operator_error import OperatorError
from rim_ledger.postgres.heartbeat import alive
from rim_ledger.postgres.outage import OUTAGE, unwritable
from rim_ledger.vault.rotation import rotate
from rim_ledger.version import VERSION

log = logging.getLogger("rim_ledger")

app = App(
    name="rim-ledger",
    help="The ledger behind airtime lending. Settings come from the environment.",
    version=VERSION,
    suppress_keyboard_interrupt=False,
)


@app.command
def up() -> None:
    """Run everything in the foreground: PostgreSQL, API, follower, clock and sealer."""
    run_everything(Settings.load(first_login=True))


# By name: HTTP, Parquet and DuckDB are slow to import, and few commands need them.
app.command("api.cli.server:serve", name="serve")
app.command("api.cli.export:export", name="export")
app.command("api.cli.replay:replay", name="replay")
app.command("api.cli.backtest:backtest", name="backtest")
app.command("api.cli.clock:clock", name="clock")
app.command("api.cli.clock:tick", name="tick")
app.command("api.cli.backup_commands:backup", name="backup")
backups = App(name="backups", help="What there is of backups.")
backups.command("api.cli.backup_list:list_", name="list")
app.command(backups)
app.command("api.cli.backup_commands:verify_backup", name="verify-backup")
app.command("api.cli.backup_commands:restore", name="restore")
app.command("api.cli.backup_commands:outbound", name="outbound")
app.command("api.cli.deploy_commands:deploy", name="deploy")
app.command("api.cli.admin_commands:unlock", name="unlock")
admin = App(name="admin", help="Help a super-admin whom nobody else can help.")
admin.command("api.cli.admin_commands:reset", name="reset")
app.command(admin)
activity = App(name="activity", help="Drop old lines of the log of activities.")
activity.command("api.cli.activity_commands:drop_before", name="drop")
app.command(activity)


@app.command
def follow() -> None:
    """Run the follower, which keeps the read tables up to date."""
    _collect_rarely()

    async def work(settings: Settings, url: str) -> None:
        vault = open_vault(settings, url)
        await alive(url, "follow", follower.follow(url, vault, log.warning))

    run_fenced(work)


@app.command
def seal() -> None:
    """Run the sealer, which signs what the log has."""
    run_fenced(lambda settings, url: alive(url, "seal", sealing.seal(settings, url)))


@app.command
def verify(*, export: Path | None = None, key: Path | None = None) -> None:
    """Compare every event with its seal, and the seals with every signed checkpoint.

    The codes that authenticate events are checked where the master secret is at hand; without it,
    the last lines say that they were not.

    :param export: A directory that rim-ledger export wrote: then that is verified, without a
        database.
    :param key: The file of a public key of the log for it, such as RIM_HOME/checkpoints/*/key.
    """
    with interruptible("what was not looked at may be changed"):
        if export is not None:
            from api.cli.export import verify_export  # noqa: PLC0415 - Parquet takes its time to load

            faults, words = verify_export(export, key)
        else:
            settings = Settings.load(keyless=True)
            with log_database(settings) as url:
                faults, words = asyncio.run(sealing.verify(settings, url))
    for fault in faults:
        print(fault)
    print(f"{words}: {'not ' if faults else ''}as they were signed")
    if faults:
        raise SystemExit(1)


@app.command
def init() -> None:
    """Bring the database up to date, with its read tables and its first admin."""
    settings = Settings.load(first_login=True)
    with database(settings, owner=True) as url:
        lacking = bring_up_to_date(settings, url)
    if lacking:
        print(f"added: {', '.join(lacking)}")
    print("the database is up to date")


@app.command
def rebuild(*, check: bool = False) -> None:
    """Fill the read tables anew from the log, beside the live ones, and swap them in.

    :param check: Only compare, and change nothing.
    """
    settings = Settings.load()
    _collect_rarely()
    with (
        interruptible("the tables in use are as they were"),
        filled_database(settings, owner=True) as url,
        progress("events") as advance,
    ):
        work = rebuild_tables(url, open_vault(settings, url), advance, check=check)
        rebuilt = asyncio.run(work)
    for each in rebuilt.differences:
        print(f"{each.table} {each.id} differed in {', '.join(each.columns)}")
    verb = "swapped in" if rebuilt.swapped else "compared"
    print(f"{verb} at position {rebuilt.position}; {len(rebuilt.differences)} rows differed")
    if check and rebuilt.differences:
        raise SystemExit(1)


@app.command
def rotate_keys() -> None:
    """Wrap all keys and secrets anew, under new keys that RIM_SECRET_KEY wraps.

    To change RIM_SECRET_KEY itself, set RIM_SECRET_KEY_PREVIOUS to what it was. The service may
    run meanwhile. What is interrupted goes on from there the next time.
    """
    settings = Settings.load()
    with (
        interruptible("nothing is lost, run it again to go on"),
        fitting_database(settings, owner=True) as url,
        progress("keys") as advance,
    ):
        rotated = rotate(url, settings.secrets, SystemEnvironment(), advance)
    how = "the interrupted rotation is complete" if rotated.resumed else "the keys are rotated"
    print(f"{how}; wrapped anew: {rotated.wrapped}")


@app.command
def status(*, json_: Annotated[bool, Parameter(name="--json", negative="")] = False) -> None:
    """Show whether the service is ready, how long the log is, and what is dead or late.

    Ends with code 1 when it is not ready.

    :param json_: As JSON, for programs.
    """
    now = standing.status(Settings.load(keyless=True))
    print(json.dumps(now) if json_ else standing.text(now))
    if not now["ready"]:
        raise SystemExit(1)


@app.command
def completion(shell: Literal["bash", "zsh", "fish"], /) -> None:
    """Print what completes commands and options in a shell.

    :param shell: The shell: bash and fish source it, zsh wants it as the file _rim-ledger in its
        fpath.
    """
    print(app.generate_completion(shell=shell))


def main() -> NoReturn:
    """Run the command line; expected errors end in one line and exit code 1.

    Exits without finalizing the interpreter, which native threads, such as the object store's,
    could abort with another exit code.
    """
    code, output = 0, guard()
    try:
        _run()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    logging.shutdown()
    code = code_of(output, code)
    sys.stderr.flush()
    os._exit(code)


def _run() -> None:
    logs.configure(next((word for word in sys.argv[1:] if word in app), "rim-ledger"))
    # A shell may have disabled SIGINT; every command here handles it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    if not {*sys.argv[1:]} - {"--help", "-h"}:
        for name in app:  # The list of commands shows every docstring: import all.
            app[name]
    with contextlib.suppress(KeyboardInterrupt):
        try:
            app()
        except OperatorError as error:
            _fail(str(error), error.exit_code)
        except (Refused, Unavailable) as error:
            _fail(str(error))
        except InsufficientPrivilege as error:
            what = f"the database refuses it: {first_line(error)}"
            _fail(f"{what}; rim-ledger init as the owner gives the rights")
        except OUTAGE as error:
            held = isinstance(error, LockNotAvailable)
            what = "somebody holds a lock" if held else "the database cannot be reached"
            _fail(str(unwritable(error) or f"{what}: {first_line(error)}"))


def _collect_rarely() -> None:
    """Writers allocate many containers and no cycles; frequent collection took a third of their
    time."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 100)


def _fail(line: str, code: int = 1) -> None:
    logs.report(line, sys.stderr, logging.ERROR)
    raise SystemExit(code)


if __name__ == "__main__":
    main()

"""Operators' commands on backups: make, verify, restore, and switch outbound traffic."""

import asyncio
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Final

from cyclopts import Parameter

from api.cli.progress import INTERRUPTED, interruptible, progress
from api.cli.sealing import continue_log
from api.cli.supervisor import first_login
from api.config.backup_files import archive, backup_worker, places, shown
from api.config.database import database, fitting_database, open_ledger, prepare
from api.config.settings import Settings
from rim_ledger.delivery.kill_switch import SwitchOutbound
from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.operator_error import OperatorError
from rim_ledger.system import restore as restoring
from rim_ledger.system.backup import Backup, BackupStatus
from rim_ledger.system.backup_chain import Chain, verified_chain
from rim_ledger.system.backup_settings import BackupType

POLL_SECONDS: Final = 0.5
"""Interval at which a backup that waits for another is polled."""


def backup(*, type_: Annotated[BackupType | None, Parameter(name="--type")] = None) -> None:
    """Make a backup now, where the backup settings say; the service may run meanwhile.

    :param type_: full or incremental; as the backup settings say, when left out.
    """
    settings = Settings.load()
    with (
        interruptible("nothing of the backup is left"),
        fitting_database(settings) as url,
        progress("lines and files") as advance,
    ):
        made = asyncio.run(_back_up(settings, url, type_, advance))
    if made.status is not BackupStatus.SUCCESS:
        raise OperatorError(f"the backup failed: {made.failure_reason}")
    if made.promoted:
        print(f"it is a full one: {made.promoted}")
    what = f"{made.type} backup up to position {made.position}, {made.size} bytes"
    print(f"{what}: {shown(settings, made)}")
    if made.missing_files:
        print(f"files that were not in the store any more: {made.missing_files}")


def verify_backup(*paths: str) -> None:
    """Read a backup, or a chain of them, and say whether it can be restored.

    :param paths: The files, or their URLs in an object store; a full backup first, then those that
        go on from it.
    """
    settings = Settings.load(keyless=True)
    if not settings.secrets:
        raise OperatorError(
            f"a backup is sealed, and there is no RIM_SECRET_KEY, nor {settings.home}/secret.key"
        )
    with interruptible("not all was looked at"):
        chain = asyncio.run(_verify(settings, paths))
    for found, manifest in chain.links:
        what = f"position {manifest.after + 1} to {manifest.position}, made {manifest.made_at}"
        print(f"{found.name}: {what}, {len(manifest.pieces)} pieces, whole")


def restore(*paths: str) -> None:
    """Bring a ledger back from backups, into a database that is empty.

    Everything is looked at before anything is written. Nothing leaves the house from there until
    `rim-ledger outbound on`, or POST /v1/outbound.

    :param paths: The files, or their URLs in an object store; a full backup first, then those that
        go on from it.
    """
    settings, left = Settings.load(), "nothing was restored"
    try:
        with database(settings, owner=True) as url:
            asyncio.run(restoring.require_empty(url))
            chain = asyncio.run(_verify(settings, paths))
            with progress("bytes") as advance:
                files = places(settings).files
                resume, environment = partial(continue_log, settings), SystemEnvironment()
                work = restoring.restore(url, chain, files, environment, advance, go_on=resume)
                words = asyncio.run(work)
            left = "the ledger is restored; rim-ledger init builds its read tables"
            prepare(settings, url, first_login)
    except KeyboardInterrupt:
        print(f"interrupted; {left}", file=sys.stderr)
        raise SystemExit(INTERRUPTED) from None
    print(f"restored up to position {chain.last.position}, made {chain.last.made_at}")
    print(words)
    if missing := sum(len(manifest.missing) for _, manifest in chain.links):
        print(f"files that the backups lack: {missing}")
    print("nothing leaves the house until you run: rim-ledger outbound on")


def outbound(state: Annotated[str, Parameter()]) -> None:
    """Let airtime and messages leave the house, or stop all of that.

    :param state: on or off.
    """
    if state not in ("on", "off"):
        raise OperatorError("say rim-ledger outbound on, or rim-ledger outbound off")
    settings = Settings.load()

    async def run(url: str) -> None:
        async with open_ledger(settings, url) as ledger:
            command, at = SwitchOutbound(enabled=state == "on"), SystemEnvironment().now()
            await ledger.submit(command.work, Stamp(at=at, actor=SYSTEM))

    with fitting_database(settings) as url:
        asyncio.run(run(url))
    print(f"outbound traffic is {state}")


async def _back_up(
    settings: Settings, url: str, type_: BackupType | None, advance: Callable[[int, int], None]
) -> Backup:
    async with open_ledger(settings, url) as ledger:
        keeper = backup_worker(settings, url, ledger)
        id_ = await keeper.start(type_)
        look = partial(UnitOfWork.read, kind=Backup, id=id_)
        try:
            while True:
                await keeper.make(id_, advance)
                found = await ledger.read(look, Stamp(at=SystemEnvironment().now(), actor=SYSTEM))
                if found.status is not BackupStatus.IN_PROGRESS:
                    return found
                # Another process holds the backup lock, perhaps for this backup.
                await asyncio.sleep(POLL_SECONDS)
        except asyncio.CancelledError:
            await keeper.fail(id_, "It was interrupted.")
            raise


async def _verify(settings: Settings, paths: Sequence[str]) -> Chain:
    if not paths:
        raise OperatorError("name the files of the backups, the full one first")
    archives = [archive(settings, path) for path in paths]
    total = 0
    for path, each in zip(paths, archives, strict=True):
        if (size := await each.size()) is None:
            raise OperatorError(f"there is no file {path}")
        total += size
    done = 0
    with progress("bytes looked at") as advance:

        def tell(more: int) -> None:
            nonlocal done
            done += more
            advance(done, total)

        return await verified_chain(archives, tell)

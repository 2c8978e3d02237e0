"""A ledger that is lost, found, restored and tampered with, and what the commands say of it."""

import asyncio
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import msgspec
import psycopg
import pytest

from api.cli import main, sealing
from api.cli.backup_commands import backup, outbound
from api.config.backup_files import backup_worker
from api.config.checkpoint_files import CheckpointFiles
from api.config.database import open_ledger
from api.config.settings import Settings
from projections.proofs.origins import OriginOpening, Origins
from projections.proofs.signed_note import Checkpoint
from rim_ledger.system.backup_settings import BackupType

DATABASE: Final = "lost_and_found"


class Ledger:
    """A home and a database, and what commands say about them."""

    def __init__(self, place: Path, server: str, told: Callable[[], str]) -> None:
        self.home, self._server, self._told = place / "home", server, told
        self.url = server.replace("/rim_ledger?", f"/{DATABASE}?")

    def wipe(self, template: str = "template0") -> None:
        """Lose the database, and nothing else; a copy of another may take its place."""
        with psycopg.connect(self._server, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {DATABASE} WITH (FORCE)".encode())
            connection.execute(f"CREATE DATABASE {DATABASE} TEMPLATE {template}".encode())

    def says(self, command: Callable[..., None], *arguments: Any, **more: Any) -> str:
        """What a command prints that must succeed."""
        self._told()
        command(*arguments, **more)
        return self._told()

    def finds(self) -> str:
        """What `verify` prints when something is wrong."""
        self._told()
        with pytest.raises(SystemExit, match="1"):
            main.verify()
        return self._told()

    def backup(self, type_: BackupType = BackupType.FULL) -> tuple[str, int]:
        """Make a backup, and keep it apart; its file, and its last position."""
        said = self.says(backup, type_=type_)
        found = re.search(r"up to position (\d+), .*: (\S+)$", said)
        assert found, said
        kept = self.home.parent / Path(found[2]).name
        shutil.copy(found[2], kept)
        return str(kept), int(found[1])

    def finish(self, file: str) -> None:
        """Let a backup, which cannot hold its own end, be found done in what came back from it."""

        async def run() -> None:
            settings = Settings.load()
            async with open_ledger(settings, self.url) as opened:
                await backup_worker(settings, self.url, opened).make(UUID(Path(file).stem[-36:]))

        asyncio.run(run())

    def go_on(self) -> None:
        """More happens."""
        for state in ("off", "on"):
            outbound(state)

    def seal(self) -> Checkpoint:
        """Sign all that the log has; the last checkpoint."""

        async def run() -> None:
            signing = asyncio.create_task(sealing.seal(Settings.load(), self.url))
            await self.signed(signing)
            signing.cancel()
            await asyncio.gather(signing, return_exceptions=True)

        asyncio.run(run())
        return self.last()

    async def signed(self, signing: asyncio.Task[None]) -> None:
        """Wait until a sealer that runs has signed all that the log has."""
        while not self.outside(self.origin, "opening").exists() or self.last().size != self.head:
            await asyncio.wait([signing], timeout=0.05)
            if signing.done():
                await signing

    @property
    def origin(self) -> str:
        """The origin that signs now."""
        return self.origins()[-1].checkpoint.origin

    @property
    def head(self) -> int:
        return int(self.ask("SELECT max(position) FROM ledger.events"))

    def last(self) -> Checkpoint:
        """The last checkpoint outside, of the origin that signs now, as an opening names it."""
        (found,) = (
            each for each in CheckpointFiles(self.home).last() if each.origin == self.origin
        )
        return msgspec.structs.replace(found, more=())

    def ask(self, query: str) -> Any:
        with psycopg.connect(self.url) as connection:
            row = connection.execute(query.encode()).fetchone()
            return row and row[0]

    def change(self, statement: str) -> None:
        """Change the store as its owner can, past the triggers."""
        with psycopg.connect(self.url) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(statement.encode())

    def origins(self) -> list[OriginOpening]:
        with psycopg.connect(self.url) as connection:
            query = "SELECT note FROM ledger.checkpoints WHERE opens ORDER BY number"
            return Origins(note for (note,) in connection.execute(query)).openings

    def outside(self, origin: str, name: str) -> Path:
        """A file that is kept outside, of an origin."""
        return self.home / "checkpoints" / origin.removeprefix("rim-ledger/") / name

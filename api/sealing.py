"""The seals between the store and what is kept outside of it: sealing, the look at the start."""

import asyncio
import logging
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.errors import UndefinedTable

from api.database import Unfit, open_vault
from api.outside import Outside
from api.progress import progress
from api.settings import Settings
from projections import seals
from projections.seals import Contradiction
from projections.signed_note import Untrue
from projections.verify import Verification
from rim_ledger.world import RealWorld

FAULTS_MAX: Final = 100
"""Faults that are told one by one."""

log = logging.getLogger("rim_ledger")

Connection = AsyncConnection[Any]


async def seal(settings: Settings, url: str) -> None:
    """Seal until cancelled, and keep every checkpoint outside as well."""
    outside, world = Outside(settings.home), RealWorld()
    async with await _connect(url) as connection:
        await _require_true(connection, outside, settings, url)
        vault = open_vault(settings, url)
        signer = await seals.signer(connection, vault, world)

    def keep(note: str) -> None:
        outside.keep(note, signer.open(note), signer, world.now())

    await seals.seal(url, vault, world, keep, log.warning)


def make_key(settings: Settings, url: str) -> None:
    """See to it that the log has the key it is signed with, before anything is answered."""

    async def make() -> None:
        async with await _connect(url) as connection:
            await seals.signer(connection, open_vault(settings, url), RealWorld())

    asyncio.run(make())


def require_true(settings: Settings, url: str) -> None:
    """Raise Unfit when the store contradicts the last checkpoint that was kept outside of it."""
    outside = Outside(settings.home)

    async def look() -> None:
        async with await _connect(url) as connection:
            await _require_true(connection, outside, settings, url)

    if outside.latest is not None:
        asyncio.run(look())


async def _require_true(
    connection: Connection, outside: Outside, settings: Settings, url: str
) -> None:
    if (note := outside.latest) is None:
        return
    try:
        signer = await seals.known_signer(connection, open_vault(settings, url))
        verifier = outside.verifier
        wrong: str | None = "this is not the log that was signed there"
        if signer and verifier and verifier.key == signer.key:
            wrong = await seals.contradicts(connection, note, verifier)
    except UndefinedTable:
        wrong = "there is no log"
    except (Contradiction, Untrue) as error:
        wrong = str(error)
    if wrong:
        raise Unfit(
            f"the store contradicts the last checkpoint in {outside.place}: {wrong}. Bring the"
            " right database back; to begin anew on purpose, move that directory away"
        )


async def verify(settings: Settings, url: str) -> tuple[list[str], str]:
    """Compare every event with its seal: what is wrong, and what was looked at."""
    outside = Outside(settings.home)
    async with await _connect(url) as connection:
        if (signer := await seals.known_signer(connection, open_vault(settings, url))) is None:
            raise Unfit("nothing is sealed yet: rim-ledger up or rim-ledger seal does it")
        try:
            verifier = outside.verifier or signer
            checked = Verification(connection, verifier, outside.notes(verifier))
        except Untrue as error:
            raise Unfit(f"{outside.place} is no good: {error}") from None
        found = list[str]()
        with progress("events") as told:
            async for fault in checked.faults(told):
                found.append(fault)
                if len(found) == FAULTS_MAX:
                    found.append(f"these are the first {FAULTS_MAX} faults; there may be more")
                    break
    words = (
        f"{checked.events} events, {checked.sealed} of them sealed by {verifier.origin};"
        f" {checked.checkpoints} checkpoints"
    )
    return found, words


async def _connect(url: str) -> Connection:
    return await AsyncConnection.connect(url, autocommit=True)

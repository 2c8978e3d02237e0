"""Checkpoints in the store and in files outside it: signing, and comparison at the start."""

import contextlib
import logging
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, Final

from psycopg import AsyncConnection
from psycopg.errors import InsufficientPrivilege, UndefinedColumn, UndefinedTable

from api.cli.progress import progress
from api.config.checkpoint_files import CheckpointFiles
from api.config.database import NO_MACS, first_line, open_vault
from api.config.secret_file import FILE
from api.config.settings import Settings
from projections.follow.fold import PoisonEvent
from projections.follow.streams import moments
from projections.proofs import checkpoints, sealer
from projections.proofs.derived_rows import DerivedRows, interruption
from projections.proofs.origins import OriginOpening, Origins
from projections.proofs.signed_note import Checkpoint, VerificationError
from projections.proofs.trees import Contradiction
from projections.proofs.verify import Verification
from projections.proofs.verify import require_consistent as require_kept
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.engine.event_mac import EventMac
from rim_ledger.operator_error import OperatorError
from rim_ledger.vault.key_ring import STORED, Ring, unlocked
from rim_ledger.vault.personal_keys import Vault

FAULTS_MAX: Final = 100
"""Faults that are listed individually."""

UNCHECKED: Final = (
    "MACs not checked, nor names, secrets, keys, outcomes, reminders and read tables, nor whose the"
    " signing key is"
)

MISSING: Final = (UndefinedTable, UndefinedColumn)
"""PostgreSQL's errors for tables that are missing or of another version."""

log = logging.getLogger("rim_ledger")

Connection = AsyncConnection[Any]


async def seal(settings: Settings, url: str) -> None:
    """Seal until cancelled, and write every checkpoint to files too. Raises OperatorError."""
    outside, environment = CheckpointFiles(settings.home), SystemEnvironment()
    async with await _connect(url) as connection:
        await _require_true(connection, outside, settings, url)
        vault = open_vault(settings, url)
        await checkpoints.signer(connection, vault, environment)
        origins = await checkpoints.origins(connection, vault)
    outside.know(origins)

    def keep(note: str) -> None:
        outside.keep(note, origins, environment.now())

    with _refused("database", outside):
        signed = outside.signed(origins)
        await sealer.seal(url, vault, environment, keep, log.warning, signed=signed)


async def make_key(settings: Settings, url: str) -> None:
    """Make the log's signing key if it has none, before requests are served."""
    async with await _connect(url) as connection:
        await checkpoints.signer(connection, open_vault(settings, url), SystemEnvironment())


async def require_consistent(settings: Settings, url: str) -> None:
    """Raise OperatorError if the store contradicts the last checkpoints in the files."""
    async with await _connect(url) as connection:
        await _require_true(connection, CheckpointFiles(settings.home), settings, url)


async def _require_true(
    connection: Connection, outside: CheckpointFiles, settings: Settings, url: str
) -> None:
    with _refused("database", outside):
        if kept := outside.last():
            vault = open_vault(settings, url)
            origins = await checkpoints.origins(connection, vault)
            await require_kept(connection, origins, kept)
            _require_codes(vault.event_mac, [each for each in kept if origins.has(each)])
            if vault.event_mac is None:  # What is stored now will be trusted without a MAC.
                for fault in (await _compare(connection, origins, outside, None))[0]:
                    raise Contradiction(fault)
            if opening := outside.unknown(origins):
                raise VerificationError(_unknown_origin(opening))


def _require_codes(mac: EventMac | None, kept: Iterable[Checkpoint]) -> None:
    """Raise Contradiction unless events carry MACs from where a checkpoint says they do."""
    for since in map(checkpoints.macs_since, kept):
        if since is not None and (mac is None or mac.since != since):
            begin = f"codes begin after position {mac.since}" if mac else "no event carries a code"
            raise Contradiction(f"it was signed that codes begin after position {since}; {begin}")


def _missing(error: Exception) -> str:
    return f"there is no log of this version: {first_line(error)}"


@contextlib.contextmanager
def _refused(what: str, outside: CheckpointFiles) -> Iterator[None]:
    """Raise OperatorError if the block finds the store and the files to contradict each other."""
    try:
        yield
    except MISSING as error:
        wrong = _missing(error)
    except (Contradiction, VerificationError) as error:
        wrong = str(error)
    else:
        return
    raise OperatorError(
        f"the {what} contradicts the last checkpoint in {outside.place}: {wrong}. Bring the right"
        f" {what} back; to begin anew on purpose, move that directory away"
    )


async def continue_log(settings: Settings, connection: Connection) -> tuple[str, EventMac | None]:
    """Open a new origin in a store that is being restored.

    The files are written before the store. Gives a report of what continues and what is lost, and
    what authenticates the events. Raises OperatorError if the files are of another log.
    """
    outside, vault = CheckpointFiles(settings.home), await _vault(settings, connection)
    with _refused("backup", outside):
        before, kept = await checkpoints.origins(connection, vault), outside.last()
        for origin in before.strangers(outside.openings()):
            raise VerificationError(
                f"it has no part in {origin.verifier.origin}, which is known there"
            )
        if unknown := outside.unknown(before):
            raise VerificationError(_unknown_origin(unknown))
        opening = await checkpoints.open_next_origin(connection, vault, SystemEnvironment(), kept)
        origins = await checkpoints.origins(connection, vault)
        await require_kept(connection, origins, kept)
    outside.know(origins)
    return str(opening), vault.event_mac


def _unknown_origin(opening: OriginOpening) -> str:
    return (
        f"{opening}; no restore has said so there. If one did with another RIM_HOME, copy its"
        " checkpoints from there"
    )


async def _vault(settings: Settings, connection: Connection) -> Vault:
    """The vault of a store, as visible in this transaction."""
    if not (rows := await (await connection.execute(STORED)).fetchall()):
        raise OperatorError("this database holds no ring of keys: run rim-ledger init")
    return Vault(Ring(unlocked(rows, settings.secrets)), SystemEnvironment())


async def verify(settings: Settings, url: str) -> tuple[list[str], str]:
    """Verify every event against its checkpoints, and derived rows and read tables against the
    events. Gives the faults, and lines on what was verified and what was not."""
    async with await _connect(url) as connection, moments(url) as still:
        try:
            vault, unchecked = await _vault_at_hand(settings, connection)
            origins = await checkpoints.origins(connection, vault)
            mac, outside = vault.event_mac if vault else None, CheckpointFiles(settings.home)
            found, words = await _compare(connection, origins, outside, mac)
            if vault:
                with progress("events") as advance:
                    await _collect(
                        found, DerivedRows(still, vault, SystemEnvironment().now()).faults(advance)
                    )
                words += "; names, secrets, keys, outcomes, reminders and read tables"
        except MISSING as error:
            return [_missing(error)], "the log"
        except VerificationError as error:
            return [str(error)], "the log"
        return found, "\n".join([*unchecked, words])


async def _vault_at_hand(
    settings: Settings, connection: Connection
) -> tuple[Vault | None, list[str]]:
    """The vault, or None with lines on what is not verified without it."""
    if not settings.secrets:
        home = settings.home / FILE
        why = f"there is no master secret: set RIM_SECRET_KEY, or RIM_HOME so that {home} is there"
    else:
        try:
            vault = await _vault(settings, connection)
        except InsufficientPrivilege:
            why = "this login may not read the ring of keys: use one that the service logs in as"
        else:
            if vault.event_mac is None:
                raise OperatorError(NO_MACS)
            return vault, []
    return None, [f"{UNCHECKED}: {why}"]


async def _compare(
    connection: Connection, origins: Origins, outside: CheckpointFiles, mac: EventMac | None
) -> tuple[list[str], str]:
    if origins.last is None:
        raise OperatorError("nothing is sealed yet: rim-ledger up or rim-ledger seal does it")
    checked = Verification(connection, origins, outside.all(), mac)
    unknown = outside.unknown(origins)
    found = [*([_unknown_origin(unknown)] if unknown else []), *outside.faults()]
    with progress("lines") as advance:
        await _collect(found, checked.faults(advance))
    words = (
        f"{checked.events} events, {checked.sealed} of them sealed by"
        f" {origins.last.verifier.origin}; {checked.checkpoints} checkpoints; "
    )
    words += (
        f"{checked.activities} lines of activity, {checked.sealed_activities} of them sealed"
        if checked.reads_activity
        else "activity not checked: this login may not read it"
    )
    return found, "\n".join([*map(str, origins.openings[1:]), *map(str, checked.dropped), words])


async def _collect(found: list[str], faults: AsyncIterator[str]) -> None:
    """Add faults to the list, up to FAULTS_MAX."""
    try:
        async for fault in faults:
            if len(found) >= FAULTS_MAX:
                if len(found) == FAULTS_MAX:
                    found.append(f"these are the first {FAULTS_MAX} faults; there may be more")
                return
            found.append(fault)
    except PoisonEvent as error:
        found.append(interruption(error))


async def _connect(url: str) -> Connection:
    return await AsyncConnection.connect(url, autocommit=True)

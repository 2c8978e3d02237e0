"""The command `export`: writes the log as Parquet into a directory, or as NDJSON to stdout."""

import asyncio
import contextlib
import sys
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from psycopg import AsyncConnection

from api.cli.output import OutputLost
from api.cli.progress import interruptible, progress
from api.config.database import log_database
from api.config.settings import Settings
from projections.analysis import export as parquet
from projections.analysis import export_check
from projections.analysis.export_files import Manifest, types_of
from projections.analysis.export_rows import erased_in
from projections.cloud_events import Reader, shown
from projections.follow import log
from projections.proofs import checkpoints
from projections.proofs.origins import Origins
from projections.proofs.signed_note import VerificationError, Verifier
from rim_ledger.catalogue import EVENTS
from rim_ledger.near import did_you_mean
from rim_ledger.operator_error import OperatorError

POLL_SECONDS: Final = 1.0
"""Poll interval when following the log as NDJSON."""
FILE_SECONDS: Final = 60.0
"""Poll interval when following as Parquet; longer, to avoid small files."""


def export(
    *,
    to: Annotated[str, Parameter(allow_leading_hyphen=True)],
    from_: Annotated[int, Parameter(name="--from")] = 1,
    types: Annotated[tuple[str, ...], Parameter(consume_multiple=True, negative="")] = (),
    follow: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Write the log out, with the words about persons hidden.

    :param to: A directory for Parquet, which a later run brings up to date, or - for NDJSON. Beside
        it lie NAME.types, with a directory for each type of event, and NAME.proof.
    :param from_: The first position.
    :param types: Only these events.
    :param follow: Go on with what happens, until interrupted.
    """
    settings = Settings.load(keyless=True)
    if unknown := sorted(set(types) - EVENTS.keys()):
        meant = did_you_mean(unknown[0], EVENTS)
        raise OperatorError(
            f"there is no event {unknown[0]}: docs/reference/events.md lists them{meant}"
        )
    if from_ < 1:
        raise OperatorError("--from is a position, and the first is 1")
    names = tuple(sorted(types)) or None
    let_finish = contextlib.nullcontext() if follow else interruptible("not all was written")
    with let_finish, log_database(settings) as url:
        try:
            if to == "-":
                asyncio.run(_lines(settings, url, from_ - 1, names, follow=follow))
            else:
                wanted = Manifest(first=from_, types=names)
                asyncio.run(_segments(url, Path(to).resolve(), wanted, follow=follow))
        except BrokenPipeError:
            return  # The reader closed the pipe.
        except OSError as error:
            if to == "-":
                raise OutputLost(error) from None
            words = f"{error.filename or to} cannot be written to"
            raise OperatorError(f"{words}: {error.strerror or error}") from None


async def _segments(url: str, place: Path, wanted: Manifest, *, follow: bool) -> None:
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await _require_reached(connection, wanted.last)
        origins = Origins(note for note, _ in await checkpoints.openings(connection))
        wanted = Manifest(
            first=wanted.first,
            types=wanted.types,
            key=origins.last.verifier.key if origins.last else None,
            origins=tuple(each.note for each in origins.openings),
        )
        compare = True  # Later rounds only check that the files exist.
        while True:
            with progress("events") as advance:
                held = await parquet.export(connection, place, wanted, advance, compare=compare)
            compare = False
            rows = sum(segment.rows for segment in held.segments)
            words = f"{place}: {rows} events up to position {held.last}; by type in"
            print(words, types_of(place), flush=True)  # noqa: T201
            if not follow:
                return
            while await log.head(connection) == held.last:  # noqa: ASYNC110 - nobody tells us
                await asyncio.sleep(POLL_SECONDS)
            await asyncio.sleep(FILE_SECONDS)


async def _lines(
    settings: Settings, url: str, after: int, names: tuple[str, ...] | None, *, follow: bool
) -> None:
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        await _require_reached(connection, after)
        while True:
            end = await log.head(connection)
            async for page in parquet.lines(connection, names, after, end):
                erased = await erased_in(connection, page)
                reader = Reader(sees=False, keys=erased, origin=settings.public_url)
                sys.stdout.buffer.write(b"".join(shown(line, reader) + b"\n" for line in page))
            sys.stdout.buffer.flush()
            after = max(after, end)
            if not follow:
                return
            while await log.head(connection) <= after:  # noqa: ASYNC110 - the same
                await asyncio.sleep(POLL_SECONDS)


async def _require_reached(connection: AsyncConnection, after: int) -> None:
    """Raise OperatorError if the log ends before this position."""
    if after > (head := await log.head(connection)):
        raise OperatorError(f"--from is a position, and the last is {head}")


def verify_export(place: Path, key: Path | None) -> tuple[list[str], str]:
    """Compare an export with its checkpoint. Gives the faults, and a line on what was verified."""
    if key is None:
        raise OperatorError(
            "--key names the file of the public key, such as RIM_HOME/checkpoints/*/key"
        )
    try:
        verifier = Verifier.of(key.read_text(errors="replace"))
        with progress("events") as advance:
            checkpoint, origins, events = export_check.verify(place, verifier, advance)
    except VerificationError as error:
        return [str(error)], str(place)
    except OSError as error:
        raise OperatorError(f"{error.filename} cannot be read: {error.strerror}") from None
    sealed = f"the first {checkpoint.size} of the log are sealed by {checkpoint.origin}"
    words = f"{events} events in {place}; {sealed}"
    return [], "\n".join([*map(str, origins.openings[1:]), words])

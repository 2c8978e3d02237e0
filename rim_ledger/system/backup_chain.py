"""A backup chain: a full backup and the incremental ones based on it."""

from collections.abc import AsyncIterator, Callable, Sequence
from itertools import pairwise

from msgspec import Struct

from rim_ledger.system.backup_file import (
    CHANGES,
    EVENTS,
    FILE,
    Archive,
    BackupError,
    Manifest,
    Piece,
)
from rim_ledger.system.backup_rows import Group, RowsOutOfOrder, merged, packed

Link = tuple[Archive, Manifest]
Wanted = Callable[[str], bool]
ReportProgress = Callable[[int], None]
"""Called with the bytes of each piece that was read."""


class Chain(Struct, frozen=True):
    """The backups of a chain, the full one first."""

    links: Sequence[Link]

    @property
    def last(self) -> Manifest:
        return self.links[-1][1]

    @property
    def tables(self) -> list[str]:
        """The tables other than the log."""
        return [table for table in self.last.columns if table != EVENTS]

    @property
    def size(self) -> int:
        """Bytes of all pieces that a restore reads."""
        needed: list[tuple[Manifest, Wanted]] = [(each, _is_appended) for _, each in self.links]
        for table in self.tables:
            needed += [(manifest, _of(table)) for _, manifest in self._layers(table)]
        return sum(p.size for manifest, wanted in needed for p in manifest.pieces if wanted(p.of))

    async def log_and_files(
        self, report: ReportProgress
    ) -> AsyncIterator[tuple[Piece, bytes, list[str]]]:
        """Yield the pieces of events and files from the first on, each with the columns of the
        events. Raises BackupError."""
        for link in self.links:
            _, manifest = link
            async for piece, content in _pieces(link, _is_appended, report):
                yield piece, content, manifest.columns.get(piece.of, [])

    async def lines(self, table: str, report: ReportProgress) -> AsyncIterator[bytes]:
        """Yield the rows of a table as COPY lines, in chunks. Raises BackupError."""
        if len(layers := self._layers(table)) == 1:
            async for _, content in _pieces(layers[0], _of(table), report):
                yield content
        else:
            lines = (line async for group in self.rows(table, report) for line in group.lines)
            async for content, _ in packed(lines):
                yield content

    async def rows(self, table: str, report: ReportProgress) -> AsyncIterator[Group]:
        """Yield the rows of a table that has an order, key by key. Raises BackupError."""
        whole, *more = self._layers(table)
        layout = self.last.layout(table)
        layers = [layout.groups(_lines(whole, table, report))]
        layers += [layout.groups(_lines(link, table, report), marked=True) for link in more]
        try:
            async for group in merged(layers):
                yield group
        except RowsOutOfOrder:
            archive, _ = self.links[-1]
            words = f"the rows of {table} are in disorder, there or in what it goes on from"
            raise BackupError(f"the backup {archive.name} cannot be used: {words}") from None

    def _layers(self, table: str) -> list[Link]:
        """Return the last backup that holds a table in full, and those after it."""
        first = max(
            number
            for number, (_, manifest) in enumerate(self.links)
            if table not in manifest.changes
        )
        return list(self.links[first:])


async def verified_chain(archives: Sequence[Archive], report: ReportProgress) -> Chain:
    """Read and verify every backup of a chain. Raises BackupError if one is unsound, or not based
    on the one before it; Unavailable if one cannot be read."""
    return _linked([(each, await each.manifest(report)) for each in archives])


async def unverified_chain(archives: Sequence[Archive]) -> Chain:
    """Read the manifests of a chain only. Raises as `verified_chain` does."""
    return _linked([(each, await each.outline()) for each in archives])


def _linked(links: Sequence[Link]) -> Chain:
    first, base = links[0]
    if base.parent:
        words = f"it goes on from {_parent(base)} at position {base.after}: name that before it"
        raise BackupError(f"the backup {first.name} cannot be used: {words}")
    for (named, before), (archive, after) in pairwise(links):
        if (after.parent, after.after) != (before.id, before.position):
            needs = f"{_parent(after)} at position {after.after}" if after.parent else "nothing"
            words = f"it goes on from {needs}, not from {named.name} at {before.position}"
            raise BackupError(f"the backup {archive.name} cannot be used: {words}")
        if after.parent_digest not in (None, before.digest):
            words = f"it goes on from another file than this {named.name}, made for the same backup"
            raise BackupError(f"the backup {archive.name} cannot be used: {words}")
    return Chain(links)


def _parent(manifest: Manifest) -> str:
    """Return the name of the parent's file; earlier versions did not store it."""
    return manifest.parent_file or f"a file whose name ends in {manifest.parent}.rim"


def _is_appended(of: str) -> bool:
    return of == EVENTS or of.startswith(FILE)


def _of(table: str) -> Wanted:
    return {table, CHANGES + table}.__contains__


async def _pieces(
    link: Link, wanted: Wanted, report: ReportProgress
) -> AsyncIterator[tuple[Piece, bytes]]:
    archive, manifest = link
    async for piece, content in archive.contents(manifest, wanted):
        yield piece, content
        report(piece.size)


async def _lines(link: Link, table: str, report: ReportProgress) -> AsyncIterator[bytes]:
    async for _, content in _pieces(link, _of(table), report):
        for line in content.splitlines(keepends=True):
            yield line

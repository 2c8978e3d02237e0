"""The file of a backup: what was changed, cut off, moved or sealed otherwise is found out."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.storage import Storage
from rim_ledger.system.backup_chain import Chain, verified_chain
from rim_ledger.system.backup_file import HEAD, LENGTH, Archive, BackupError, Manifest, Sealer

WORLD = SystemEnvironment()
SECRET, OTHER = b"the master secret of these tests", b"another secret, just as long a one"


async def write(
    place: Path, *events: bytes, id: UUID | None = None, parent: Manifest | None = None
) -> tuple[Path, Manifest]:
    """A backup with these pieces of events, and one more of another table."""
    sealer = Sealer(SECRET, id or WORLD.new_id(), WORLD)
    parts = [sealer.head, *(sealer.piece("events", each, each.count(b"\n")) for each in events)]
    parts.append(sealer.piece("numbers", b"USR\t2026\t256\n", 1))
    after = parent.position if parent else 0
    manifest = Manifest(
        id=UUID(bytes=sealer.head[13:29]),
        parent=parent.id if parent else None,
        after=after,
        position=after + sum(each.count(b"\n") for each in events),
        made_at=datetime(2026, 1, 5, tzinfo=UTC),
        checkpoint=None,
        migrations=[],
        columns={"events": ["position"]},
        missing=[],
        pieces=sealer.pieces,
    )
    file = place / f"{manifest.id}.rim"
    await Storage(place.as_uri()).keep(file.name, [*parts, sealer.manifest(manifest)])
    return file, manifest


def archive(file: Path, *secrets: bytes) -> Archive:
    return Archive(Storage(file.parent.as_uri()), file.name, secrets or (SECRET,))


async def read(file: Path, *secrets: bytes) -> Manifest:
    return await archive(file, *secrets).manifest()


def pieces(content: bytes) -> list[bytes]:
    """The head and each piece of a file."""
    found, at = [content[:HEAD]], HEAD
    while at < len(content):
        end = at + 1 + LENGTH + int.from_bytes(content[at + 1 : at + 1 + LENGTH], "big")
        found.append(content[at:end])
        at = end
    return found


async def test_what_was_written_is_read_again_with_either_of_two_secrets(tmp_path: Path) -> None:
    file, manifest = await write(tmp_path, b"1\n2\n", b"3\n")
    assert await read(file) == await read(file, OTHER, SECRET) == manifest
    assert b"2026" not in file.read_bytes()
    file_ = archive(file)

    async def contents() -> list[tuple[str, bytes]]:
        return [(piece.of, text) async for piece, text in file_.contents(manifest, lambda _: True)]

    told = [("events", b"1\n2\n"), ("events", b"3\n"), ("numbers", b"USR\t2026\t256\n")]
    assert await contents() == told


DAMAGES: dict[str, tuple[Callable[[list[bytes]], list[bytes]], str]] = {
    "a wrong beginning": (lambda p: [b"X", *p], "no backup that this version can read"),
    "nothing": (lambda p: [p[0][:20]], "too short to be a backup"),
    "no manifest": (lambda p: p[:-1], "ends after piece 3, without a manifest"),
    "half a piece": (lambda p: [*p[:2], p[2][:9]], "ends in the middle of piece 2, at byte"),
    "a piece that is not there": (lambda p: [*p[:2], *p[3:]], "piece 2, at byte .* was changed"),
    "two pieces in each other's place": (lambda p: [p[0], p[2], p[1], *p[3:]], "piece 1, at byte"),
    "a piece twice": (lambda p: [*p[:2], p[1], *p[2:]], "piece 2, at byte .* was changed"),
    "a length": (
        lambda p: [p[0], p[1][:1] + b"\xff" + p[1][2:], *p[2:]],
        "piece 1, at byte .* has a damaged head",
    ),
    "one bit": (
        lambda p: [*p[:2], p[2][:20] + bytes([p[2][20] ^ 1]) + p[2][21:], *p[3:]],
        "piece 2, at byte .* was changed or damaged",
    ),
    "the manifest's last bit": (
        lambda p: [*p[:-1], p[-1][:-1] + bytes([p[-1][-1] ^ 1])],
        "piece 4, at byte .* was changed or damaged",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
async def test_a_damage_is_found_and_its_place_is_told(damage: str, tmp_path: Path) -> None:
    file, _ = await write(tmp_path, b"1\n2\n", b"3\n")
    change, words = DAMAGES[damage]
    file.write_bytes(b"".join(change(pieces(file.read_bytes()))))
    with pytest.raises(BackupError, match=f"{file.name} cannot be used: .*{words}"):
        await read(file)


async def test_another_secret_is_told_apart_from_a_damage(tmp_path: Path) -> None:
    file, _ = await write(tmp_path, b"1\n")
    with pytest.raises(BackupError, match="it was sealed under another RIM_SECRET_KEY"):
        await read(file, OTHER)


async def test_a_manifest_that_names_other_events_than_there_are_is_found(tmp_path: Path) -> None:
    sealer = Sealer(SECRET, WORLD.new_id(), WORLD)
    piece = sealer.piece("events", b"1\n2\n", 2)
    said = {"parent": None, "after": 0, "made_at": WORLD.now(), "columns": {}}
    manifest = Manifest(
        id=WORLD.new_id(),
        position=3,
        checkpoint=None,
        migrations=[],
        missing=[],
        pieces=sealer.pieces,
        **said,  # type: ignore[arg-type]
    )
    file = tmp_path / "b.rim"
    file.write_bytes(sealer.head + piece + sealer.manifest(manifest))
    with pytest.raises(BackupError, match="it has 2 of 3 events"):
        await read(file)


async def test_a_chain_is_whole_and_in_order_or_none(tmp_path: Path) -> None:
    full, base = await write(tmp_path, b"1\n2\n")
    second, more = await write(tmp_path, b"3\n", parent=base)
    third, _ = await write(tmp_path, b"4\n", parent=more)

    async def look(*files: Path) -> Chain:
        return await verified_chain([archive(each) for each in files], lambda _: None)

    assert (await look(full, second, third)).last.position == 4
    for files, words in (
        ((second, third), f"a file whose name ends in {base.id}.rim at position 2: name that"),
        ((full, third), f"ends in {more.id}.rim at position 3, not from {full.name} at 2"),
        ((full, full), "it goes on from nothing"),
    ):
        with pytest.raises(BackupError, match=words):
            await look(*files)
    again, _ = await write(tmp_path, b"1\n2\n5\n", id=base.id)
    assert again == full, "the same backup was made anew"
    with pytest.raises(BackupError, match="at position 2, not from"):
        await look(again, second)

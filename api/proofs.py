"""The routes of the verifiable log: the last checkpoint, and proofs against it."""

from datetime import UTC
from typing import TYPE_CHECKING, Final

from api.event_log import Sight
from api.road.as_of import NUMBER, only, unfit
from api.road.filters import parameters_in
from api.road.routes import AnyRoute, Other, Parameters, activity_of
from api.wire.call import Call, Reply
from api.wire.problem import encoded
from projections import log, seals
from projections.merkle import consistency, inclusion, leaf_hash, root_of, tiles_of
from projections.origins import Opening
from projections.signed_note import Checkpoint
from rim_ledger.core import Event, NotFound, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.road.desk import Desk

READ: Final = ("events", "read")
TEXT: Final = b"text/plain; charset=utf-8"


async def answer_checkpoint(desk: "Desk", _: Call, __: Parameters) -> Reply:
    """The last checkpoint: a signed note on how many events there are, and their Merkle root."""
    async with desk.reader() as connection:
        size, note = await seals.last(connection)
    if not size or note is None:
        raise _unsealed(0)
    return Reply(200, note.encode(), [(b"ledger-position", b"%d" % size)], TEXT)


async def answer_key(desk: "Desk", _: Call, __: Parameters) -> Reply:
    """The public key of the checkpoints, as a verifier key of c2sp.org/signed-note."""
    async with desk.reader() as connection:
        signer = await seals.known_signer(connection, desk.vault)
    if signer is None:
        raise _unsealed(0)
    return Reply(200, f"{signer.key}\n".encode(), media_type=TEXT)


async def answer_origins(desk: "Desk", _: Call, __: Parameters) -> Reply:
    """The origins of the log, the first one first: each with the note that opened it.

    Such a note is a checkpoint that names a key, and from the second on is signed with the key
    before as well. It names the last checkpoint that it goes on from, and what was lost.
    """
    async with desk.reader() as connection:
        found = await seals.openings(connection)
    items = [
        {
            "origin": opening.verifier.origin,
            "key": opening.verifier.key,
            "openedAt": at.astimezone(UTC).isoformat(timespec="microseconds")[:26] + "Z",
            "size": opening.checkpoint.size,
            "after": _named(opening.after),
            "lost": [_named(each) for each in opening.lost],
            "note": opening.note,
        }
        for opening, at in ((Opening.of(note), at) for note, at in found)
    ]
    return Reply(200, encoded({"items": items}))


def _named(checkpoint: Checkpoint | None) -> dict[str, object] | None:
    if checkpoint is None:
        return None
    return {
        "origin": checkpoint.origin,
        "size": checkpoint.size,
        "root": checkpoint.root.hex(),
    }


async def answer_proof(desk: "Desk", call: Call, parameters: Parameters) -> Reply:
    """That an event is in the log: the hashes that lead from its leaf to the root.

    `leaf` is the hash of the leaf, and `entry` are its bytes as text: they hold the event as it is
    stored, and are null for who may not read what it is about, or lacks users.pii. The proof is
    against the last checkpoint, or the first `treeSize` events.
    """
    sight = await Sight.of(desk, call, READ, activity_of("Read", call.path, parameters))
    given = parameters_in(call.query)
    only(given, "treeSize")
    text = parameters["position"]
    if not NUMBER.fullmatch(text) or not (position := int(text)):
        raise NotFound(Event.__name__.lower(), "at that position")
    async with desk.reader() as connection:
        sealed, _ = await seals.last(connection)
        if position > sealed:
            if position > await log.head(connection):
                raise NotFound(Event.__name__.lower(), "at that position")
            raise _unsealed(sealed)
        size = _size(given, "treeSize", sealed, least=position)
        ranges = inclusion(position - 1, size)
        tiles = await seals.tiles(connection, tiles_of(ranges))
        (line,) = await log.page(connection, position - 1, position, 1)
    leaf = seals.leaf(line)
    visible = sight.rights.sees_persons and await sight.visible(desk, [line])
    body = {
        "position": position,
        "leaf": leaf_hash(leaf).hex(),
        "treeSize": size,
        "hashes": [root_of(*each, tiles).hex() for each in ranges],
        "entry": leaf.decode() if visible else None,
    }
    return Reply(200, encoded(body), [(b"ledger-position", b"%d" % size)])


async def answer_consistency(desk: "Desk", call: Call, _: Parameters) -> Reply:
    """That the log of `to` events begins with the log of `from` events."""
    given = parameters_in(call.query)
    only(given, "from", "to")
    async with desk.reader() as connection:
        sealed, _note = await seals.last(connection)
        if "from" not in given:
            raise unfit("from", f"this is a number of events, from 1 to {sealed}")
        size = _size(given, "to", sealed)
        old = _size(given, "from", size)
        ranges = consistency(old, size)
        tiles = await seals.tiles(connection, tiles_of(ranges))
    hashes = [root_of(*each, tiles).hex() for each in ranges]
    body = {"from": old, "to": size, "hashes": hashes}
    return Reply(200, encoded(body), [(b"ledger-position", b"%d" % size)])


def _size(given: "Mapping[str, list[str]]", name: str, most: int, *, least: int = 1) -> int:
    """How many events a tree has; as many as there may be, when nothing is said."""
    texts = given.get(name, [str(most)])
    if len(texts) > 1 or not NUMBER.fullmatch(texts[0]) or not least <= int(texts[0]) <= most:
        if not most:
            raise _unsealed(0)
        raise unfit(name, f"this is a number of sealed events, from {least} to {most}")
    return int(texts[0])


def _unsealed(size: int) -> Refused:
    words = f"The first {size} events are sealed; the others follow within ten seconds."
    return Refused("not-sealed", words)


HASHES: Final = {"type": "array", "items": {"type": "string"}}
NUMBER_OF: Final = {"type": "integer", "minimum": 1}
PROOF: Final = {
    "position": NUMBER_OF,
    "leaf": {"type": "string"},
    "treeSize": NUMBER_OF,
    "hashes": HASHES,
    "entry": {"type": ["string", "null"]},
}
SIZES: Final = {"from": NUMBER_OF, "to": NUMBER_OF}

NAMED: Final = {
    "type": "object",
    "properties": {
        "origin": {"type": "string"},
        "size": {"type": "integer"},
        "root": {"type": "string"},
    },
}
ORIGIN: Final = {
    "origin": {"type": "string"},
    "key": {"type": "string"},
    "openedAt": {"type": "string", "format": "date-time"},
    "size": {"type": "integer"},
    "after": {"anyOf": [NAMED, {"type": "null"}]},
    "lost": {"type": "array", "items": NAMED},
    "note": {"type": "string"},
}

ROUTES: list[AnyRoute] = [
    Other("GET", "/v1/checkpoint", answer_checkpoint, "The last signed checkpoint", READ),
    Other("GET", "/v1/checkpoint/key", answer_key, "What checkpoints are verified with", READ),
    Other(
        "GET",
        "/v1/checkpoint/origins",
        answer_origins,
        "Who signed the log, one after the other",
        READ,
        gives={"items": {"type": "array", "items": {"type": "object", "properties": ORIGIN}}},
    ),
    Other(
        "GET",
        "/v1/events/{position}/proof",
        answer_proof,
        "Proof that an event is in the log",
        READ,
        gives=PROOF,
        query={"treeSize": NUMBER_OF},
    ),
    Other(
        "GET",
        "/v1/consistency",
        answer_consistency,
        "Proof that nothing was changed",
        READ,
        gives=SIZES | {"hashes": HASHES},
        query=SIZES,
    ),
]

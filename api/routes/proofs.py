"""The routes of the verifiable log: the last checkpoint, and proofs against it."""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Any, Final

from psycopg import AsyncConnection

from api.context import Context
from api.description.components import (
    NULL,
    NUMBER,
    TEXT,
    TEXTS,
    TIME,
    either,
    or_null,
    several,
    shape,
)
from api.http.call import Call, Reply, at_position
from api.http.query import QueryParams, unfit
from api.pipeline import position
from api.pipeline.as_of import NUMBER as DIGITS
from api.pipeline.disclosure import Look, show
from api.pipeline.rights import Rights
from api.pipeline.routes import AnyRoute, activity_of, operation
from api.routes.event_log import EventReader
from projections.cloud_events import persons_in
from projections.follow import log
from projections.proofs import checkpoints
from projections.proofs.merkle import Range, consistency, inclusion, leaf_hash, root_of, tiles_of
from projections.proofs.origins import OriginOpening
from projections.proofs.signed_note import Checkpoint
from projections.proofs.trees import EVENTS, Tree
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.refusals import NotFound, Refused, Unavailable

READ: Final = ("events", "read")
NOTE_ON: Final = "SELECT note FROM ledger.checkpoints WHERE size = %s ORDER BY number DESC LIMIT 1"
PLAIN: Final = b"text/plain; charset=utf-8"
NUMBER_OF: Final = NUMBER | {"minimum": 1}
NOTE: Final = either(TEXT, NULL)
PROOF: Final = {
    "position": NUMBER_OF,
    "leaf": TEXT,
    "treeSize": NUMBER_OF,
    "hashes": TEXTS,
    "entry": or_null(TEXT),
    "checkpoint": NOTE,
}
SIZES: Final = {"from": NUMBER_OF, "to": NUMBER_OF}
NAMED: Final = shape("SignedSize", {"origin": TEXT, "size": NUMBER, "root": TEXT})
ORIGIN: Final = shape(
    "Origin",
    {
        "origin": TEXT,
        "key": TEXT,
        "openedAt": TIME,
        "size": NUMBER,
        "after": either(NAMED, NULL),
        "lost": several(NAMED),
        "note": TEXT,
    },
)


async def _sealed(context: Context, call: Call) -> tuple[int, str | None]:
    """The number of sealed events and the last checkpoint, once it has reached the request's
    Ledger-Position. Raises Unavailable on timeout."""
    until = asyncio.get_running_loop().time() + position.READ_TIMEOUT_SECONDS
    while True:
        async with context.pool.reader() as connection:
            size, note = await checkpoints.last(connection)
        if size >= call.position:
            return size, note
        if asyncio.get_running_loop().time() >= until:
            words = f"The log is sealed up to {size}, not yet up to {call.position}."
            raise Unavailable("projection-lagging", words)
        await asyncio.sleep(position.POLL_SECONDS)


@operation("GET /v1/checkpoint", "The last signed checkpoint", READ, answers="text/plain")
async def get_checkpoint(context: Context, call: Call, _: Rights) -> Reply:
    """The last checkpoint: a signed note on how many events there are, and their Merkle root."""
    size, note = await _sealed(context, call)
    if not size or note is None:
        raise _unsealed(0)
    return Reply(200, note.encode(), [at_position(size)], PLAIN)


@operation(
    "GET /v1/checkpoint/key", "What checkpoints are verified with", READ, answers="text/plain"
)
async def get_checkpoint_key(context: Context, _: Call, __: Rights) -> Reply:
    """The public key of the checkpoints, as a verifier key of c2sp.org/signed-note."""
    async with context.pool.reader() as connection:
        signer = await checkpoints.known_signer(connection, context.vault)
    if signer is None:
        raise _unsealed(0)
    return Reply(200, f"{signer.key}\n".encode(), media_type=PLAIN)


@operation(
    "GET /v1/checkpoint/origins",
    "Who signed the log, one after the other",
    READ,
    gives={"items": several(ORIGIN)},
)
async def list_origins(context: Context, call: Call, _: Rights) -> Reply:
    """The origins of the log, the first one first: each with the note that opened it.

    Such a note is a checkpoint that names a key, and from the second on is signed with the key
    before as well. It names the last checkpoint that it goes on from, and what was lost.
    """
    size, _note = await _sealed(context, call)
    async with context.pool.reader() as connection:
        found = await checkpoints.openings(connection)
    items = [
        {
            "origin": opening.verifier.origin,
            "key": opening.verifier.key,
            "openedAt": at,
            "size": opening.checkpoint.size,
            "after": _named(opening.after),
            "lost": [_named(each) for each in opening.lost],
            "note": opening.note,
        }
        for opening, at in ((OriginOpening.of(note), at) for note, at in found)
    ]
    return Reply(200, {"items": items}, [at_position(size)])


def _named(checkpoint: Checkpoint | None) -> dict[str, object] | None:
    if checkpoint is None:
        return None
    return {"origin": checkpoint.origin, "size": checkpoint.size, "root": checkpoint.root.hex()}


@operation(
    "GET /v1/events/{position}/proof",
    "Proof that an event is in the log",
    READ,
    gives=shape("EventProof", PROOF),
    query={"treeSize": NUMBER_OF},
)
async def get_event_proof(context: Context, call: Call, rights: Rights) -> Reply:
    """That an event is in the log: the hashes that lead from its leaf to the root.

    `leaf` is the hash of the leaf, and `entry` are its bytes as text: they hold the event as it is
    stored, and are null for who may not read what it is about, or lacks users.pii. The proof is
    against the last checkpoint, or the first `treeSize` events; `checkpoint` is the note on them,
    null if none was signed on just so many.
    """
    asked = activity_of("Read", call.path, call.path_params)
    body = await show(context, call, rights, asked, partial(_proof, context, call))
    return Reply(200, body, [at_position(body["treeSize"])])


async def _proof(context: Context, call: Call, look: Look) -> dict[str, Any]:
    """The proof for the reader of a look, and in that whose words its entry holds."""
    text = call.path_params["position"]
    if not DIGITS.fullmatch(text) or not (nth := int(text)):
        raise NotFound(Event.__name__.lower(), "at that position")
    sealed, _ = await _sealed(context, call)
    async with context.pool.reader() as connection:
        if nth > sealed:
            if nth > await log.head(connection):
                raise NotFound(Event.__name__.lower(), "at that position")
            raise _unsealed(sealed)
        size = size_in(call.query_params, "treeSize", sealed, least=nth)
        hashes = await hashes_of(connection, EVENTS, inclusion(nth - 1, size))
        (line,) = await log.page(connection, nth - 1, nth, 1)
        note = await _note_on(connection, size)
    reader = EventReader(context, call, look.rights, look.activity)
    visible = look.rights.sees_persons and await reader.visible([line])
    look.persons = persons_in([line]) if visible else set()
    leaf = log.leaf(line)
    return {
        "position": nth,
        "leaf": leaf_hash(leaf).hex(),
        "treeSize": size,
        "hashes": hashes,
        "entry": leaf.decode() if visible else None,
        "checkpoint": note,
    }


@operation(
    "GET /v1/consistency",
    "Proof that nothing was changed",
    READ,
    gives=shape("ConsistencyProof", SIZES | {"hashes": TEXTS, "checkpoint": NOTE}),
    query=SIZES,
)
async def get_consistency_proof(context: Context, call: Call, _: Rights) -> Reply:
    """That the log of `to` events begins with the log of `from` events; `checkpoint` is the note
    on the former, null if none was signed on just so many."""
    sealed, _note = await _sealed(context, call)
    async with context.pool.reader() as connection:
        if "from" not in call.query_params:
            raise unfit("from", f"this is a number of events, from 1 to {sealed}")
        size = size_in(call.query_params, "to", sealed)
        old = size_in(call.query_params, "from", size)
        hashes = await hashes_of(connection, EVENTS, consistency(old, size))
        note = await _note_on(connection, size)
    body = {"from": old, "to": size, "hashes": hashes, "checkpoint": note}
    return Reply(200, body, [at_position(size)])


async def hashes_of(
    connection: AsyncConnection[Any], tree: Tree, ranges: Sequence[Range]
) -> list[str]:
    """The roots of these subtrees, in hex."""
    tiles = await tree.tiles(connection, tiles_of(ranges))
    return [root_of(*each, tiles).hex() for each in ranges]


async def _note_on(connection: AsyncConnection[Any], size: int) -> str | None:
    """The last note on exactly so many events, if one was signed."""
    row = await (await connection.execute(NOTE_ON, [size])).fetchone()
    return row[0] if row else None


def size_in(given: QueryParams, name: str, most: int, *, least: int = 1) -> int:
    """The requested size of a tree; the largest by default."""
    text = given.get(name, [str(most)])[0]
    if not DIGITS.fullmatch(text) or not least <= int(text) <= most:
        if not most:
            raise _unsealed(0)
        raise unfit(name, f"this is a number of sealed events, from {least} to {most}")
    return int(text)


def _unsealed(size: int) -> Refused:
    words = f"The first {size} events are sealed; the others follow within ten seconds."
    return Refused("not-sealed", words)


ROUTES: list[AnyRoute] = [
    get_checkpoint,
    get_checkpoint_key,
    list_origins,
    get_event_proof,
    get_consistency_proof,
]

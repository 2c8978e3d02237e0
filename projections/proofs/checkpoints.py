"""Signing key, origins and last checkpoint of the log."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from psycopg import AsyncConnection

from projections.follow import log
from projections.proofs.merkle import Edge
from projections.proofs.origins import OriginOpening, Origins, open_first, open_next
from projections.proofs.sealed_logs import Activities, Events, Item, SealedLog, dense
from projections.proofs.signed_note import Checkpoint, Signer, VerificationError, numbered, parsed
from projections.proofs.trees import EVENTS, Contradiction
from rim_ledger.engine.environment import Environment
from rim_ledger.values import derived_id
from rim_ledger.vault.personal_keys import Vault

PAGE: Final = 1_000
"""Maximum lines read together."""
MACS: Final = "macs"
"""Begins the checkpoint line with the position after which events carry MACs."""
KEY: Final = (derived_id("seals"), "signing-key")
"""Where the private key is among the secrets, encrypted by the vault."""

SECRET: Final = "SELECT secret FROM ledger.secrets WHERE owner = %s AND purpose = %s"  # noqa: S105
ADD_SECRET: Final = "INSERT INTO ledger.secrets VALUES (%s, %s, %s) ON CONFLICT DO NOTHING"  # noqa: S105
CHANGE: Final = "UPDATE ledger.secrets SET secret = %s WHERE owner = %s AND purpose = %s"
OPENINGS: Final = "SELECT note, at FROM ledger.checkpoints WHERE opens ORDER BY number"
LAST: Final = "SELECT size, note FROM ledger.checkpoints ORDER BY number DESC LIMIT 1"
NUMBER: Final = "SELECT coalesce(max(number), 0) FROM ledger.checkpoints"
SIGNED: Final = "INSERT INTO ledger.checkpoints (number, size, opens, note) VALUES (%s, %s, %s, %s)"
UNLESS_SIGNED: Final = f"{SIGNED} ON CONFLICT DO NOTHING".encode()

Connection = AsyncConnection[Any]


async def signer(connection: Connection, vault: Vault, environment: Environment) -> Signer:
    """The log's signer. The first call opens the first origin; safe under races."""
    if (found := await known_signer(connection, vault)) is None:
        wrapped = vault.wrap_secret(*KEY, environment.random(32).hex())
        await connection.execute(ADD_SECRET, [*KEY, wrapped])
        found = await known_signer(connection, vault)
        assert found, "a key that was added is there"
    if not await openings(connection):
        opening = open_first(found, *numbered(None, 1, environment.now()))
        await connection.execute(UNLESS_SIGNED, [1, 0, True, opening])
    return found


async def known_signer(connection: Connection, vault: Vault) -> Signer | None:
    """The log's signer, None without a key. Raises VerificationError if the key was changed."""
    row = await (await connection.execute(SECRET, [*KEY])).fetchone()
    try:
        return Signer(bytes.fromhex(vault.unwrap_secret(*KEY, row[0]))) if row else None
    except (InvalidTag, ValueError, OverflowError):
        raise VerificationError("the key that it is signed with is damaged") from None


async def openings(connection: Connection) -> list[tuple[str, datetime]]:
    """The notes that opened the log's origins, with times."""
    return await (await connection.execute(OPENINGS)).fetchall()


async def origins(connection: Connection, vault: Vault | None) -> Origins:
    """The log's origins; with a vault, the last must have its key. Raises VerificationError."""
    found = Origins(note for note, _ in await openings(connection))
    signer = await known_signer(connection, vault) if vault else None
    if vault and (found.last and found.last.verifier.key) != (signer and signer.key):
        raise VerificationError("the last origin in the store is not the one whose key it holds")
    return found


async def open_next_origin(
    connection: Connection, vault: Vault, environment: Environment, kept: Iterable[Checkpoint]
) -> OriginOpening:
    """Open a new origin over the whole log, with a new key.

    `kept` are checkpoints stored elsewhere: those on missing events are recorded as lost. Raises
    VerificationError, or Contradiction when an event is missing or the last checkpoint here is not
    valid: a new signature must vouch only for what was verified.
    """
    before, secret = await signer(connection, vault, environment), environment.random(32)
    known = await origins(connection, vault)
    size, note = await last(connection)
    assert note, "there is an origin, so there is a checkpoint"
    after, grown = known.open(note), await EVENTS.edge(connection, size)
    await require_signed(connection, after)
    events = Events(vault.event_mac)
    while items := await events.page(connection, grown.size, None, PAGE):
        await grow(connection, events, grown, items)
    number = await last_number(connection)

    def is_here(claim: Checkpoint) -> bool:
        return known.has(claim) and claim.size <= grown.size and (claim.number or 0) <= number

    lost = [each for each in kept if not is_here(each) and not known.lost(each)]
    more = numbered(after, number + 1, environment.now())
    more += [str(after.activity)] if after.activity else []
    tree = (grown.size, grown.root)
    opening = open_next(Signer(secret), before, tree, after, lost, more=more)
    await connection.execute(CHANGE, [vault.wrap_secret(*KEY, secret.hex()), *KEY])
    await connection.execute(SIGNED, [number + 1, grown.size, True, opening])
    return OriginOpening.of(opening)


def macs_since(checkpoint: Checkpoint) -> int | None:
    """The position after which events carry MACs, None if the checkpoint does not say."""
    for line in checkpoint.more:
        match line.split(" "):
            case ["macs", since] if since.isdecimal():
                return int(since)
    return None


async def last(connection: Connection) -> tuple[int, str | None]:
    """The number of sealed events, and the note on them."""
    row = await (await connection.execute(LAST)).fetchone()
    return row or (0, None)


async def last_number(connection: Connection) -> int:
    """The number of the last checkpoint, or 0."""
    return await log.number(connection, NUMBER)


async def require_signed(connection: Connection, claim: Checkpoint) -> None:
    """Raise Contradiction unless the log begins with a checkpoint's events, by its tiles, and by
    the events whose tiles were lost; and likewise the activity log."""
    size, note = await last(connection)
    await _require(connection, Events(None), size, (claim.size, claim.root))
    if activity := claim.activity:
        here = parsed(note).activity if note else None
        lines = Activities(None, 0)
        tree = (activity.size, activity.root)
        await _require(connection, lines, here.size if here else 0, tree)


async def _require(
    connection: Connection, of: SealedLog, sealed: int, tree: tuple[int, bytes]
) -> None:
    size, _ = tree
    if (head := await of.head(connection)) < size:
        raise Contradiction(f"the log ends at {of.AT} {head}, and was signed up to {size}")
    grown = await of.TREE.edge(connection, min(sealed, size))
    further = await of.page(connection, grown.size, size, size - grown.size)
    grown.grow(found for _, found in dense(of, further, grown.size))
    if (grown.size, grown.root) != tree:
        raise Contradiction(f"the first {size} {of.NOUN}s are not those that were signed")


async def grow(connection: Connection, of: SealedLog, edge: Edge, items: Sequence[Item]) -> None:
    """Append the next lines of a log to its tree. Raises Contradiction."""
    whole = [*dense(of, items, edge.size)]
    for item, _ in whole:
        if not item.own:
            words = f"the {of.NOUN} at {of.AT} {item.position} was not written by this ledger"
            raise Contradiction(words)
    await of.TREE.grow(connection, edge, [found for _, found in whole])

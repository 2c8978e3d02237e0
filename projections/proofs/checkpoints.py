"""Who signs the log, and what was signed: its key, its origins, its last checkpoint."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, Final

from cryptography.exceptions import InvalidTag
from psycopg import AsyncConnection

from projections.proofs.merkle import Edge
from projections.proofs.origins import OriginOpening, Origins, open_first, open_next
from projections.proofs.sealed_logs import Activities, Events, Item, SealedLog, dense
from projections.proofs.sealed_logs import number as number_of
from projections.proofs.signed_note import Checkpoint, Signer, VerificationError, chained, said
from projections.proofs.trees import EVENTS, Contradiction
from rim_ledger.engine.environment import Environment
from rim_ledger.values import derived_id
from rim_ledger.vault.personal_keys import Vault

PAGE: Final = 1_000
"""Lines that are read together at most."""
MACS: Final = "macs"
"""Begins the line of a checkpoint that says after which position events carry codes."""
KEY: Final = (derived_id("seals"), "signing-key")
"""Under which the private key lies among the secrets, wrapped by the vault."""

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
    """The log's signer. At the first start its first origin is opened, whoever starts first."""
    if (found := await known_signer(connection, vault)) is None:
        wrapped = vault.wrap_secret(*KEY, environment.random(32).hex())
        await connection.execute(ADD_SECRET, [*KEY, wrapped])
        found = await known_signer(connection, vault)
        assert found, "a key that was added is there"
    if not await openings(connection):
        opening = open_first(found, *chained(None, 1, environment.now()))
        await connection.execute(UNLESS_SIGNED, [1, 0, True, opening])
    return found


async def known_signer(connection: Connection, vault: Vault) -> Signer | None:
    """The log's signer, if a key was made. Raises Untrue when that was changed."""
    row = await (await connection.execute(SECRET, [*KEY])).fetchone()
    try:
        return Signer(bytes.fromhex(vault.unwrap_secret(*KEY, row[0]))) if row else None
    except (InvalidTag, ValueError, OverflowError):
        raise VerificationError("the key that it is signed with is damaged") from None


async def openings(connection: Connection) -> list[tuple[str, datetime]]:
    """The notes that opened the origins of the log, and when."""
    return await (await connection.execute(OPENINGS)).fetchall()


async def origins(connection: Connection, vault: Vault | None) -> Origins:
    """The origins of the log, of which the last holds the key at hand, if a vault opens that.
    Raises Untrue."""
    found = Origins(note for note, _ in await openings(connection))
    signer = await known_signer(connection, vault) if vault else None
    if vault and (found.last and found.last.verifier.key) != (signer and signer.key):
        raise VerificationError("the last origin in the store is not the one whose key it holds")
    return found


async def go_on(
    connection: Connection, vault: Vault, environment: Environment, kept: Iterable[Checkpoint]
) -> OriginOpening:
    """Open a new origin on all that is in the log; the key of the one before is no more.

    `kept` are checkpoints that were kept elsewhere: those on events that are not here are named as
    lost. Raises Untrue, or Contradiction when an event is missing, or the last checkpoint that is
    here was not signed so: what signs it again has to have seen that it is true.
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
    more = chained(after, number + 1, environment.now())
    more += [str(after.activity)] if after.activity else []
    tree = (grown.size, grown.root)
    opening = open_next(Signer(secret), before, tree, after, lost, more=more)
    await connection.execute(CHANGE, [vault.wrap_secret(*KEY, secret.hex()), *KEY])
    await connection.execute(SIGNED, [number + 1, grown.size, True, opening])
    return OriginOpening.of(opening)


def macs_since(checkpoint: Checkpoint) -> int | None:
    """After which position events carry codes, if a checkpoint says so."""
    for line in checkpoint.more:
        match line.split(" "):
            case ["macs", since] if since.isdecimal():
                return int(since)
    return None


async def last(connection: Connection) -> tuple[int, str | None]:
    """How many events are sealed, and the note that says so."""
    row = await (await connection.execute(LAST)).fetchone()
    return row or (0, None)


async def last_number(connection: Connection) -> int:
    """The number of the last checkpoint, or 0."""
    return await number_of(connection, NUMBER)


async def require_signed(connection: Connection, claim: Checkpoint) -> None:
    """Raise Contradiction unless the log begins with the events of a checkpoint, as far as its
    seals tell, and the events after those of which the seals were lost; and likewise the log of
    activities."""
    size, note = await last(connection)
    await _require(connection, Events(None), size, (claim.size, claim.root))
    if activity := claim.activity:
        here = said(note).activity if note else None
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
    """Put the next lines of a log into its tree, at its edge. Raises Contradiction."""
    whole = [*dense(of, items, edge.size)]
    for item, _ in whole:
        if not item.own:
            words = f"the {of.NOUN} at {of.AT} {item.position} was not written by this ledger"
            raise Contradiction(words)
    await of.TREE.grow(connection, edge, [found for _, found in whole])

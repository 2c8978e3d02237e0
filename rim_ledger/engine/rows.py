"""Rows beside the log, and whether they follow from it: claimed names, secrets, personal keys.

Names mostly follow from the state of their stream. Of what does not, the last event that a decision
adds to the stream says what is kept from then on, by fingerprints. That a name is free follows from
no stream, so the last event of each decision says which names it takes and gives back.
"""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from msgspec.structs import replace

from rim_ledger.engine.claim_index import Claim
from rim_ledger.engine.codec import Recorded
from rim_ledger.engine.entry import Entry, with_rows
from rim_ledger.engine.missing import Secret
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.values import derived_id
from rim_ledger.vault.personal_keys import Vault

ADOPTED: Final = derived_id("adopted-secrets")
"""The stream whose event says which secrets there were before events did."""
PRINT: Final = 32
"""Hexadecimal digits of a fingerprint in an event."""
TAKEN, FREE, DONE = "+", "-", "="
"""What stands before a fingerprint in an event: of a name that it takes or gives back, of the
idempotency key that its command came with."""


def mark(uow: UnitOfWork, vault: Vault) -> None:
    """Have the events of a decision say what it keeps beside them, and which names it takes and
    gives back."""
    marks = uow.marks
    for (owner, purpose), text in uow.secrets.items():
        marks.setdefault(owner, {})[_secret(purpose)] = _print(vault, (owner, purpose), text)
    for claim, holder in uow.claims.items():
        if holder:
            entry = uow.streams.get(holder)
            if entry and not _follows(entry, claim):
                marks.setdefault(holder, {})[_claim(vault, claim)] = ""
            continue
        for stream, entry in uow.streams.items():
            if entry.kept and (name := _claim(vault, claim)) in entry.kept:
                marks.setdefault(stream, {})[name] = None
    for stream, kept in marks.items():
        _say(uow, stream, kept)
    names = [(TAKEN if to else FREE) + name_print(vault, each) for each, to in uow.claims.items()]
    if uow.events and (names := names + uow.told):
        uow.events[-1] = replace(uow.events[-1], claims=" ".join(names))


def name_print(vault: Vault, claim: Claim) -> str:
    """The fingerprint of a name in the events that take it and give it back."""
    return vault.short_print("claim " + claim[0], claim[1])


def key_print(vault: Vault, caller: str, key: str) -> str:
    """The fingerprint of an idempotency key in the event of the command that came with it."""
    return vault.short_print("outcome", f"{caller} {key}")


def is_taken(recorded: Recorded, name: str) -> bool:
    """Whether an event that tells of a name, by its fingerprint, takes it."""
    return TAKEN + name in recorded.claims.split()


def adopted(vault: Vault, secrets: Mapping[Secret, str]) -> dict[str, str | None]:
    """What the event says that takes over secrets of which no event tells. Raises ValueError for
    one that was not wrapped by this ledger."""
    try:
        return {_adopted(each): _print(vault, each, text) for each, text in secrets.items()}
    except (InvalidTag, OverflowError) as error:
        raise ValueError("a secret was not wrapped by this ledger") from error


def is_held(vault: Vault, entry: Entry, claim: Claim) -> bool:
    """Whether a stream holds a name. One without events has nothing: its names are only taken."""
    return entry.aggregate is None or _follows(entry, claim) or _claim(vault, claim) in entry.kept


def secret_fits(
    vault: Vault, entry: Entry, before: Entry, secret: Secret, stored: str | None
) -> bool:
    """Whether a secret, or that there is none, is what the newest event of its owner says; of
    `before`, where none says anything."""
    said = entry.kept.get(_secret(secret[1])) or before.kept.get(_adopted(secret))
    if stored is None or said is None:
        return stored is said
    try:
        return _print(vault, secret, stored) == said
    except (InvalidTag, ValueError, OverflowError):
        return False


def key_fits(entry: Entry, person: UUID, wrapped: Mapping[UUID, bytes | None]) -> bool:
    """Whether a person's key is there, or was destroyed, as their stream says. What it is need not
    be asked: nobody else could have wrapped it for this person."""
    if entry.aggregate is None:
        return True
    if entry.aggregate.key_destroyed:
        return wrapped.get(person) is None
    return wrapped.get(person) is not None


def _say(uow: UnitOfWork, stream: UUID, kept: Mapping[str, str | None]) -> None:
    last = max(at for at, each in enumerate(uow.events) if each.originator_id == stream)
    uow.events[last] = replace(uow.events[last], kept=kept)
    entry = uow.streams[stream]
    uow.streams[stream] = replace(entry, kept=with_rows(entry.kept, kept))


def _follows(entry: Entry, claim: Claim) -> bool:
    return entry.aggregate is not None and entry.aggregate.holds(*claim)


def _print(vault: Vault, secret: Secret, stored: str) -> str:
    return vault.secret_print(*secret, stored)[:PRINT]


def _secret(purpose: str) -> str:
    return f"secret/{purpose}"


def _adopted(secret: Secret) -> str:
    return f"secret/{secret[0]}/{secret[1]}"


def _claim(vault: Vault, claim: Claim) -> str:
    kind, name = claim
    return f"claim/{kind}/{vault.fingerprint(f'claim {kind}', name)[:PRINT]}"

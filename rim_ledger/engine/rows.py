"""Rows beside the log, and whether they follow from it: claimed names, secrets, personal keys.

Most names follow from their stream's state. Other rows are listed, by fingerprint, in the last
event that a decision adds to the stream. That a name is free follows from no stream, so the last
event of each decision lists the names that it claims and releases.
"""

from collections.abc import Mapping
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from msgspec.structs import replace

from rim_ledger.engine.entry import Entry, with_rows
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.engine.view import Claim, Secret
from rim_ledger.values import derived_id
from rim_ledger.vault.personal_keys import Vault

ADOPTED: Final = derived_id("adopted-secrets")
"""The stream whose event lists the secrets that existed before events did."""
PRINT: Final = 32
"""Hexadecimal digits of a fingerprint in an event."""
TAKEN, FREE, DONE = "+", "-", "="
"""Prefix of a fingerprint in an event: of a name that it claims or releases, or of the command's
idempotency key."""


def mark(uow: UnitOfWork, vault: Vault) -> None:
    """Record in a decision's events the rows beside them, and the names claimed and released."""
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
        last = max(at for at, each in enumerate(uow.events) if each.originator_id == stream)
        uow.events[last] = replace(uow.events[last], kept=kept)
        entry = uow.streams[stream]
        uow.streams[stream] = replace(entry, kept=with_rows(entry.kept, kept))
    names = [(TAKEN if to else FREE) + name_print(vault, each) for each, to in uow.claims.items()]
    if uow.events and (names := names + uow.mentioned):
        uow.events[-1] = replace(uow.events[-1], claims=" ".join(names))


def name_print(vault: Vault, claim: Claim) -> str:
    """Return the fingerprint of a name, as in the events that claim and release it."""
    return vault.short_print("claim " + claim[0], claim[1])


def key_print(vault: Vault, caller: str, key: str) -> str:
    """Return the fingerprint of an idempotency key, as in the event of its command."""
    return vault.short_print("outcome", f"{caller} {key}")


def adopted(vault: Vault, secrets: Mapping[Secret, str]) -> dict[str, str | None]:
    """Return what the event of an adoption lists: secrets that no event mentions. Raises ValueError
    for one that was not wrapped by this ledger."""
    try:
        return {_adopted(each): _print(vault, each, text) for each, text in secrets.items()}
    except (InvalidTag, OverflowError) as error:
        raise ValueError("a secret was not wrapped by this ledger") from error


def is_held(vault: Vault, entry: Entry, claim: Claim) -> bool:
    """Return whether a stream holds a name. A stream without events holds any: its names are only
    reserved."""
    return entry.aggregate is None or _follows(entry, claim) or _claim(vault, claim) in entry.kept


def secret_fits(
    vault: Vault, entry: Entry, before: Entry, secret: Secret, stored: str | None
) -> bool:
    """Return whether a secret, or its absence, matches the owner's newest event, or `before` if no
    event mentions it."""
    said = entry.kept.get(_secret(secret[1])) or before.kept.get(_adopted(secret))
    if stored is None or said is None:
        return stored is said
    try:
        return _print(vault, secret, stored) == said
    except (InvalidTag, ValueError, OverflowError):
        return False


def key_fits(entry: Entry, person: UUID, wrapped: Mapping[UUID, bytes | None]) -> bool:
    """Return whether the presence of a person's key matches their stream. Its value need not be
    checked: only this ledger could have wrapped it for this person."""
    if entry.aggregate is None:
        return True
    if entry.aggregate.key_destroyed:
        return wrapped.get(person) is None
    return wrapped.get(person) is not None


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

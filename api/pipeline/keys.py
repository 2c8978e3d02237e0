"""The keys of persons, for an answer that shows words about them."""

from collections.abc import Iterable
from uuid import UUID

from api.context import Context
from rim_ledger.vault.living_keys import LIVING_KEYS
from rim_ledger.vault.personal_keys import Keys


async def keys_of(context: Context, persons: Iterable[UUID], *, sees: bool) -> Keys:
    """The keys of these persons for a reader who may see them, and None for whoever was erased; for
    others only the latter."""
    if not (wanted := list(persons)):
        return {}
    wrapped = await context.pool.rows(LIVING_KEYS, [wanted])
    return {
        person: context.vault.unwrap(person, key) for person, key in wrapped if sees or key is None
    }

"""Resolves the two ids of an object: its UUID and its business id."""

import re
from typing import Any
from uuid import UUID

from rim_ledger.engine.aggregate import Aggregate
from rim_ledger.engine.refusals import NotFound
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.values import BUSINESS_ID, UUID_TEXT


def resolve(uow: UnitOfWork, kind: type[Aggregate], text: str) -> UUID:
    """The stream of an object by either id. Raises NotFound for an unknown or malformed one."""
    if UUID_TEXT.fullmatch(text):
        return UUID(text)
    found = uow.find(kind, text) if BUSINESS_ID.fullmatch(text) else None
    if found is None:
        raise missing(kind)
    return found.id


def missing(kind: type[Any], by: str = "id", hint: str | None = None) -> NotFound:
    """The refusal for a path to nothing, with a hint if given; the path itself is not repeated."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kind.__name__).lower()
    refusal = NotFound(words, f"of that {by}")
    if hint:
        refusal.more["hint"] = hint
    return refusal

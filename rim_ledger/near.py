"""Misspelt names: suggests the known name that is nearest."""

from collections.abc import Iterable
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

SIMILARITY: Final = 0.75
"""From 0 (nothing in common) to 1 (equal but for case, hyphens and underscores)."""
NAMES_MAX: Final = 20
"""Limit of unknown names per request that are compared: comparing is slow."""
NAME_MAX: Final = 100
"""Characters; a longer name is not compared."""


def nearest(name: str, known: Iterable[str], similarity: float = SIMILARITY) -> str | None:
    """Return the most similar known name, if at least as similar as `similarity`; else None."""
    return None if len(name) > NAME_MAX else _nearest(name, tuple(known), similarity)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: `; did you mean amount?`, or nothing."""
    meant = nearest(name, known)
    return f"; did you mean {meant}?" if meant else ""


@lru_cache(maxsize=1024)  # A file with a misspelt column has the same name in every line.
def _nearest(name: str, known: tuple[str, ...], similarity: float) -> str | None:
    spelled = {_plain(each): each for each in known}
    found = get_close_matches(_plain(name), spelled, n=1, cutoff=similarity)
    return spelled[found[0]] if found else None


def _plain(name: str) -> str:
    return name.casefold().replace("_", "").replace("-", "")

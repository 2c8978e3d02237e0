"""Ends a process as soon as another version of the program takes over the tables."""

import asyncio
from collections.abc import Coroutine
from typing import Any, Final

from projections.tables import schema

OUTDATED: Final = 3
"""The exit code of a process that ends so: it is of no use to start it again."""


async def fenced(url: str, work: Coroutine[Any, Any, None]) -> None:
    """Do the work until it ends, or until the tables are another version's: then it is stopped as
    a signal would stop it, and Outdated is raised."""
    watching, working = asyncio.create_task(schema.watch(url)), asyncio.create_task(work)
    both = (watching, working)
    try:
        done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in both:
            each.cancel()
        await asyncio.gather(*both, return_exceptions=True)
    for each in done:
        each.result()

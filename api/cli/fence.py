"""Ends a process when another version of the program takes over the read tables."""

import asyncio
from collections.abc import Coroutine
from typing import Any

import uvloop

from projections.tables import schema


def run_fenced(url: str, work: Coroutine[Any, Any, None]) -> None:
    """Run a process that works until it is stopped, on a loop that costs little."""
    uvloop.run(_fenced(url, work))


async def _fenced(url: str, work: Coroutine[Any, Any, None]) -> None:
    """Run until done, or until another version takes over the tables: then cancel as a signal
    would, and raise Outdated."""
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

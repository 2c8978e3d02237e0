"""Runs a process until another version of the program takes over the read tables."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import uvloop

from api.cli import logs
from api.config.database import fitting_database
from api.config.settings import Settings
from projections.tables import schema


def run_fenced(work: Callable[[Settings, str], Coroutine[Any, Any, None]]) -> None:
    """Run a process that works until it is stopped, on a loop that costs little: the work on the
    database of a URL. Raises Outdated when another version takes over the tables."""
    settings = Settings.load()
    with fitting_database(settings) as url:
        logs.started()
        uvloop.run(_fenced(url, work(settings, url)))


async def _fenced(url: str, work: Coroutine[Any, Any, None]) -> None:
    """Run until done, or until another version takes over: then cancel as a signal would."""
    both = asyncio.create_task(schema.watch(url)), asyncio.create_task(work)
    try:
        done, _ = await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in both:
            each.cancel()
        await asyncio.gather(*both, return_exceptions=True)
    for each in done:
        each.result()

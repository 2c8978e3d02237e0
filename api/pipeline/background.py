"""What is done beside the answers of an API process: long work, and notes of unexpected errors."""

import asyncio
import logging
import traceback
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from rim_ledger.postgres.heartbeat import note_fault

if TYPE_CHECKING:
    from api.context import Context

log = logging.getLogger("rim_ledger.api")


def begin(context: "Context", work: Coroutine[Any, Any, None]) -> None:
    """Do something in the background, which is given up when the process ends."""
    task = asyncio.create_task(work)
    context.works.add(task)
    task.add_done_callback(context.works.discard)


def note_unexpected(context: "Context", error: BaseException) -> None:
    """Count and log an error that is no refusal: where it was, and not what was asked."""
    context.metrics.errors.inc()
    place = "".join(traceback.format_tb(error.__traceback__))
    kind = type(error).__name__
    log.error("unexpected %s at\n%s", kind, place)
    note = asyncio.create_task(
        note_fault(context.dispatch.url, context.environment, f"api: {kind}")
    )
    context.notes.add(note)
    note.add_done_callback(context.notes.discard)

"""What is done beside the answers of an API process: long work, and notes of unexpected errors."""

import asyncio
import logging
import traceback
from collections.abc import Coroutine
from typing import Any

from api.context import Context
from api.http import problem
from api.http.call import Call
from rim_ledger.engine.refusals import Refused, Unavailable
from rim_ledger.postgres.heartbeat import note_fault

log = logging.getLogger("rim_ledger.api")


def begin(context: Context, work: Coroutine[Any, Any, None]) -> None:
    """Do something in the background, which is given up when the process ends."""
    task = asyncio.create_task(work)
    context.works.add(task)
    task.add_done_callback(context.works.discard)


def note_unexpected(context: Context, error: BaseException) -> None:
    """Count and log an unexpected error: its type and place, without data of the request."""
    context.metrics.errors.inc()
    place = "".join(traceback.format_tb(error.__traceback__))
    kind = type(error).__name__
    log.error("unexpected %s at\n%s", kind, place)
    note = asyncio.create_task(
        note_fault(context.dispatch.url, context.environment, f"api: {kind}")
    )
    context.notes.add(note)
    note.add_done_callback(context.notes.discard)


def problem_line(context: Context, call: Call, error: Exception) -> dict[str, Any]:
    """The problem that ends an answer in lines; an unexpected error is noted."""
    if not isinstance(error, Refused | Unavailable):
        note_unexpected(context, error)
    return problem.problem(error, call.path, call.id)

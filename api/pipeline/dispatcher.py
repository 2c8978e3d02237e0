"""The front: every request, from its head to the answer's end."""

import logging
from time import perf_counter
from typing import Any, Final

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from api.context import Context
from api.http.call import REQUEST, Call, path_of
from api.http.query import read_parameters
from api.http.rate import Rates, caller_of
from api.pipeline.endpoint import refused
from api.pipeline.health import PROBES
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.turns import CALLER

ACCESSES: Final = "rim_ledger.access"
"""The logger of a line for each answer; at its level WARNING there are none."""
accesses = logging.getLogger(ACCESSES)

DOCS, ASSETS, OPENAPI = "/docs", "/docs/assets/", "/openapi.json"
DOCUMENTS: Final = (DOCS, OPENAPI)


class Dispatcher:
    """In the place of FastAPI's own matching: finds the route's application in the index, and
    counts and logs what it answers. What only describes the API is FastAPI's `inner`."""

    def __init__(self, inner: ASGIApp, app: FastAPI) -> None:
        self._inner, self._state = inner, app.state
        self._handlers = app.exception_handlers, dict[int, Any]()
        self._readers = Rates(0)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        path = path_of(scope)
        if path in DOCUMENTS or path.startswith(ASSETS):
            await self._describe(scope, receive, send)
            return
        started = perf_counter()
        context: Context = self._state.context
        call = Call(scope, receive, send, context.environment, context.settings.trusted_proxies)
        scope["call"], scope["starlette.exception_handlers"] = call, self._handlers
        REQUEST.set(call.id)
        CALLER.set(caller_of(call, context.callers))
        template = "none"
        app: ASGIApp
        try:
            if path not in PROBES:
                context.rates.note(call, context.callers, started)
            endpoint, call.path_params = context.table.find(call.method, call.path)
            template, app = endpoint.route.path, endpoint.app
        except Refused as refusal:
            app = refused(refusal, call)
        try:
            await app(scope, receive, send)
        finally:
            # The call sends by what has the scope: a cycle, which would wait for the collector.
            del scope["call"]
        context.metrics.note(call.method, template, call.status, started)
        _log_access(call.method, template, call.status, started)

    async def _describe(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What describes the API, and needs no ledger; so many at once for each address."""
        call = Call(scope, receive, send, SystemEnvironment(), self._state.settings.trusted_proxies)
        try:
            read_parameters(call.query, {})
            with self._readers.room(call, {}):
                await self._inner(scope, receive, send)
        except Refused as refusal:
            await call.reply(refused(refusal, call))


def _log_access(method: str, path: str, status: int, started: float) -> None:
    """Log an answer, by the path's template: neither ids nor query appear."""
    if not accesses.isEnabledFor(logging.INFO):
        return
    milliseconds = round((perf_counter() - started) * 1000, 1)
    fields = {"method": method, "path": path, "status": status, "milliseconds": milliseconds}
    accesses.info("%s %s %s in %s ms", *fields.values(), extra={"fields": fields})

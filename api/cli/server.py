"""One API process: uvicorn on a socket, with garbage collection between requests."""

import asyncio
import gc
import logging
import socket
from typing import Annotated, Final, NoReturn

import uvicorn
from cyclopts import Parameter

from api.app import Api
from api.cli import logs
from api.cli.listener import BACKLOG, address, listen
from api.cli.protocol import BoundedProtocol
from api.config.database import fitting_database
from api.config.settings import Settings
from api.pipeline.dispatcher import ACCESSES
from projections.tables import schema
from projections.tables.schema import Outdated

GRACE: Final = 5
"""Seconds for requests in progress to finish at shutdown."""
KEEP_ALIVE: Final = 15
"""Idle timeout of a connection in seconds; below HEAD_SECONDS, so that an idle one just ends."""
GARBAGE_SOME, GARBAGE_MUCH = 1_000, 100_000
"""Uncollected containers at which to collect when idle, and at which to collect at once."""


SAID_BY_US: Final = ("Cancel %s running task(s)", "ASGI callable returned without completing")
"""Uvicorn's messages on aborted answers; the dispatcher logs them with their progress."""


class CalmServer(uvicorn.Server):
    """Collects garbage between requests, as the collector's pauses were the slowest answers. Stops
    when another version of the program takes over the tables."""

    def __init__(self, config: uvicorn.Config, url: str) -> None:
        super().__init__(config)
        self._url = url
        self._watch: asyncio.Task[NoReturn] | None = None
        self.outdated: Outdated | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        logs.started()
        self._watch = asyncio.create_task(schema.watch(self._url))
        self._watch.add_done_callback(self._stop)
        gc.collect()
        gc.freeze()
        gc.disable()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        state = getattr(self.config.app, "state", None)
        if context := getattr(state, "desk", None):
            context.stopping.set()  # Streams end; clients reconnect elsewhere.
        if self._watch:
            self._watch.cancel()
        await super().shutdown(sockets)

    def _stop(self, watch: "asyncio.Task[NoReturn]") -> None:
        if not watch.cancelled() and isinstance(error := watch.exception(), Outdated):
            self.outdated, self.should_exit = error, True

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:  # A tick is 0.1 s.
            garbage, busy = gc.get_count()[0], bool(self.server_state.tasks)
            if garbage > GARBAGE_MUCH:
                gc.collect(1)
            elif garbage > GARBAGE_SOME and not busy:
                gc.collect()
        return await super().on_tick(counter)


def serve(*, fd: Annotated[int | None, Parameter(show=False)] = None) -> None:
    """Run one API process."""
    settings = Settings.load()
    # `up` passes its own socket, so that a restarted process continues on it.
    listener = listen(settings) if fd is None else socket.socket(fileno=fd)
    with listener, fitting_database(settings) as url:
        if fd is None:
            print(f"RIM Ledger answers at {address(listener)}", flush=True)  # noqa: T201
        logging.getLogger("uvicorn.error").addFilter(
            lambda record: not str(record.msg).startswith(SAID_BY_US)
        )
        config = uvicorn.Config(
            Api(settings.on(url)),
            loop="uvloop",
            http=BoundedProtocol,
            ws="none",
            lifespan="on",
            log_config=None,
            log_level="warning",
            access_log=False,
            server_header=False,
            proxy_headers=False,  # The application knows its trusted proxies.
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE,
            timeout_graceful_shutdown=GRACE,
        )
        level = logging.INFO if settings.access_log else logging.WARNING
        logging.getLogger(ACCESSES).setLevel(level)
        server = CalmServer(config, url)
        server.run([listener])
        if server.outdated:
            raise server.outdated

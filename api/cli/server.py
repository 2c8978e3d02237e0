"""One API process: uvicorn on a socket, with the garbage collected while nobody waits."""

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
"""Seconds that requests under way have to finish once the process is asked to stop."""
KEEP_ALIVE: Final = 15
"""Seconds that a connection may stay silent between two requests; less than HEAD_SECONDS, so that
one on which nothing more comes just ends."""
GARBAGE_SOME, GARBAGE_MUCH = 1_000, 100_000
"""Containers made and not yet collected: worth a rest, and too many to wait for one."""


SAID_BY_US: Final = ("Cancel %s running task(s)", "ASGI callable returned without completing")
"""What uvicorn logs of answers that break off. The front says it, and what was done until then."""


class CalmServer(uvicorn.Server):
    """Collects garbage between requests: the collector's pauses were the slowest answers. Stops as
    soon as the tables are those of another version of the program."""

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
            context.stopping.set()  # Streams end by themselves, and clients come back elsewhere.
        if self._watch:
            self._watch.cancel()
        await super().shutdown(sockets)

    def _stop(self, watch: "asyncio.Task[NoReturn]") -> None:
        if not watch.cancelled() and isinstance(error := watch.exception(), Outdated):
            self.outdated, self.should_exit = error, True

    async def on_tick(self, counter: int) -> bool:
        if counter % 10 == 0:  # A tick is a tenth of a second.
            garbage, busy = gc.get_count()[0], bool(self.server_state.tasks)
            if garbage > GARBAGE_MUCH:
                gc.collect(1)
            elif garbage > GARBAGE_SOME and not busy:
                gc.collect()
        return await super().on_tick(counter)


def serve(*, fd: Annotated[int | None, Parameter(show=False)] = None) -> None:
    """Run one API process."""
    settings = Settings.load()
    # `up` hands its own socket over, so that a new process goes on where another ended.
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
            proxy_headers=False,  # The application knows which proxies it trusts.
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

"""A log of a million events: what it costs to have, to read, to seal, to back up and bring back."""

import asyncio
from collections.abc import Callable

import psycopg

from api.cli.progress import progress

from .backups import backed_up
from .desk import open_tickets
from .filling import fill
from .flow import CONNECTIONS, rebuilt
from .history import exported, replayed, sealed, tried
from .load import run
from .past import looked_back
from .rim import RimPeer
from .scenario import Script
from .service import MEGABYTE, SECRET

Figures = dict[str, float]


def measure_million(
    url: str, *, seconds: float, rounds: int, events: int, say: Callable[[str], None]
) -> tuple[Figures, list[str]]:
    """Every figure, and the table of what looking back takes."""
    peer = RimPeer()
    try:
        peer.start(url)
        assert peer.service, "it was started"
        service, figures = peer.service, Figures()
        open_tickets(service)
        service.stop()
        with progress("events written") as told:
            asyncio.run(fill(url, SECRET, events, 500_000, told))
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DROP SCHEMA read CASCADE")  # nothing to compare with
        say("rebuilding")
        figures |= rebuilt(service)
        service.start("follow")
        api = service.serve()
        say("looking back")
        looks = looked_back(service)
        say("sealing")
        figures |= sealed(service)
        say("exporting, as lines and as Parquet")
        figures |= exported(service, api, rounds)
        say("replaying")
        figures |= replayed(service)
        say("trying a policy")
        figures |= tried(service)
        say("backing up and bringing back")
        figures |= backed_up(service)
        say("the API under load")
        scripts = [Script(peer.make_scenario(index)) for index in range(CONNECTIONS)]
        run(service.base_url, scripts, seconds=2 * seconds)
        figures["MB of the API over many events"] = api.memory_info().rss / MEGABYTE
        return figures, looks
    finally:
        peer.stop()

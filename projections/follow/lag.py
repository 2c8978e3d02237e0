"""Lag and liveness of each process that works behind the log."""

from collections.abc import Iterable
from typing import Any, Final

from msgspec import Struct

from projections.proofs.sealer import EVERY_SECONDS

LATE: Final = f"""
WITH log AS (SELECT coalesce(max(position), 0) AS head FROM ledger.events),
     works (name, position, gathers) AS (
         SELECT 'follow', position, 0 FROM read.tracking WHERE name = 'read'
          UNION ALL SELECT 'seal', (SELECT coalesce(max(size), 0) FROM ledger.checkpoints),
                           {EVERY_SECONDS}
          UNION ALL SELECT 'clock', NULL, 0)
SELECT name, position, greatest(0, head - position),
       greatest(0, extract(epoch FROM clock_timestamp() - (
           SELECT recorded_at FROM ledger.events e WHERE e.position > works.position
            ORDER BY e.position LIMIT 1)) - gathers)::float8,
       extract(epoch FROM clock_timestamp() - h.at)::float8
  FROM works CROSS JOIN log LEFT JOIN ledger.heartbeats h USING (name) ORDER BY name"""


class ProcessLag(Struct, frozen=True, rename="camel"):
    """A process: the last event it has processed (None for the clock), how many follow, for how
    many seconds the next has waited, and the seconds since its heartbeat (None without one)."""

    name: str
    position: int | None
    lag: int
    behind_seconds: float
    silent_seconds: float | None

    def trouble(self, seconds_max: float) -> str | None:
        """What is wrong, if it lags by more seconds than that."""
        if self.silent_seconds is None:
            return f"{self.name} has never run"
        if self.silent_seconds > seconds_max:
            return f"{self.name} is dead: no sign of life for {self.silent_seconds:.0f} s"
        if self.behind_seconds > seconds_max:
            return f"{self.name} is {self.behind_seconds:.0f} s behind"
        return None

    def is_late(self, seconds_max: float) -> bool:
        """True if it lags by more seconds than that, or has died."""
        return max(self.behind_seconds, self.silent_seconds or 0) > seconds_max


def found(rows: Iterable[tuple[Any, ...]]) -> list[ProcessLag]:
    """Rows of the query LATE."""
    return [ProcessLag(*row) for row in rows]

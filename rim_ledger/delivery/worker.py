"""The delivery worker: sends what a decision has taken, outside of any decision.

An order is marked as taken before its provider is called, and one decision records its outcome. So
after a crash it is known what is in doubt: that is queried, and never sent blindly.
"""

import asyncio
from collections.abc import Coroutine, Iterable, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection

from rim_ledger.delivery.port import Lane, Outcome
from rim_ledger.engine.environment import Environment

# Each call reserves the next slot, so senders wait for the rate only.
PACE: Final = """
INSERT INTO ledger.paces AS p VALUES (%(provider)s, clock_timestamp() + %(takes)s * interval '1 s')
ON CONFLICT (provider) DO UPDATE
   SET free_at = greatest(p.free_at, clock_timestamp()) + %(takes)s * interval '1 s'
RETURNING extract(epoch FROM free_at - clock_timestamp())::float8 - %(takes)s"""

T = TypeVar("T")
Outcomes = dict[UUID, Outcome]
"""Outcomes by id, where they are clear."""


class Delivery(Struct, frozen=True, kw_only=True):
    """An order that was taken, and its lane."""

    id: UUID
    """The stream that records the outcome."""
    reference: str
    lane: Lane
    taken_at: datetime
    order: Any = None
    """What to send; None if it may have been sent already: then the provider is queried."""
    withheld: Outcome | None = None
    """The outcome if it is not to be sent."""

    async def outcome(self, now: datetime) -> Outcome | None:
        """Send or query; return the outcome, None while an answer may come."""
        if self.withheld:
            return self.withheld
        if self.order is not None:
            return await self.lane.send(self.order)
        return await self.lane.query(self.reference, self.taken_at, now)


async def deliver(url: str, items: Sequence[Delivery], environment: Environment) -> Outcomes:
    """Send or query orders in batches, the lanes concurrently; all processes share the rate of a
    lane."""
    keys = {each.lane.key for each in items}
    lanes = [[each for each in items if each.lane.key == key] for key in keys]
    done = await all_of(_deliver_lane(url, own, environment) for own in lanes)
    return {id_: outcome for each in done for id_, outcome in each.items()}


async def outcomes_of(items: Sequence[Delivery], environment: Environment) -> list[Outcome | None]:
    """Return the outcomes of orders, sent or queried concurrently."""
    return await all_of(each.outcome(environment.now()) for each in items)


async def all_of(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Return the results of concurrent works. All are awaited before an error is raised."""
    done = await asyncio.gather(*works, return_exceptions=True)
    if errors := [each for each in done if isinstance(each, BaseException)]:
        raise errors[0]
    return [each for each in done if not isinstance(each, BaseException)]


async def _deliver_lane(url: str, items: Sequence[Delivery], environment: Environment) -> Outcomes:
    lane, done = items[0].lane, Outcomes()
    for begin in range(0, len(items), lane.batch):
        batch = items[begin : begin + lane.batch]
        await _wait_for_rate(url, lane, len(batch))
        found = zip(batch, await outcomes_of(batch, environment), strict=True)
        done |= {each.id: outcome for each, outcome in found if outcome}
    return done


async def _wait_for_rate(url: str, lane: Lane, count: int) -> None:
    """Reserve slots for so many messages, and wait for them."""
    values = {"provider": lane.key, "takes": count / lane.rate}
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        row = await (await connection.execute(PACE, values)).fetchone()
    assert row is not None, "a time is a row"
    await asyncio.sleep(max(0.0, row[0]))

"""The one worker: what a decision took in hand goes to its provider, outside of any decision.

It is in hand before the provider hears of it, and what became of it is recorded by one decision. So
a process that dies leaves no doubt about what is in doubt: that is asked about, and never sent.
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

# The next time is taken by whoever asks first, so nobody waits for anybody but for the rate.
PACE: Final = """
INSERT INTO ledger.paces AS p VALUES (%(provider)s, clock_timestamp() + %(takes)s * interval '1 s')
ON CONFLICT (provider) DO UPDATE
   SET free_at = greatest(p.free_at, clock_timestamp()) + %(takes)s * interval '1 s'
RETURNING extract(epoch FROM free_at - clock_timestamp())::float8 - %(takes)s"""

T = TypeVar("T")
Outcomes = dict[UUID, Outcome]
"""What became of what was in hand, where that is clear."""


class InHand(Struct, frozen=True, kw_only=True):
    """Something in hand, and the lane that it takes."""

    id: UUID
    """Whose stream is told what became of it."""
    reference: str
    lane: Lane
    taken_at: datetime
    order: Any = None
    """What there is to send; without it, somebody may have sent it, and the provider is asked."""
    withheld: Outcome | None = None
    """What becomes of it without any provider, if so."""

    async def outcome(self, now: datetime) -> Outcome | None:
        """What becomes of it; None while an answer may come."""
        if self.withheld:
            return self.withheld
        if self.order is not None:
            return await self.lane.send(self.order)
        return await self.lane.query(self.reference, self.taken_at, now)


async def deliver(url: str, items: Sequence[InHand], environment: Environment) -> Outcomes:
    """Send or ask about what is in hand, in batches, each lane at its rate and beside the others:
    all processes keep to the rate of a lane together."""
    keys = {each.lane.key for each in items}
    lanes = [[each for each in items if each.lane.key == key] for key in keys]
    done = await all_of(_along(url, own, environment) for own in lanes)
    return {id_: outcome for each in done for id_, outcome in each.items()}


async def outcomes_of(items: Sequence[InHand], environment: Environment) -> list[Outcome | None]:
    """What becomes of what is in hand, all at once."""
    return await all_of(each.outcome(environment.now()) for each in items)


async def all_of(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """The results of works that go on side by side. Whatever goes wrong with one, nothing is let
    go while another is still being done."""
    done = await asyncio.gather(*works, return_exceptions=True)
    if errors := [each for each in done if isinstance(each, BaseException)]:
        raise errors[0]
    return [each for each in done if not isinstance(each, BaseException)]


async def _along(url: str, items: Sequence[InHand], environment: Environment) -> Outcomes:
    lane, done = items[0].lane, Outcomes()
    for begin in range(0, len(items), lane.batch):
        batch = items[begin : begin + lane.batch]
        await _pace(url, lane, len(batch))
        found = zip(batch, await outcomes_of(batch, environment), strict=True)
        done |= {each.id: outcome for each, outcome in found if outcome}
    return done


async def _pace(url: str, lane: Lane, count: int) -> None:
    """Wait until so many messages may go out; until then no other process sends any."""
    values = {"provider": lane.key, "takes": count / lane.rate}
    async with await AsyncConnection.connect(url, autocommit=True) as connection:
        row = await (await connection.execute(PACE, values)).fetchone()
    assert row is not None, "a time is a row"
    await asyncio.sleep(max(0.0, row[0]))

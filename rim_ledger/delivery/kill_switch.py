"""The kill switch of egress: airtime, messages, calls to providers.

It is off in a restored store, so that nothing is sent twice, until an admin switches it on.
"""

from datetime import timedelta
from typing import Annotated, Final, Self, assert_never
from uuid import UUID

from pydantic import Field

from rim_ledger.engine.aggregate import Aggregate, Event, Stamp
from rim_ledger.engine.command import Ruled
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.values import Note, derived_id

OUTBOUND: Final = derived_id("outbound")
"""The one stream of the switch."""
LATER: Final = timedelta(minutes=1)
"""Time until deferred work checks the switch again."""


class OutboundStopped(Event):
    """Egress is stopped from now on."""

    reason: str


class OutboundResumed(Event):
    """Egress is allowed from now on, also for what waited."""


OutboundEvent = OutboundStopped | OutboundResumed


class Outbound(Aggregate):
    enabled: bool = True
    reason: str | None = None
    """Why it is off."""

    @classmethod
    def begin(cls, id: UUID, event: OutboundEvent, stamp: Stamp) -> Self:
        return cls(id=id).evolve(event, stamp)

    def evolve(self, event: OutboundEvent, stamp: Stamp) -> Self:
        match event:
            case OutboundStopped():
                return self.but(enabled=False, reason=event.reason)
            case OutboundResumed():
                return self.but(enabled=True, reason=None)
            case _:
                assert_never(event)


def is_open(uow: UnitOfWork) -> bool:
    """Return whether egress is allowed."""
    switch = uow.find(Outbound, OUTBOUND)
    return switch is None or switch.enabled


def set_outbound_default(uow: UnitOfWork) -> None:
    """Record that egress is allowed, unless the switch was set before."""
    if uow.find(Outbound, OUTBOUND) is None:
        uow.append(Outbound, OUTBOUND, [OutboundResumed()])


def require_open(uow: UnitOfWork) -> None:
    """Raise Refused (`outbound-stopped`) while egress is stopped."""
    if not is_open(uow):
        words = "Nothing leaves the house until POST /v1/outbound says so."
        raise Refused("outbound-stopped", words)


class SwitchOutbound(Ruled):
    """Stop egress, or allow it again; no effect if it is so already."""

    enabled: bool
    reason: Annotated[Note | None, Field(description="Why it is stopped.")] = None

    def work(self, uow: UnitOfWork) -> UUID:
        """Decide on the one stream of the switch; return its id."""
        before = is_open(uow)
        if before and not self.enabled:
            stopped = OutboundStopped(reason=self.reason or "Somebody stopped it.")
            uow.append(Outbound, OUTBOUND, [stopped])
        elif self.enabled and not before:
            uow.append(Outbound, OUTBOUND, [OutboundResumed()])
        return OUTBOUND

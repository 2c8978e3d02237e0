"""The airtime float of a network: airtime that was bought and not yet sent.

A network is tracked from its first top-up on. Whatever moves its float is in its stream, in the
same commit, so that no two decisions spend the same airtime.
"""

from datetime import datetime
from decimal import Decimal
from typing import Final, Self, assert_never
from uuid import UUID

from rim_ledger.engine.aggregate import Aggregate, Event, Stamp
from rim_ledger.engine.refusals import require
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.float_alert import notify_low
from rim_ledger.system.config import setting
from rim_ledger.text import folded
from rim_ledger.values import ZERO, Network, derived_id

OPENING: Final = "open-float"
"""The reminder to set off what the journal has of the time before the tracking."""


class FloatToppedUp(Event):
    """Airtime was bought, for its amount less a discount; the first time, tracking begins."""

    network: Network
    amount: Decimal
    cost: Decimal
    reference: str


class FloatAdjusted(Event):
    """The float differed from what the telco says, by this amount, and was set right."""

    amount: Decimal
    reason: str


class FloatMoved(Event):
    """Airtime left the float (below zero), or came back: for a loan, or a sale."""

    amount: Decimal
    loan_id: UUID | None = None
    transaction_id: UUID | None = None


class FloatBecameLow(Event):
    """The float fell below its mark: once until it is back at the mark."""

    balance: Decimal
    mark: Decimal


class FloatOpened(Event):
    """What the journal has in the float's account from before the tracking is set off by this
    amount, so that the account holds the float."""

    amount: Decimal


FloatEvent = FloatToppedUp | FloatAdjusted | FloatMoved | FloatBecameLow | FloatOpened


class AirtimeFloat(Aggregate):
    network: Network
    created_at: datetime
    balance: Decimal = ZERO
    low_mark: Decimal | None = None
    """The mark below which the float is, since it fell below; None if it is not low."""
    opened: bool = False
    """Whether the account of the float was set off for the time before the tracking."""
    references: frozenset[str] = frozenset()
    """The references of all top-ups."""

    @property
    def low(self) -> bool:
        """Whether it fell below its mark, and is not back yet."""
        return self.low_mark is not None

    @classmethod
    def begin(cls, id: UUID, event: FloatToppedUp, stamp: Stamp) -> Self:
        return cls.made(id, event, created_at=stamp.at).evolve(event, stamp)

    def evolve(self, event: FloatEvent, stamp: Stamp) -> Self:
        match event:
            case FloatToppedUp():
                references = self.references | {folded(event.reference)}
                return self._moved(event.amount).but(references=references)
            case FloatAdjusted() | FloatMoved():
                return self._moved(event.amount)
            case FloatBecameLow():
                return self.but(low_mark=event.mark)
            case FloatOpened():
                return self.but(opened=True)
            case _:
                assert_never(event)

    def _moved(self, amount: Decimal) -> Self:
        balance = self.balance + amount
        back = self.low_mark is not None and balance >= self.low_mark
        return self.but(balance=balance, low_mark=None if back else self.low_mark)


def float_id(network: str) -> UUID:
    """Return the stream id of a network's float."""
    return derived_id("airtime-float", network)


def find_float(uow: UnitOfWork, network: Network) -> AirtimeFloat | None:
    """Return the float of a network; None if it is not tracked."""
    return uow.find(AirtimeFloat, float_id(network))


def require_covered(held: AirtimeFloat, amount: Decimal) -> None:
    """Refuse what the float cannot cover. Raises Refused (`float-exhausted`)."""
    words = f"The float of {held.network} has {held.balance} naira, not {amount}; top it up."
    require(amount <= held.balance, "float-exhausted", words)


def spend(uow: UnitOfWork, network: Network, moved: FloatMoved) -> Decimal:
    """Take airtime out of a tracked float; return how much (naira), which is nothing where the
    network is not tracked. Raises Refused (`float-exhausted`)."""
    held = find_float(uow, network)
    if held is None:
        return ZERO
    require_covered(held, -moved.amount)
    move(uow, network, moved)
    return -moved.amount


def move(uow: UnitOfWork, network: Network, moved: FloatMoved) -> None:
    """Record airtime that left the float of a network, or came back, if the network is tracked.
    Nothing is refused, as it has happened."""
    if find_float(uow, network):
        with uow.dated(float_id(network)):
            change(uow, network, moved)


def change(
    uow: UnitOfWork, network: Network, event: FloatToppedUp | FloatAdjusted | FloatMoved
) -> None:
    """Append a change of a float, and what follows if the float becomes low."""
    stream = float_id(network)
    uow.append(AirtimeFloat, stream, [event])
    held, mark = uow.read(AirtimeFloat, stream), setting(uow, "lending", low_mark_key(network))
    if held.balance < mark and not held.low:
        uow.append(AirtimeFloat, stream, [FloatBecameLow(balance=held.balance, mark=mark)])
        cause = derived_id("float-low", stream, uow.version(stream))
        notify_low(uow, network, held.balance, mark, cause)


def low_mark_key(network: str) -> str:
    """Return the key of the setting with a network's low mark, in `lending`."""
    return f"floatLow.{network}"

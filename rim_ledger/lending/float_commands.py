"""Commands on the airtime float of a network: buy airtime, set the float right."""

from decimal import Decimal
from typing import Annotated
from uuid import UUID

from pydantic import Field, WithJsonSchema

from rim_ledger.engine.command import Timed
from rim_ledger.engine.refusals import Invalid, Refused, require
from rim_ledger.engine.unit_of_work import UnitOfWork, decision
from rim_ledger.lending.airtime_float import (
    OPENING,
    AirtimeFloat,
    FloatAdjusted,
    FloatOpened,
    FloatToppedUp,
    change,
    find_float,
    float_id,
    require_covered,
)
from rim_ledger.text import fits, folded
from rim_ledger.values import ZERO, Amount, Limit, Money, Network, Note, Reference

Difference = Annotated[
    Amount,
    fits(bool, "zero", "an adjustment is above or below zero"),
    WithJsonSchema({"type": "number", "multipleOf": 0.01, "examples": [-50.0]}),
]
"""Naira above or below zero, exact to the kobo."""
NetworkName = Annotated[Network, Field(strict=False)]


class TopUpFloat(Timed):
    """Record airtime that was bought for a network: `amount` of it for `cost`, which is not more;
    the rest is discount. The telco's reference counts once per network. From its first top-up on
    the network is tracked, and a disbursement that its float does not cover is refused."""

    network: NetworkName
    amount: Money
    cost: Limit
    reference: Reference

    def work(self, uow: UnitOfWork) -> UUID:
        """Decide on the float's stream, and return its id."""
        if self.cost > self.amount:
            words = f"The cost is at most the amount of {self.amount} naira."
            raise Invalid("cost-above-amount", words, "/cost")
        before, stream = find_float(uow, self.network), float_id(self.network)
        known = before is not None and folded(self.reference) in before.references
        words = f"The top-up {self.reference} of {self.network} is recorded already."
        require(not known, "reference-taken", words)
        if before is None:
            uow.remind(OPENING, stream, uow.now)
        change(uow, self.network, FloatToppedUp.of(self))
        return stream


class AdjustFloat(Timed):
    """Set the float of a tracked network right, for a reason: by so much more, or less if below
    zero. A float never falls below zero by an adjustment."""

    network: NetworkName
    amount: Difference
    reason: Note

    def naira(self, aggregate: AirtimeFloat | None, uow: UnitOfWork) -> Decimal:
        return abs(self.amount)

    def work(self, uow: UnitOfWork) -> UUID:
        """Decide on the float's stream, and return its id."""
        before = find_float(uow, self.network)
        words = f"The float of {self.network} was never topped up; there is nothing to adjust."
        if before is None:
            raise Refused("float-not-tracked", words)
        require_covered(before, -self.amount)
        change(uow, self.network, FloatAdjusted.of(self))
        return before.id


@decision
def open_float(uow: UnitOfWork, id: UUID, balance: Decimal) -> None:
    """Set off, once, the balance (naira) that the float's account had
    before the tracking began."""
    uow.forget(OPENING, id)
    if not uow.read(AirtimeFloat, id).opened:
        uow.act_upon(id)
        with uow.dated(id):
            uow.append(AirtimeFloat, id, [FloatOpened(amount=-balance or ZERO)])

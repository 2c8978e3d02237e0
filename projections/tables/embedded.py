"""The shapes that stand inside of rows."""

from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, WithJsonSchema
from pydantic.alias_generators import to_camel

_naira = {"type": "number", "multipleOf": 0.01, "examples": [5000.0]}
Amount = Annotated[Decimal, WithJsonSchema(_naira)]


class Embedded(BaseModel):
    """A JSON object inside of a row."""

    model_config = ConfigDict(alias_generator=to_camel, serialize_by_alias=True, frozen=True)


class Attachment(Embedded):
    """A file of a message. Its name is null once the person was erased."""

    id: UUID
    name: str | None
    url: str
    size: int
    type: str
    message_id: UUID


class Allocation(Embedded):
    """What a loan got of a payment, in naira."""

    loan_id: UUID
    amount: Amount


class ProviderClaim(Embedded):
    """What a provider said that contradicts what is recorded, and in which message."""

    type: str
    amount: Amount | None
    provider: str | None
    message_id: str


class TwoAmounts(Embedded):
    """What a statement and the transaction say, in naira."""

    statement: Amount
    transaction: Amount


class Differences(Embedded):
    """In what a line of a statement differs from its transaction."""

    amount: TwoAmounts


class Change(Embedded):
    """A field's value before and after an event."""

    old: Any
    new: Any


class PostedLine(Embedded):
    """An amount on one side of an account, in naira."""

    account: str
    debit: Amount
    credit: Amount


class ActivityDetails(Embedded):
    """How an activity ended: `outcome` is done, proposed (it waits for approval), tried (a dry
    run), or the code of the refusal; and more about it."""

    model_config = ConfigDict(extra="allow")

    outcome: str

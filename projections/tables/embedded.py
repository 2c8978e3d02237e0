"""The shapes that stand inside of rows."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from projections.tables.columns import Naira


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
    amount: Naira


class ProviderClaim(Embedded):
    """What a provider said that contradicts what is recorded, and in which message."""

    type: str
    amount: Naira | None
    provider: str | None
    message_id: str


class TwoAmounts(Embedded):
    """What a statement and the transaction say, in naira."""

    statement: Naira
    transaction: Naira


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
    debit: Naira
    credit: Naira


class ActivityDetails(Embedded):
    """How an activity ended: `outcome` is done, proposed (it waits for approval), tried (a dry
    run), or the code of the refusal; and more about it."""

    model_config = ConfigDict(extra="allow")

    outcome: str

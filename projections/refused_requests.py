"""Refused loan requests, as clients see them."""

from typing import Annotated
from uuid import UUID

from projections.tables.columns import (
    Indexed,
    Key,
    Lookup,
    Moment,
    Naira,
    Percent,
    Read,
    References,
)
from projections.tables.table import Row
from rim_ledger.engine.activity import RefusedRequest
from rim_ledger.values import Network, Word


class RefusedRequestRow(
    Row,
    table="refused_requests",
    of=RefusedRequest,
    newest="timestamp",
    view="SELECT *, 1::bigint AS version FROM ledger.refused_requests",
):
    """A loan request that was refused. It made no event.

    `policy` is the version of the policy that refused it, and null where another rule did;
    creditScore, creditLimit and available are how the borrower stood. `position` is the last one
    that the decision knew of. repaymentPeriod and interestRate are null where none were named.
    """

    id: Key
    position: int
    user_id: Annotated[UUID, Lookup, References("users")]
    amount: Naira
    network: Annotated[Network, Indexed]
    repayment_period: int | None
    interest_rate: Percent | None
    code: Annotated[str, Indexed, Read(Word)]
    reason: str
    policy: str | None
    credit_score: int
    credit_limit: Naira
    available: Naira
    actor_type: str
    actor_id: Annotated[UUID | None, Indexed]
    actor_name: str
    api_key_id: Annotated[UUID | None, Indexed]
    api_key_name: str | None
    request_id: str | None
    occurred_at: Moment
    timestamp: Annotated[Moment, Indexed]

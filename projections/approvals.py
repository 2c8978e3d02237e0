"""Approval rules and proposals as clients see them."""

from typing import Annotated
from uuid import UUID

from pydantic import WithJsonSchema

from projections.tables.columns import (
    Copied,
    FreeFields,
    Indexed,
    Internal,
    Json,
    Key,
    Lookup,
    Moment,
    Naira,
    NameText,
    Personal,
    Read,
    References,
    Sql,
    UniqueWhile,
    Words,
    free_fields,
)
from projections.tables.embedded import Change, Embedded
from projections.tables.table import Row
from rim_ledger.approvals.approval_rule import ApprovalRule
from rim_ledger.approvals.approval_rule_commands import CommandName
from rim_ledger.approvals.proposal import Proposal, ProposalStatus


class LookedAt(Embedded):
    """A stream that a decision looked at, and its version then."""

    entity: str
    id: UUID
    version: int


class Consequence(Embedded):
    """What a command would do to one object: its events, and the fields that change."""

    entity: str
    id: UUID
    events: list[str]
    fields: dict[str, Change] = {}


Object = Annotated[Json, WithJsonSchema({"type": "object"})]


class ApprovalRuleRow(Row, table="approval_rules", of=ApprovalRule):
    """A command that takes two people: always, or when its amount is above the threshold."""

    id: Key
    command: Annotated[str, Read(CommandName), UniqueWhile("NOT archived")]
    threshold: Naira | None
    enabled: Annotated[bool, Indexed]
    archived: bool
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment


class ProposalRow(Row, table="proposals", of=Proposal, person="person"):
    """A command that waits for the approval of another admin, or what became of it.

    `body` and `words` are what its maker sent: fields about persons stand in `words`, and of secret
    ones there are the names.
    """

    id: Key
    command: Annotated[str, Indexed, Read(CommandName)]
    permission: str
    entity: str
    target: Annotated[UUID, Lookup]
    person: Annotated[UUID, Internal, Lookup]
    path: Object
    body: Object
    words: Annotated[FreeFields, Personal, free_fields()]
    secrets: Annotated[list[str], Sql("json")]
    amount: Naira | None
    decided_on: Annotated[list[LookedAt], Sql("json")]
    effects: Annotated[list[Consequence], Sql("json")]
    status: Annotated[ProposalStatus, Indexed]
    maker: Annotated[UUID, Indexed, References("admin_users")]
    maker_name: Annotated[NameText | None, Copied("admin_users", "display_name", by="maker")]
    api_key: UUID | None
    decided_by: Annotated[UUID | None, Indexed, References("admin_users")]
    decided_by_name: Annotated[
        NameText | None, Copied("admin_users", "display_name", by="decided_by")
    ]
    reason: Words | None
    failure_code: str | None
    failure_detail: str | None
    expires_at: Annotated[Moment, Indexed]
    ended_at: Moment | None
    created_at: Annotated[Moment, Indexed]
    updated_at: Moment

"""Permissions: a resource, and the actions on it."""

from collections.abc import Iterable, Sequence
from typing import Annotated, Final

from pydantic import AfterValidator, ConfigDict, Field, WithJsonSchema, with_config
from pydantic_core import PydanticCustomError
from typing_extensions import TypedDict

from rim_ledger.engine.unit_of_work import Right
from rim_ledger.near import did_you_mean

RESOURCES: Final = (
    "users",
    "users.pii",
    "users.credit",
    "loans",
    "loans.approval",
    "loans.disbursement",
    "loans.default",
    "loans.fees",
    "loans.waiver",
    "loans.writeoff",
    "loans.reschedule",
    "loan_products",
    "transactions",
    "transactions.cash",
    "transactions.refund",
    "transactions.reversal",
    "transactions.reconciliation",
    "statements",
    "settlements",
    "float",
    "simulations",
    "tickets",
    "tickets.all",
    "agents",
    "departments",
    "admins",
    "roles",
    "api_keys",
    "activity_logs",
    "audit_logs",
    "events",
    "journal",
    "history.import",
    "erasure",
    "alerts",
    "broadcasts",
    "broadcasts.send",
    "notifications",
    "integrations",
    "config",
    "templates",
    "security_settings",
    "approval_rules",
    "proposals",
    "backups",
    "backups.restore",
)
ACTIONS: Final = ("read", "write", "delete")


def _one_of(known: Sequence[str], what: str) -> AfterValidator:
    def check(word: str) -> str:
        if word not in known:
            meant = did_you_mean(word, known)
            raise PydanticCustomError(f"unknown_{what}", f"there is no such {what}{meant}")
        return word

    return AfterValidator(check)


Resource = Annotated[
    str, _one_of(RESOURCES, "resource"), WithJsonSchema({"type": "string", "enum": [*RESOURCES]})
]
Action = Annotated[
    str, _one_of(ACTIONS, "action"), WithJsonSchema({"type": "string", "enum": [*ACTIONS]})
]


@with_config(ConfigDict(extra="forbid", strict=True))
class Permission(TypedDict):
    """Actions on a resource. What no permission names is denied.

    A form accepts known words only; an event holds those that were known when it was written.
    """

    resource: Resource
    actions: Annotated[list[Action], Field(fail_fast=True)]


def rights(permissions: Iterable[Permission]) -> frozenset[Right]:
    """Return each (resource, action) that the permissions grant."""
    return frozenset(
        (permission["resource"], action)
        for permission in permissions
        for action in permission["actions"]
    )


def permissions(given: Iterable[Right]) -> list[Permission]:
    """Return rights as permissions, one per resource, in the order of RESOURCES and ACTIONS."""
    wanted = frozenset(given)
    found = (
        Permission(resource=resource, actions=actions)
        for resource in RESOURCES
        if (actions := [action for action in ACTIONS if (resource, action) in wanted])
    )
    return list(found)


Permissions = Annotated[
    list[Permission],
    Field(max_length=200),
    AfterValidator(lambda given: permissions(rights(given))),
]
"""A list of permissions, sorted and without duplicates."""

ALL: Final = frozenset((resource, action) for resource in RESOURCES for action in ACTIONS)
"""Every right there is."""

"""Permissions: known words only, each resource once, in one order."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from rim_ledger.admin.bootstrap import BUILT_IN
from rim_ledger.admin.permissions import ALL, Permissions, permissions, rights

read: TypeAdapter[Any] = TypeAdapter(Permissions)


def test_permissions_are_put_in_order_and_freed_of_duplicates() -> None:
    wish = [
        {"resource": "loans", "actions": ["write", "read", "write"]},
        {"resource": "users", "actions": ["read"]},
        {"resource": "loans", "actions": ["read"]},
        {"resource": "tickets", "actions": []},
    ]
    assert read.validate_python(wish) == [
        {"resource": "users", "actions": ["read"]},
        {"resource": "loans", "actions": ["read", "write"]},
    ]


@pytest.mark.parametrize(
    "bad",
    [
        {"resource": "money", "actions": ["read"]},
        {"resource": "loans", "actions": ["approve"]},
        {"resource": "loans", "actions": ["READ"]},
        {"resource": "loans"},
        {"resource": "loans", "actions": "read"},
        {"resource": "loans", "actions": ["read"], "scope": "all"},
        "loans:read",
    ],
)
def test_what_is_not_a_permission_is_refused(bad: Any) -> None:
    with pytest.raises(ValidationError):
        read.validate_python([bad])


def test_rights_and_permissions_are_two_spellings_of_the_same() -> None:
    assert rights(permissions(ALL)) == ALL


@pytest.mark.parametrize("role", BUILT_IN)
def test_a_built_in_role_names_only_what_there_is(role: str) -> None:
    assert BUILT_IN[role][1] <= ALL


def test_the_auditor_reads_everything_and_writes_nothing() -> None:
    assert BUILT_IN["auditor"][1] == {right for right in ALL if right[1] == "read"}


def test_the_analyst_sees_no_personal_data() -> None:
    assert ("users.pii", "read") not in BUILT_IN["analyst"][1]
    assert ("loans", "read") in BUILT_IN["analyst"][1]

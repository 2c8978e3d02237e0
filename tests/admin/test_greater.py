"""Nobody acts upon somebody with rights that they lack, nor touches such a role; accounts alert."""

from typing import Any
from uuid import UUID

import pytest

from rim_ledger.admin.admin_commands import (
    ActivateAdmin,
    AssignRole,
    DeactivateAdmin,
    EditAdmin,
    ReinstateAdmin,
    ResetPassword,
    RevokeSessions,
    SuspendAdmin,
)
from rim_ledger.admin.admin_role import SUPERADMIN, AdminRole, CreateRole, DeleteRole, EditRole
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.permissions import ALL, permissions
from rim_ledger.admin.same_person import is_caller
from rim_ledger.admin.two_factor import ResetTwoFactor
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Forbidden, Refused
from tests.admin.staff import Post, Staff, hashed
from tests.spec import names

ADMINS, ROLES = ("admins", "write"), ("roles", "write")
LENDS = [("loans.approval", "write"), ("users.credit", "write")]
UPON: dict[str, Command[AdminUser]] = {
    "edit": EditAdmin(email="mine@rim.example"),
    "suspend": SuspendAdmin(reason="mine"),
    "reinstate": ReinstateAdmin(),
    "deactivate": DeactivateAdmin(),
    "activate": ActivateAdmin(),
    "reset": ResetPassword().promised("a token", Post()),
    "revoke": RevokeSessions(),
    "factor": ResetTwoFactor(),
}


def code(staff: Staff, by: UUID, kind: Any, id: UUID, command: Any) -> str:
    """What an admin is refused with; nothing was changed."""
    before = dict(staff.streams)
    with pytest.raises(Refused) as refusal:
        staff.ask(by, kind, id, command)
    assert staff.streams == before
    return refusal.value.code


@pytest.mark.parametrize("what", [*UPON, "role"])
def test_a_lesser_admin_does_not_touch_a_greater_one(what: str) -> None:
    staff = Staff()
    people = staff.hire("people", staff.role("people", ADMINS))
    loans = staff.hire("loans", staff.role("loans", ADMINS, ("loans", "read")))
    command = UPON.get(what) or AssignRole(role_id=staff.role("reader"))
    for greater in (staff.root, loans):
        assert code(staff, people, AdminUser, greater, command) == "privilege-escalation"


@pytest.mark.parametrize("what", ["suspend", "edit", "role"])
def test_equals_and_greater_ones_may(what: str) -> None:
    staff = Staff()
    role = staff.role("people", ADMINS)
    one, two = staff.hire("one", role), staff.hire("two", role)
    command = UPON.get(what) or AssignRole(role_id=staff.role("reader"))
    assert staff.ask(one, AdminUser, two, command)
    assert staff.ask(staff.root, AdminUser, one, command if what != "edit" else EditAdmin(name="A"))


def test_anybody_may_edit_and_log_out_themselves() -> None:
    staff = Staff()
    small = staff.hire("small", staff.role("small", ADMINS))
    assert names(staff.ask(small, AdminUser, small, EditAdmin(name="Small"))) == [
        "AdminContactChanged"
    ]
    assert staff.ask(small, AdminUser, small, RevokeSessions()) == []


def test_a_lesser_admin_neither_empties_nor_renames_nor_deletes_a_greater_role() -> None:
    staff = Staff()
    clerk = staff.hire("clerk", staff.role("clerk", ROLES, ("roles", "delete")))
    greater = staff.role("greater", ("loans", "write"))
    for command in (
        EditRole(permissions=[]),
        EditRole(name="lesser"),
        EditRole(description="None."),
        EditRole(max_amount=0),  # type: ignore[arg-type]
        DeleteRole(),
    ):
        assert code(staff, clerk, AdminRole, greater, command) == "privilege-escalation"
    equal = staff.role("equal", ROLES)
    assert staff.ask(clerk, AdminRole, equal, EditRole(permissions=[]))


@pytest.mark.parametrize(
    ("given", "lacking"),
    [
        ({}, ["maxAmount", "maxLimit"]),
        ({"max_amount": 100}, ["maxLimit"]),
        ({"max_limit": 100}, ["maxAmount"]),
        ({"max_amount": 100.01, "max_limit": 100}, ["maxAmount"]),
        ({"max_amount": 100, "max_limit": 100}, []),
        ({"max_amount": 0, "max_limit": 0}, []),
    ],
)
def test_nobody_gives_or_touches_bounds_wider_than_their_own(
    given: dict[str, float], lacking: list[str]
) -> None:
    staff = Staff()
    own = staff.role("own", ADMINS, ROLES, *LENDS, max_amount=100, max_limit=100)
    chief = staff.hire("chief", own)
    wish = CreateRole(name="made", permissions=permissions(LENDS), **given)  # type: ignore[arg-type]
    role = staff.role("there", *LENDS, **given)
    other = staff.hire("other", role)
    tries: list[tuple[Any, UUID, Any]] = [
        (AdminRole, staff.environment.new_id(), wish),
        (AdminRole, role, EditRole(description="Mine.")),
        (AdminUser, staff.hire("ada", staff.role("reader")), AssignRole(role_id=role)),
        (AdminUser, other, EditAdmin(name="Other")),
    ]
    for kind, id_, command in tries:
        if not lacking:
            assert staff.ask(chief, kind, id_, command)
            continue
        with pytest.raises(Forbidden) as refusal:
            staff.ask(chief, kind, id_, command)
        assert refusal.value.more["lacking"] == lacking


def test_bounds_bind_only_where_the_role_gives_what_they_bound() -> None:
    staff = Staff()
    chief = staff.hire("chief", staff.role("own", ROLES, *LENDS, max_amount=1, max_limit=1))
    reader = staff.environment.new_id()
    staff.ask(chief, AdminRole, reader, CreateRole(name="reader", permissions=permissions([ROLES])))
    more = EditRole(permissions=permissions(LENDS))
    assert code(staff, chief, AdminRole, reader, more) == "privilege-escalation"


def test_bounds_are_set_kept_and_taken_away() -> None:
    staff = Staff()
    role = staff.role("role", *LENDS, max_amount=100)
    for command, bounds in (
        (EditRole(description="Lends."), (100, None)),
        (EditRole(max_limit=50), (100, 50)),  # type: ignore[arg-type]
        (EditRole.model_validate({"maxAmount": None}), (None, 50)),
        (EditRole.model_validate({"maxAmount": None}), (None, 50)),
    ):
        staff.ask(staff.root, AdminRole, role, command)
        found = staff.uow().read(AdminRole, role)
        assert (found.max_amount, found.max_limit) == bounds
    assert staff.replayed()[role].aggregate == found


def test_another_account_of_the_same_person_is_oneself() -> None:
    staff = Staff()
    twin = staff.hire("twin", SUPERADMIN, phone="08031110001")
    other = staff.hire("other", SUPERADMIN, phone="08031110002")
    staff.ask(staff.root, AdminUser, staff.root, EditAdmin(phone="08031110001"))
    assert is_caller(staff.book_of(staff.root), twin)
    assert not is_caller(staff.book_of(staff.root), other)
    for command in (UPON["suspend"], AssignRole(role_id=staff.role("reader"))):
        assert code(staff, staff.root, AdminUser, twin, command) == "self-action"
        assert staff.ask(staff.root, AdminUser, other, command)


def test_every_new_account_and_role_alerts_every_superadmin_once() -> None:
    staff = Staff()
    chief = staff.hire("chief", staff.role("all", *ALL))
    role, ada = staff.environment.new_id(), staff.environment.new_id()
    staff.ask(chief, AdminRole, role, CreateRole(name="made", permissions=[]))
    staff.ask(chief, AdminUser, ada, hashed("ada", role))
    staff.ask(chief, AdminUser, ada, AssignRole(role_id=SUPERADMIN))
    staff.ask(chief, AdminRole, role, EditRole(permissions=permissions([ROLES])))
    assert staff.alerts(staff.root) == [
        "chief made the role made.",
        "chief made the account ada, with the role made.",
        "chief gave ada the role superadmin.",
        "chief changed the role made.",
    ]
    boss = staff.environment.new_id()
    staff.ask(staff.root, AdminUser, boss, hashed("boss", SUPERADMIN))
    assert staff.alerts(boss) == []
    assert staff.alerts(staff.root)[4:] == ["root made the account boss, with the role superadmin."]
    assert staff.alerts(ada)[:2] == [
        "chief gave ada the role superadmin.",
        *staff.alerts(staff.root)[3:4],
    ]

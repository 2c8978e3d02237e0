"""Roles: unique names, nothing granted that one lacks, none deleted while in use."""

import pytest

from rim_ledger.admin.admin_commands import AssignRole, DeactivateAdmin
from rim_ledger.admin.admin_role import (
    SUPERADMIN,
    AdminRole,
    AdminRoleChanged,
    AdminRoleCreated,
    CreateRole,
    DeleteRole,
    EditRole,
)
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.permissions import permissions
from rim_ledger.engine.refusals import Forbidden, Refused
from tests.admin.staff import Staff
from tests.spec import given, names

READ_LOANS = permissions([("loans", "read")])
CLERK = CreateRole(name="Clerk", description="Reads loans.", permissions=READ_LOANS)


def test_a_role_is_made_and_changed_field_by_field() -> None:
    given(AdminRole, CLERK).when(EditRole(description="Looks at loans.")).then(
        AdminRoleChanged(description="Looks at loans.")
    )
    given(AdminRole, CLERK).when(EditRole(permissions=[])).then(AdminRoleChanged(permissions=[]))
    given(AdminRole, CLERK).when(EditRole(name="Clerk", permissions=READ_LOANS)).then()


def test_the_name_is_unique_without_regard_to_case_and_free_after_deletion() -> None:
    staff = Staff()
    clerk, other = staff.environment.new_id(), staff.environment.new_id()
    staff.perform(AdminRole, clerk, CLERK)
    twin = CreateRole(name="CLERK", permissions=[])
    with pytest.raises(Refused) as refusal:
        staff.perform(AdminRole, other, twin)
    assert refusal.value.code == "role-name-taken"
    assert names(staff.perform(AdminRole, clerk, EditRole(name="clerk"))) == ["AdminRoleChanged"]
    assert names(staff.perform(AdminRole, clerk, DeleteRole())) == ["AdminRoleDeleted"]
    assert staff.uow().read(AdminRole, clerk).archived
    assert staff.perform(AdminRole, other, twin) == [
        AdminRoleCreated(name="CLERK", description="", permissions=[])
    ]


def test_a_renamed_role_gives_its_old_name_back() -> None:
    staff = Staff()
    clerk = staff.role("clerk")
    staff.perform(AdminRole, clerk, EditRole(name="teller"))
    assert staff.role("clerk") != clerk
    with pytest.raises(Refused, match="Another role is named Teller"):
        staff.role("Teller")


def test_a_role_in_use_is_not_deleted_even_by_an_inactive_admin() -> None:
    staff = Staff()
    clerk, teller = staff.role("clerk"), staff.role("teller")
    ada = staff.hire("ada", clerk)
    staff.perform(AdminUser, ada, DeactivateAdmin())
    assert staff.uow().read(AdminRole, clerk).user_count == 1
    with pytest.raises(Refused) as refusal:
        staff.perform(AdminRole, clerk, DeleteRole())
    assert refusal.value.code == "role-in-use"
    staff.perform(AdminUser, ada, AssignRole(role_id=teller))
    assert names(staff.perform(AdminRole, clerk, DeleteRole())) == ["AdminRoleDeleted"]


def test_the_superadmin_role_is_neither_edited_nor_deleted() -> None:
    staff = Staff()
    for command in (EditRole(description="mine"), DeleteRole()):
        with pytest.raises(Refused) as refusal:
            staff.perform(AdminRole, SUPERADMIN, command)
        assert refusal.value.code == "built-in-role"


def test_nobody_puts_into_a_role_what_they_lack() -> None:
    staff = Staff()
    chief = staff.hire("chief", staff.role("chief", ("loans", "read"), ("roles", "write")))
    small = staff.environment.new_id()
    staff.ask(chief, AdminRole, small, CLERK)
    more = EditRole(permissions=permissions([("loans", "write")]))
    other = CreateRole(name="other", permissions=permissions([("users", "read")]))
    for role, command in ((small, more), (staff.environment.new_id(), other)):
        with pytest.raises(Forbidden) as refusal:
            staff.ask(chief, AdminRole, role, command)
        assert refusal.value.code == "privilege-escalation"
    assert names(staff.ask(chief, AdminRole, small, EditRole(description="Less."))) == [
        "AdminRoleChanged"
    ]

"""Break-glass: what a super-admin gets back on the machine, what ends, and who is alerted."""

import pytest

from rim_ledger.admin.admin_commands import ResetAccess
from rim_ledger.admin.admin_role import SUPERADMIN
from rim_ledger.admin.admin_user import (
    AdminAccessReset,
    AdminTwoFactorConfirmed,
    AdminTwoFactorEnrolled,
    AdminUser,
)
from rim_ledger.admin.security_settings import TwoFactorMethod
from rim_ledger.engine.refusals import NotFound, Refused
from tests.admin.staff import PASSWORD, Staff, ready

OPERATOR = "root@ledger-1"


def wish() -> ResetAccess:
    return ready(ResetAccess(password=PASSWORD, operator=OPERATOR))


def test_a_super_admin_is_let_in_again_and_the_others_are_alerted() -> None:
    staff = Staff()
    colleague = staff.hire("colleague", SUPERADMIN)
    uow = staff.uow()
    factor = [AdminTwoFactorEnrolled(method=TwoFactorMethod.APP), AdminTwoFactorConfirmed(step=1)]
    uow.append(AdminUser, staff.root, factor)
    staff.keep(uow)
    before = staff.known(staff.root)
    assert before.two_factor_enabled

    uow = staff.uow()
    assert wish().work("Root", uow) == staff.root
    (activity,) = uow.activities
    assert (activity.resource_id, activity.details) == (str(staff.root), {"operator": OPERATOR})
    assert AdminAccessReset(operator=OPERATOR) in staff.keep(uow)
    after = staff.known(staff.root)
    assert (after.two_factor, after.sessions, after.epoch) == (None, {}, before.epoch + 1)
    words = f"{OPERATOR} reset the access of super-admin root on the machine."
    assert words in staff.alerts(colleague)[-1]
    assert not staff.alerts(staff.root)


def test_others_are_reset_by_a_super_admin() -> None:
    staff = Staff()
    staff.hire("clerk", staff.role("clerk", ("users", "read")))
    with pytest.raises(Refused, match="active super-admins"):
        wish().work("clerk", uow := staff.uow())
    assert uow.activities, "the try is logged"
    with pytest.raises(NotFound, match="no admin nobody"):
        wish().work("nobody", staff.uow())

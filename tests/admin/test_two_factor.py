"""The rules of second factors: prepared, confirmed, asked for, taken away."""

from collections.abc import Callable
from uuid import UUID

import pytest
from pyotp import TOTP

from rim_ledger.admin import two_factor
from rim_ledger.admin.admin_role import SUPERADMIN
from rim_ledger.admin.admin_user import (
    AdminTwoFactorConfirmed,
    AdminTwoFactorDisabled,
    AdminTwoFactorEnrolled,
    AdminTwoFactorReset,
    AdminUser,
)
from rim_ledger.admin.security_settings import (
    SETTINGS,
    EditSecuritySettings,
    SecuritySettings,
    TwoFactorMethod,
    current,
    set_defaults,
)
from rim_ledger.admin.two_factor import Accepted, ResetTwoFactor, confirm, disable, enrol
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import UnitOfWork
from tests.admin.staff import Staff

SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
APP, SMS, EMAIL = TwoFactorMethod.APP, TwoFactorMethod.SMS, TwoFactorMethod.EMAIL
CODES = ["AAAA-BBBB-CCCC-DDDD", "EEEE-FFFF-GGGG-HHHH"]


def done(staff: Staff, work: Callable[[UnitOfWork], object]) -> list[Event]:
    uow = staff.uow()
    work(uow)
    return staff.keep(uow)


def refused(staff: Staff, work: Callable[[UnitOfWork], object]) -> str:
    with pytest.raises(Refused) as refusal:
        work(staff.uow())
    return refusal.value.code


def step(staff: Staff) -> int:
    return int(staff.environment.now().timestamp()) // 30


def code(staff: Staff, steps: int = 0) -> str:
    return TOTP(SECRET).generate_otp(step(staff) + steps)


def with_app(staff: Staff) -> UUID:
    """An admin whose app is enrolled; the code of this step is used up."""
    ada = staff.hire("ada", SUPERADMIN)
    done(staff, lambda uow: enrol(uow, ada, APP, SECRET))
    done(staff, lambda uow: confirm(uow, ada, code(staff), None, CODES))
    return ada


def checked(staff: Staff, admin: UUID, text: str, sent: str | None = None) -> Accepted | None:
    uow = staff.uow()
    return two_factor.check(uow, uow.read(AdminUser, admin), text, sent)


def settings(staff: Staff, **fields: object) -> SecuritySettings:
    done(staff, set_defaults)
    staff.perform(SecuritySettings, SETTINGS, EditSecuritySettings.model_validate(fields))
    return current(staff.uow())


def test_a_second_factor_counts_once_a_code_of_it_was_right() -> None:
    staff = Staff()
    ada = staff.hire("ada", SUPERADMIN)
    assert refused(staff, lambda uow: confirm(uow, ada, "1", None, CODES)) == "no-enrolment"
    events = done(staff, lambda uow: enrol(uow, ada, APP, SECRET))
    assert events == [AdminTwoFactorEnrolled(method=APP)]
    assert not staff.known(ada).two_factor_enabled
    assert refused(staff, lambda uow: confirm(uow, ada, "1", None, CODES)) == "wrong-code"
    events = done(staff, lambda uow: confirm(uow, ada, code(staff), None, CODES))
    assert events == [AdminTwoFactorConfirmed(step=step(staff))]
    assert staff.known(ada).two_factor_enabled
    assert refused(staff, lambda uow: enrol(uow, ada, APP, SECRET)) == "already-done"
    assert SECRET not in repr([staff.log, staff.kept_secrets])


@pytest.mark.parametrize(("steps", "right"), [(-2, False), (-1, True), (1, True), (2, False)])
def test_a_clock_may_be_wrong_by_one_step(steps: int, *, right: bool) -> None:
    staff = Staff()
    ada = with_app(staff)
    staff.environment.pass_days(1)
    accepted = checked(staff, ada, code(staff, steps))
    assert accepted == (Accepted(step=step(staff) + steps) if right else None)


def test_no_code_up_to_the_last_one_is_right_again() -> None:
    staff = Staff()
    ada = with_app(staff)
    assert [bool(checked(staff, ada, code(staff, steps))) for steps in (-1, 0, 1)] == [
        False,
        False,
        True,
    ]


@pytest.mark.parametrize("text", ["", "12345", "1234567", "١٢٣٤٥٦", "½", "000000 "])
def test_what_is_no_code_is_merely_wrong(text: str) -> None:
    staff = Staff()
    assert checked(staff, with_app(staff), text) is None


@pytest.mark.parametrize("method", [SMS, EMAIL])
def test_a_code_that_was_sent_is_right_for_whom_it_was_sent_to(method: TwoFactorMethod) -> None:
    staff = Staff()
    ada = staff.hire("ada", SUPERADMIN, phone="08031234567")
    done(staff, lambda uow: enrol(uow, ada, method, None))
    uow = staff.uow()
    sent = two_factor.code_hash(uow, uow.read(AdminUser, ada), "123456")
    theirs = two_factor.code_hash(uow, uow.read(AdminUser, staff.root), "123456")
    for other in (None, theirs):
        assert refused(staff, lambda uow: confirm(uow, ada, "123456", other, CODES))  # noqa: B023
    assert done(staff, lambda uow: confirm(uow, ada, "123456", sent, CODES))
    assert checked(staff, ada, "123456", sent) is None, "of an epoch that is over"


def test_a_recovery_code_is_used_up_by_whoever_says_so() -> None:
    staff = Staff()
    ada = with_app(staff)
    text = CODES[0].replace("-", "")
    accepted = checked(staff, ada, text)
    assert accepted
    uow = staff.uow()
    two_factor.use_up(uow, uow.read(AdminUser, ada), accepted)
    staff.keep(uow)
    assert checked(staff, ada, text) is None
    assert checked(staff, ada, CODES[1].replace("-", ""))
    assert checked(staff, staff.root, CODES[1].replace("-", "")) is None


def test_whoever_has_a_code_does_without() -> None:
    staff = Staff()
    ada = with_app(staff)
    assert refused(staff, lambda uow: disable(uow, ada, "1", None)) == "wrong-code"
    events = done(staff, lambda uow: disable(uow, ada, code(staff, 1), None))
    assert events == [AdminTwoFactorDisabled()]
    assert checked(staff, ada, CODES[0].replace("-", "")) is None
    uow = staff.uow()
    assert uow.unsealed(ada, "totp") == uow.secret(ada, "recovery") == ""


def test_a_lost_second_factor_is_taken_away_and_so_is_one_that_is_prepared() -> None:
    staff = Staff()
    ada = with_app(staff)
    epoch = staff.known(ada).epoch
    assert staff.ask(staff.root, AdminUser, ada, ResetTwoFactor()) == [AdminTwoFactorReset()]
    assert not staff.known(ada).two_factor_enabled
    assert staff.known(ada).epoch == epoch + 1
    with pytest.raises(Refused) as refusal:
        staff.ask(staff.root, AdminUser, ada, ResetTwoFactor())
    assert refusal.value.code == "already-done"
    done(staff, lambda uow: enrol(uow, ada, EMAIL, None))
    assert staff.ask(staff.root, AdminUser, ada, ResetTwoFactor())


def test_the_settings_say_which_method_is_enough_and_an_app_always_is() -> None:
    staff = Staff()
    ada = staff.hire("ada", SUPERADMIN)
    assert not two_factor.must_enrol(staff.known(ada), settings(staff))
    known = settings(staff, twoFactorRequired=True, twoFactorMethod="email")
    assert two_factor.must_enrol(staff.known(ada), known)
    assert refused(staff, lambda uow: enrol(uow, ada, SMS, None)) == "two-factor-method"
    for method in (EMAIL, APP):
        assert done(staff, lambda uow: enrol(uow, ada, method, SECRET))  # noqa: B023
    done(staff, lambda uow: confirm(uow, ada, code(staff), None, CODES))
    assert not two_factor.must_enrol(staff.known(ada), known)


def test_codes_to_a_phone_need_one() -> None:
    staff = Staff()
    ada = staff.hire("ada", SUPERADMIN)
    assert refused(staff, lambda uow: enrol(uow, ada, SMS, None)) == "no-phone"


def test_what_is_made_up_has_the_length_it_should_have() -> None:
    environment = Staff().environment
    codes = two_factor.new_recovery_codes(environment)
    assert len(set(codes)) == two_factor.RECOVERY_CODES
    assert all(len(each) == 19 for each in codes)
    assert len(two_factor.new_secret(environment)) == 32
    assert len(two_factor.new_code(environment)) == 6
    assert two_factor.qr_svg("otpauth://totp/x").startswith("<svg xmlns=")

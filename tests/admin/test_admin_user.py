"""Admins: unique names, standing, roles within one's own rights, a last super-admin."""

from uuid import UUID

import pytest
from pydantic import SecretStr, ValidationError

from rim_ledger.admin.admin_commands import (
    ActivateAdmin,
    AssignRole,
    CreateAdmin,
    DeactivateAdmin,
    EditAdmin,
    LogOut,
    ReinstateAdmin,
    ResetPassword,
    RevokeSessions,
    SuspendAdmin,
)
from rim_ledger.admin.admin_role import SUPERADMIN, AdminRole, DeleteRole
from rim_ledger.admin.admin_user import (
    LEGAL,
    AdminContactChanged,
    AdminLoggedIn,
    AdminStatus,
    AdminUser,
)
from rim_ledger.admin.authentication import SESSION
from rim_ledger.admin.passwords import DUMMY_HASH
from rim_ledger.admin.permissions import ALL
from rim_ledger.admin.session import SESSIONS_MAX
from rim_ledger.engine.command import Command, perform
from rim_ledger.engine.refusals import Forbidden, Refused
from tests.admin.staff import PASSWORD, Staff, hashed, ready
from tests.spec import names

SUSPEND = SuspendAdmin(reason="lost a laptop")
STANDING: dict[str, Command[AdminUser]] = {
    "suspend": SUSPEND,
    "reinstate": ReinstateAdmin(),
    "deactivate": DeactivateAdmin(),
    "activate": ActivateAdmin(),
}
HISTORY: dict[str, tuple[Command[AdminUser], ...]] = {
    "active": (),
    "inactive": (DeactivateAdmin(),),
    "suspended": (SUSPEND,),
}
AFTER = {"suspend": "suspended", "reinstate": "active", "deactivate": "inactive"}


def refused(code: str, staff: Staff, by: UUID, id: UUID, command: Command[AdminUser]) -> Refused:
    before = dict(staff.streams)
    with pytest.raises(Refused) as refusal:
        staff.ask(by, AdminUser, id, command)
    assert refusal.value.code == code
    assert staff.streams == before
    return refusal.value


def reset(password: str) -> ResetPassword:
    return ready(ResetPassword(password=SecretStr(password)))


def sessions_of(staff: Staff, admin: UUID, *tokens: str) -> None:
    """Open sessions, as the gate does once a password was right."""
    uow = staff.uow()
    for token in tokens:
        uow.claim("token", token, admin, Refused("taken", "taken"))
        expires_at = staff.environment.now() + SESSION
        uow.append(AdminUser, admin, [AdminLoggedIn(session=token, expires_at=expires_at)])
    staff.keep(uow)


def test_a_new_admin_is_active_and_belongs_to_the_role() -> None:
    staff = Staff()
    ada = staff.hire("ada.obi", SUPERADMIN, name="Ada Obi", phone="08031234567")
    known = staff.known(ada)
    assert (known.username, known.status, known.sessions) == ("ada.obi", AdminStatus.ACTIVE, {})
    assert staff.uow().reveal(ada, known.phone) == "+2348031234567"
    assert staff.uow().read(AdminRole, SUPERADMIN).members == {staff.root, ada}
    for hash_ in (staff.kept_secrets[ada, "password"], DUMMY_HASH):
        assert hash_.startswith("$argon2id$v=19$m=19456,t=2,p=1$"), "both take the same time"


def test_personal_words_are_sealed_and_the_password_is_in_no_event() -> None:
    staff = Staff()
    uow = staff.uow()
    form = hashed("ada", SUPERADMIN, name="Ada Obi", phone="08031234567")
    perform(uow, AdminUser, None, form)
    words = repr(uow.events)
    for word in ("Ada Obi", "8031234567", "ada@rim", PASSWORD.get_secret_value(), "argon2"):
        assert word not in words
    assert PASSWORD.get_secret_value() not in repr(form)


@pytest.mark.parametrize("name", ["ab", "a" * 33, "ada obi", "ada\n", "àda", "ada@obi"])
def test_a_username_has_3_to_32_plain_characters(name: str) -> None:
    with pytest.raises(ValidationError):
        CreateAdmin(username=name, email="a@rim.example", role_id=SUPERADMIN, password=PASSWORD)


def test_username_and_email_are_unique_without_regard_to_case() -> None:
    staff = Staff()
    staff.hire("ada", SUPERADMIN)
    with pytest.raises(Refused) as refusal:
        staff.hire("ADA", SUPERADMIN, email="other@rim.example")
    assert refusal.value.code == "username-taken"
    with pytest.raises(Refused) as refusal:
        staff.hire("bola", SUPERADMIN, email="ADA@rim.example")
    assert refusal.value.code == "email-taken"


def test_contact_changes_field_by_field_and_an_email_given_up_is_free() -> None:
    staff = Staff()
    ada = staff.hire("ada", SUPERADMIN, name="Ada")
    (event,) = staff.perform(AdminUser, ada, EditAdmin(name="Ada Obi", email="ada@rim.example"))
    assert event == AdminContactChanged(name="Ada Obi")
    staff.perform(AdminUser, ada, EditAdmin(email="obi@rim.example"))
    assert staff.hire("bola", SUPERADMIN, email="ada@rim.example")
    with pytest.raises(Refused, match="Another admin has this e-mail"):
        staff.perform(AdminUser, ada, EditAdmin(email="ada@rim.example"))
    assert staff.perform(AdminUser, ada, EditAdmin(name="Ada Obi")) == []


@pytest.mark.parametrize("command", STANDING)
@pytest.mark.parametrize("status", HISTORY)
def test_the_whole_table_of_transitions(status: str, command: str) -> None:
    staff = Staff()
    ada = staff.hire("ada", SUPERADMIN)
    for step in HISTORY[status]:
        staff.perform(AdminUser, ada, step)
    if command in LEGAL[status]:
        assert len(staff.ask(staff.root, AdminUser, ada, STANDING[command])) == 1
        assert staff.known(ada).status == AFTER.get(command, "active")
    else:
        refusal = refused("invalid-transition", staff, staff.root, ada, STANDING[command])
        assert refusal.more["allowed"] == sorted(LEGAL[status])


def test_nobody_suspends_deactivates_or_re_roles_themselves() -> None:
    staff = Staff()
    staff.hire("ada", SUPERADMIN)
    clerk = staff.role("clerk")
    for command in (SUSPEND, DeactivateAdmin(), AssignRole(role_id=clerk), reset("another horse")):
        refused("self-action", staff, staff.root, staff.root, command)


def test_nobody_assigns_or_creates_with_a_role_above_their_own() -> None:
    staff = Staff()
    chief = staff.hire("chief", staff.role("chief", ("loans", "read"), ("admins", "write")))
    clerk = staff.role("clerk", ("loans", "read"))
    teller = staff.role("teller", ("transactions", "write"))
    ada = staff.hire("ada", clerk)
    refusal = refused("privilege-escalation", staff, chief, ada, AssignRole(role_id=teller))
    assert isinstance(refusal, Forbidden)
    assert refusal.more == {"lacking": ["transactions:write"]}
    refused("privilege-escalation", staff, chief, chief, AssignRole(role_id=SUPERADMIN))
    refused("privilege-escalation", staff, chief, staff.root, reset("another slow horse"))
    form = hashed("bola", teller)
    with pytest.raises(Forbidden):
        staff.ask(chief, AdminUser, staff.environment.new_id(), form)
    assert names(staff.ask(chief, AdminUser, ada, reset("another slow horse"))) == [
        "AdminPasswordChanged"
    ]


@pytest.mark.parametrize(
    ("first", "back"),
    [(SUSPEND, ReinstateAdmin()), (DeactivateAdmin(), ActivateAdmin())],
    ids=["suspended", "inactive"],
)
def test_nobody_brings_back_an_admin_above_themselves(
    first: Command[AdminUser], back: Command[AdminUser]
) -> None:
    staff = Staff()
    chief = staff.hire("chief", staff.role("chief", ("loans", "read"), ("admins", "write")))
    above, below = staff.hire("ada", SUPERADMIN), staff.hire("bola", staff.role("reader"))
    for admin in (above, below):
        staff.ask(staff.root, AdminUser, admin, first)
    refused("privilege-escalation", staff, chief, above, back)
    assert len(staff.ask(chief, AdminUser, below, back)) == 1


def test_a_role_that_is_not_there_or_was_deleted_cannot_be_assigned() -> None:
    staff = Staff()
    ada, gone = staff.hire("ada", SUPERADMIN), staff.role("gone")
    staff.perform(AdminRole, gone, DeleteRole())
    for role in (gone, staff.environment.new_id(), ada):
        refused("unknown-role", staff, staff.root, ada, AssignRole(role_id=role))


def test_a_new_role_moves_the_admin_between_the_members_of_both() -> None:
    staff = Staff()
    ada, clerk = staff.hire("ada", SUPERADMIN), staff.role("clerk")
    events = names(staff.ask(staff.root, AdminUser, ada, AssignRole(role_id=clerk)))
    assert events == ["AdminRoleWithdrawn", "AdminRoleGranted", "AdminUserRoleChanged"]
    assert staff.uow().read(AdminRole, SUPERADMIN).members == {staff.root}
    assert staff.uow().read(AdminRole, clerk).members == {ada}
    assert staff.ask(staff.root, AdminUser, ada, AssignRole(role_id=clerk)) == []


def test_one_active_superadmin_remains() -> None:
    staff = Staff()
    people = staff.hire("people", staff.role("hr", *ALL))
    clerk = staff.role("clerk")
    ada = staff.hire("ada", SUPERADMIN)
    staff.perform(AdminUser, ada, SUSPEND)
    for command in (SUSPEND, DeactivateAdmin(), AssignRole(role_id=clerk)):
        refused("last-superadmin", staff, people, staff.root, command)
    staff.perform(AdminUser, ada, ReinstateAdmin())
    assert names(staff.ask(people, AdminUser, staff.root, SUSPEND)) == ["AdminSuspended"]


@pytest.mark.parametrize("what", ["suspend", "deactivate", "role", "password", "revoke"])
def test_what_shuts_an_admin_out_ends_every_session_and_frees_its_claim(what: str) -> None:
    staff = Staff()
    ada = staff.hire("ada", SUPERADMIN)
    sessions_of(staff, ada, "one", "two")
    command = {
        "suspend": SUSPEND,
        "deactivate": DeactivateAdmin(),
        "role": AssignRole(role_id=staff.role("clerk")),
        "password": reset("another slow horse"),
        "revoke": RevokeSessions(),
    }[what]
    staff.ask(staff.root, AdminUser, ada, command)
    assert staff.known(ada).sessions == {}
    assert staff.claim(("token", "one")) is None
    assert staff.claim(("token", "two")) is None


def test_logging_out_ends_one_session_once() -> None:
    staff = Staff()
    sessions_of(staff, staff.root, "one", "two")
    assert names(staff.perform(AdminUser, staff.root, LogOut(session="one"))) == ["AdminLoggedOut"]
    assert staff.perform(AdminUser, staff.root, LogOut(session="one")) == []
    assert list(staff.known(staff.root).sessions) == ["two"]
    assert staff.claim(("token", "one")) is None


def test_sessions_are_few_and_expired_ones_are_forgotten() -> None:
    staff = Staff()
    sessions_of(staff, staff.root, *(f"token {n}" for n in range(SESSIONS_MAX + 3)))
    assert len(staff.known(staff.root).sessions) == SESSIONS_MAX
    assert "token 2" not in staff.known(staff.root).sessions
    staff.environment.pass_days(0.5)
    sessions_of(staff, staff.root, "fresh")
    assert list(staff.known(staff.root).sessions) == ["fresh"]


@pytest.mark.parametrize(
    "password",
    [
        "ada.the.great",
        "ADA.THE.GREAT",
        "ada.the.great2026",
        "ada-ada-ada-",
        "Ada.the.great12345678",
    ],
)
def test_a_password_is_more_than_the_own_names(password: str) -> None:
    staff = Staff()
    with pytest.raises(Refused) as refusal:
        staff.hire(
            "ada.the.great", SUPERADMIN, email="ada@rim.example", password=SecretStr(password)
        )
    assert refusal.value.code == "weak-password"

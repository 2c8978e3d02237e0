"""API keys: never more than their owner may do, within their time, ended with their owner."""

import contextlib
from datetime import timedelta
from uuid import UUID

import pytest
from msgspec.structs import replace
from pydantic import SecretStr, ValidationError

from rim_ledger.admin.admin_commands import (
    ActivateAdmin,
    AssignRole,
    ChangePassword,
    DeactivateAdmin,
    EditAdmin,
    ReinstateAdmin,
    ResetPassword,
    RevokeSessions,
    SuspendAdmin,
)
from rim_ledger.admin.admin_role import SUPERADMIN, AdminRole, EditRole
from rim_ledger.admin.admin_user import (
    AdminApiKeyAdded,
    AdminApiKeyRemoved,
    AdminTwoFactorConfirmed,
    AdminTwoFactorEnrolled,
    AdminUser,
)
from rim_ledger.admin.api_key import ApiKey, ApiKeyCreated, ApiKeyRevoked, ApiKeyUsed
from rim_ledger.admin.api_key_commands import KEYS_MAX, CreateApiKey, RevokeApiKey
from rim_ledger.admin.authentication import enter
from rim_ledger.admin.permissions import permissions
from rim_ledger.admin.security_settings import TwoFactorMethod
from rim_ledger.admin.session import token_hash
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Forbidden, Invalid, Refused, Unauthenticated
from rim_ledger.engine.unit_of_work import UnitOfWork
from tests.admin.staff import Post, Staff, ready
from tests.spec import names

READ, WRITE = ("loans", "read"), ("loans", "write")


def key(token: str = "a key", *rights: tuple[str, str], **more: object) -> CreateApiKey:
    form = {"name": "importer", "permissions": permissions(rights or [READ]), **more}
    return CreateApiKey.model_validate(form).known_by(token)


def made(staff: Staff, by: UUID, *rights: tuple[str, str], **more: object) -> UUID:
    one = staff.environment.new_id()
    staff.ask(by, ApiKey, one, key(f"key {one}", *rights, **more))
    return one


def used(staff: Staff, one: UUID, ip: str | None = None) -> tuple[UnitOfWork, list[Event]]:
    """What a request with the key finds, and what it records."""
    uow = staff.uow()
    uow.stamp = replace(uow.stamp, ip=ip)
    enter(uow, token_hash(f"key {one}"))
    return uow, staff.keep(uow)


def test_a_key_is_known_by_its_hash_and_acts_for_its_owner_within_its_own_rights() -> None:
    staff = Staff()
    one = staff.environment.new_id()
    added, created = staff.ask(staff.root, ApiKey, one, key(f"key {one}"))
    assert added == AdminApiKeyAdded(key_id=one)
    assert isinstance(created, ApiKeyCreated)
    assert (created.owner, created.token) == (staff.root, token_hash(f"key {one}"))
    uow, events = used(staff, one)
    assert names(events) == ["ApiKeyUsed"]
    actor = uow.stamp.actor
    assert (actor.id, actor.name, actor.role, actor.api_key) == (
        staff.root,
        "root",
        "superadmin",
        one,
    )
    assert uow.may(*READ)
    assert not uow.may(*WRITE)


def test_a_key_never_gives_more_than_its_owner_may_do_now() -> None:
    staff = Staff()
    clerk = staff.role("clerk", READ, WRITE, ("api_keys", "write"))
    ada = staff.hire("ada", clerk)
    one = made(staff, ada, READ, WRITE)
    assert used(staff, one)[0].may(*WRITE)
    staff.perform(AdminRole, clerk, EditRole(permissions=permissions([READ])))
    uow, _ = used(staff, one)
    assert (uow.may(*READ), uow.may(*WRITE)) == (True, False)


def test_nobody_gives_a_key_what_they_lack() -> None:
    staff = Staff()
    ada = staff.hire("ada", staff.role("clerk", READ))
    with pytest.raises(Forbidden) as refusal:
        staff.ask(ada, ApiKey, staff.environment.new_id(), key("a key", READ, WRITE))
    assert refusal.value.code == "privilege-escalation"
    assert refusal.value.more == {"lacking": ["loans:write"]}


READ_EVENTS = ("events", "read")


def test_a_key_for_another_admin_acts_for_them_and_reads_what_both_may() -> None:
    staff = Staff()
    halima = staff.hire("halima", staff.role("analyst", READ, READ_EVENTS))
    maker = staff.hire("ada", staff.role("chief", READ, WRITE, READ_EVENTS, ("api_keys", "write")))
    one = made(staff, maker, READ_EVENTS, admin_id=str(halima))
    uow, _ = used(staff, one)
    assert (uow.stamp.actor.id, uow.stamp.actor.api_key) == (halima, one)
    assert uow.rights == {READ_EVENTS}
    staff.perform(AdminRole, staff.known(halima).role_id, EditRole(permissions=permissions([READ])))
    assert used(staff, one)[0].rights == frozenset()
    staff.ask(staff.root, AdminUser, halima, SuspendAdmin(reason="left"))
    with pytest.raises(Unauthenticated):
        used(staff, one)


PERSONS = ("users.pii", "read")


@pytest.mark.parametrize(
    ("given", "code", "more"),
    [
        ([READ, WRITE], "key-reads-only", {"beyond": ["loans:write"]}),
        ([READ, PERSONS], "key-reads-only", {"beyond": ["users.pii:read"]}),
        ([READ, ("config", "read")], "privilege-escalation", {"lacking": ["config:read"]}),
    ],
)
def test_a_key_for_another_admin_does_nothing_in_their_name(
    given: list[tuple[str, str]], code: str, more: dict[str, list[str]]
) -> None:
    staff = Staff()
    halima = staff.hire("halima", staff.role("analyst", READ, WRITE, PERSONS))
    with pytest.raises(Forbidden) as refusal:
        made(staff, staff.root, *given, admin_id=str(halima))
    assert (refusal.value.code, refusal.value.more) == (code, more)


def test_a_key_is_for_an_admin_who_is_there_active_and_no_greater() -> None:
    staff = Staff()
    clerk = staff.hire("ada", staff.role("clerk", READ, ("api_keys", "write")))
    gone = staff.hire("gone", staff.role("other", READ))
    staff.ask(staff.root, AdminUser, gone, SuspendAdmin(reason="left"))
    for whom, code in (
        (gone, "admin-not-active"),
        (staff.root, "privilege-escalation"),
        (staff.environment.new_id(), "unknown-admin"),
    ):
        with pytest.raises(Refused) as refusal:
            made(staff, clerk, READ, admin_id=str(whom))
        assert refusal.value.code == code
    assert used(staff, made(staff, clerk, READ, admin_id=str(clerk)))[0].stamp.admin == clerk


def test_a_key_makes_no_keys() -> None:
    staff = Staff()
    one = made(staff, staff.root, ("api_keys", "write"), READ)
    uow, _ = used(staff, one)
    with pytest.raises(Forbidden) as refusal:
        list(key("another").begin(staff.environment.new_id(), uow))
    assert refusal.value.code == "session-required"


@pytest.mark.parametrize(
    "wish", [EditAdmin(email="other@rim.example"), EditAdmin(phone="08039999999")]
)
def test_a_key_does_not_change_where_codes_are_sent(wish: EditAdmin) -> None:
    staff = Staff()
    one = made(staff, staff.root, ("admins", "write"))
    assert list(wish.decide(staff.known(staff.root), used(staff, one)[0]))
    factor = [AdminTwoFactorEnrolled(method=TwoFactorMethod.EMAIL), AdminTwoFactorConfirmed(step=0)]
    uow = staff.uow()
    uow.append(AdminUser, staff.root, factor)
    staff.keep(uow)
    with pytest.raises(Forbidden) as refusal:
        list(wish.decide(staff.known(staff.root), used(staff, one)[0]))
    assert refusal.value.code == "session-required"


def test_a_key_runs_out() -> None:
    staff = Staff()
    in_a_day = staff.environment.now() + timedelta(days=1)
    one = made(staff, staff.root, expires_at=in_a_day.isoformat())
    used(staff, one)
    staff.environment.pass_days(1)
    with pytest.raises(Unauthenticated):
        used(staff, one)
    with pytest.raises(Invalid) as refusal:
        made(staff, staff.root, expires_at=in_a_day.isoformat())
    assert refusal.value.code == "expires-in-past"


def test_a_key_is_let_in_from_its_own_addresses_only() -> None:
    staff = Staff()
    one = made(staff, staff.root, ip_whitelist=["203.0.113.0/24", "2001:db8::1"])
    for ip in ("203.0.113.9", "2001:db8::1", "::ffff:203.0.113.9"):
        used(staff, one, ip)
    for other in ("203.0.114.1", "2001:db8::2", None):
        with pytest.raises(Forbidden) as refusal:
            used(staff, one, other)
        assert refusal.value.code == "ip-blocked"


def test_its_use_is_noted_once_an_hour() -> None:
    staff = Staff()
    one = made(staff, staff.root)
    assert used(staff, one)[1] == [ApiKeyUsed()]
    staff.environment.pass_days(0.9 / 24)
    assert used(staff, one)[1] == []
    staff.environment.pass_days(0.2 / 24)
    assert used(staff, one)[1] == [ApiKeyUsed()]
    assert staff.uow().read(ApiKey, one).last_used_at == staff.environment.now()


def test_a_revoked_key_is_one_no_more() -> None:
    staff = Staff()
    one = made(staff, staff.root)
    events = staff.ask(staff.root, ApiKey, one, RevokeApiKey())
    assert events == [AdminApiKeyRemoved(key_id=one), ApiKeyRevoked()]
    with pytest.raises(Unauthenticated):
        used(staff, one)
    with pytest.raises(Refused) as refusal:
        staff.ask(staff.root, ApiKey, one, RevokeApiKey())
    assert refusal.value.code == "already-done"
    assert staff.claim(("token", token_hash(f"key {one}"))) is None


def test_nobody_ends_a_key_that_may_do_more_than_they_may() -> None:
    staff = Staff()
    ada = staff.hire("ada", staff.role("clerk", READ))
    theirs, own = made(staff, staff.root, READ, WRITE), made(staff, ada)
    with pytest.raises(Forbidden) as refusal:
        staff.ask(ada, ApiKey, theirs, RevokeApiKey())
    assert refusal.value.code == "privilege-escalation"
    small = made(staff, staff.root, READ)
    with pytest.raises(Forbidden):  # It is the owner who may do more.
        staff.ask(ada, ApiKey, small, RevokeApiKey())
    assert staff.ask(ada, ApiKey, own, RevokeApiKey())


RESET = ready(ResetPassword(password=SecretStr("another slow horse")))


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (SuspendAdmin(reason="lost a laptop"), ["AdminSuspended"]),
        (DeactivateAdmin(), ["AdminDeactivated"]),
        (RevokeSessions(), []),
        (RESET, ["AdminPasswordChanged"]),
        (ResetPassword().promised("a token", Post()), ["AdminPasswordResetBegun"]),
    ],
)
def test_what_shuts_an_admin_out_for_cause_ends_their_keys_for_good(
    command: Command[AdminUser], event: list[str]
) -> None:
    staff = Staff()
    ada = staff.hire("ada", SUPERADMIN)
    keys = [made(staff, ada), made(staff, ada)]
    events = staff.ask(staff.root, AdminUser, ada, command)
    assert names(events) == ["ApiKeyRevoked", "AdminApiKeyRemoved"] * 2 + event
    for back in (ReinstateAdmin(), ActivateAdmin()):
        with contextlib.suppress(Refused):
            staff.perform(AdminUser, ada, back)
    for key in keys:
        with pytest.raises(Unauthenticated):
            used(staff, key)
        assert staff.uow().read(ApiKey, key).revoked_at is not None
    assert not staff.known(ada).api_keys
    assert made(staff, ada)


def test_another_role_leaves_the_keys_within_what_the_owner_may() -> None:
    staff = Staff()
    ada = staff.hire("ada", SUPERADMIN)
    one = made(staff, ada)
    staff.ask(staff.root, AdminUser, ada, AssignRole(role_id=staff.role("clerk", READ)))
    uow, _ = used(staff, one)
    assert uow.rights == {READ}


@pytest.mark.parametrize("kept", [True, False])
def test_a_new_password_of_ones_own_ends_ones_keys_unless_they_are_kept(kept: bool) -> None:
    staff = Staff()
    one = made(staff, staff.root)
    words = {"currentPassword": "an old horse", "newPassword": "another slow horse"}
    form = ChangePassword.model_validate(words | ({"endApiKeys": False} if kept else {}))
    staff.ask(staff.root, AdminUser, staff.root, ready(form))
    assert (staff.uow().read(ApiKey, one).revoked_at is None) == kept
    assert staff.known(staff.root).api_keys == ({one} if kept else set())


def test_an_admin_has_a_bounded_number_of_living_keys() -> None:
    staff = Staff()
    keys = [made(staff, staff.root) for _ in range(KEYS_MAX)]
    with pytest.raises(Refused) as refusal:
        made(staff, staff.root)
    assert refusal.value.code == "too-many-keys"
    staff.ask(staff.root, ApiKey, keys[0], RevokeApiKey())
    assert made(staff, staff.root)


@pytest.mark.parametrize(
    "more",
    [
        {"permissions": []},
        {"permissions": [{"resource": "gold", "actions": ["read"]}]},
        {"ip_whitelist": ["10.0.0.1/8"]},
        {"name": " "},
    ],
)
def test_a_key_needs_a_name_known_rights_and_true_addresses(more: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        key("a key", **more)

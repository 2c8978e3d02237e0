"""A user's standing, contact, score and limit."""

from decimal import Decimal

import pytest

from rim_ledger.engine.command import Command, perform
from rim_ledger.engine.refusals import Refused
from rim_ledger.lending.user import (
    LEGAL,
    AutoLimitDisabled,
    AutoLimitEnabled,
    CreditLimitSet,
    CreditScoreSet,
    User,
    UserContactChanged,
    UserStatus,
)
from rim_ledger.lending.user_commands import (
    ActivateUser,
    ChangeContact,
    DeactivateUser,
    DeleteUser,
    DisableAutoLimit,
    EnableAutoLimit,
    EraseUser,
    RegisterUser,
    ReinstateUser,
    SetCreditLimit,
    SetCreditScore,
    SuspendUser,
)
from tests.spec import Memory, given, names

ADA = RegisterUser(phone="08031234567", email="ada@example.com", name="Ada Obi")
SUSPEND = SuspendUser(reason="two phones reported")
STANDING: dict[str, Command[User]] = {
    "suspend": SUSPEND,
    "reinstate": ReinstateUser(),
    "deactivate": DeactivateUser(),
    "activate": ActivateUser(),
}
HISTORY: dict[str, tuple[Command[User], ...]] = {
    "active": (),
    "inactive": (DeactivateUser(),),
    "suspended": (SUSPEND,),
}
AFTER = {
    "suspend": UserStatus.SUSPENDED,
    "reinstate": UserStatus.ACTIVE,
    "deactivate": UserStatus.INACTIVE,
    "activate": UserStatus.ACTIVE,
}


def test_a_new_user_is_active_at_score_500_and_limit_1000() -> None:
    memory = Memory()
    user = memory.environment.new_id()
    memory.perform(User, user, ADA)
    known = memory.uow().read(User, user)
    assert (known.status, known.credit_score, known.credit_limit) == ("active", 500, Decimal(1000))
    assert known.user_id == "USR-2026-000001"
    assert known.auto_limit_enabled


@pytest.mark.parametrize("command", STANDING)
@pytest.mark.parametrize("status", HISTORY)
def test_the_whole_table_of_transitions(status: str, command: str) -> None:
    story = given(User, ADA, *HISTORY[status]).when(STANDING[command])
    if command in LEGAL[status]:
        events = story.memory.perform(User, story.id, story.command)
        assert len(events) == 1
        assert story.memory.uow().read(User, story.id).status == AFTER[command]
    else:
        refusal = story.refused("invalid-transition")
        assert refusal.more == {
            "current": status,
            "command": command,
            "allowed": sorted(LEGAL[status]),
        }


def test_a_phone_belongs_to_one_user_however_it_is_written() -> None:
    memory = Memory()
    memory.perform(User, memory.environment.new_id(), ADA)
    for phone in ("+234 803 123 4567", "2348031234567", "009234(0)8031234567"):
        twin = RegisterUser(phone=phone, email="other@example.com", name="Other")
        with pytest.raises(Refused) as refusal:
            memory.perform(User, memory.environment.new_id(), twin)
        assert refusal.value.code == "phone-taken"


def test_an_email_belongs_to_one_user_without_regard_to_case() -> None:
    memory = Memory()
    memory.perform(User, memory.environment.new_id(), ADA)
    twin = RegisterUser(phone="08051234567", email="ADA@example.com", name="Other")
    with pytest.raises(Refused) as refusal:
        memory.perform(User, memory.environment.new_id(), twin)
    assert refusal.value.code == "email-taken"


def test_a_phone_that_was_given_up_is_free_again() -> None:
    memory = Memory()
    ada, bola = memory.environment.new_id(), memory.environment.new_id()
    memory.perform(User, ada, ADA)
    memory.perform(User, ada, ChangeContact(phone="08059876543"))
    heir = RegisterUser(phone="08031234567", email="bola@example.com", name="Bola")
    assert names(memory.perform(User, bola, heir)) == ["UserRegistered"]
    with pytest.raises(Refused, match="Another user has this phone"):
        memory.perform(User, ada, ChangeContact(phone="08031234567"))


def test_only_what_changed_is_recorded() -> None:
    given(User, ADA).when(ChangeContact(name="Ada Eze", email="ada@example.com")).then(
        UserContactChanged(name="Ada Eze")
    )
    given(User, ADA).when(ChangeContact(name="Ada Obi")).then()


def test_a_limit_by_hand_switches_the_automatic_one_off() -> None:
    given(User, ADA).when(SetCreditLimit(limit=3000, reason="salary seen")).then(
        CreditLimitSet(limit=Decimal("3000.00"), auto_limit_enabled=False, reason="salary seen")
    )
    given(User, ADA).when(SetCreditLimit(limit=3000, reason="trial", keep_auto=True)).then(
        CreditLimitSet(limit=Decimal("3000.00"), auto_limit_enabled=True, reason="trial")
    )


def test_setting_what_is_already_so_records_nothing() -> None:
    given(User, ADA).when(SetCreditScore(score=500, reason="checked")).then()
    given(User, ADA).when(SetCreditLimit(limit=1000, reason="checked", keep_auto=True)).then()


def test_a_score_by_hand() -> None:
    given(User, ADA).when(SetCreditScore(score=700, reason="bureau")).then(
        CreditScoreSet(score=700, reason="bureau")
    )


def test_the_automatic_limit_is_switched_once() -> None:
    given(User, ADA).when(EnableAutoLimit()).refused("already-done")
    given(User, ADA).when(DisableAutoLimit()).then(AutoLimitDisabled())
    given(User, ADA, DisableAutoLimit()).when(EnableAutoLimit()).then(AutoLimitEnabled())
    given(User, ADA, DisableAutoLimit()).when(DisableAutoLimit()).refused("already-done")


def test_score_and_limit_are_given_at_registration_by_those_who_may_set_them() -> None:
    memory = Memory()
    rich = RegisterUser(
        phone="08031234567", email="ada@example.com", name="Ada Obi", credit_limit=10**6
    )
    uow = memory.uow()
    uow.rights = {("users", "write")}
    with pytest.raises(Refused) as refusal:
        perform(uow, User, memory.environment.new_id(), rich)
    assert refusal.value.code == "forbidden"
    perform(uow, User, memory.environment.new_id(), ADA)


@pytest.mark.parametrize(
    "command",
    [SetCreditLimit(limit=9, reason="me"), SetCreditScore(score=999, reason="me")],
    ids=lambda command: type(command).__name__,
)
def test_nobody_sets_their_own_score_or_limit(command: Command[User]) -> None:
    memory = Memory()
    user = memory.environment.new_id()
    memory.perform(User, user, ADA)
    uow = memory.uow()
    uow.contacts = frozenset({memory.uow().read(User, user).phone_hash})
    with pytest.raises(Refused) as refusal:
        perform(uow, User, user, command)
    assert refusal.value.code == "conflict-of-interest"


def test_a_user_is_gone_who_was_deleted_or_erased() -> None:
    for command in (DeleteUser(), EraseUser()):
        memory = Memory()
        user = memory.environment.new_id()
        memory.perform(User, user, ADA)
        assert not memory.uow().read(User, user).gone
        memory.perform(User, user, command)
        assert memory.uow().read(User, user).gone


def test_a_deleted_user_is_told_so_who_is_deleted_again() -> None:
    memory = Memory()
    user = memory.environment.new_id()
    memory.perform(User, user, ADA)
    memory.perform(User, user, DeleteUser())
    with pytest.raises(Refused) as refusal:
        memory.perform(User, user, DeleteUser())
    assert refusal.value.code == "already-done"

"""Borrowers' sessions: who is let in to what, what ends them, and any story of them."""

from contextlib import suppress
from datetime import datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from rim_ledger.admin.security_settings import DEFAULTS
from rim_ledger.admin.session import SESSION, SESSIONS_MAX, USES_RECORDED, token_hash
from rim_ledger.customers.access import (
    INACTIVE_AFTER,
    OWN,
    CustomerLoggedIn,
    CustomerLoggedOut,
    CustomerSeen,
    may_have_changed_hands,
)
from rim_ledger.engine.aggregate import Actor
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Forbidden, NotFound, Refused, Unauthenticated
from rim_ledger.engine.unit_of_work import Right
from rim_ledger.lending.user import User, UserPhoneVerified, UserStatus
from rim_ledger.lending.user_commands import (
    ActivateUser,
    ChangeContact,
    DeactivateUser,
    DeleteUser,
    EraseUser,
    RegisterUser,
    ReinstateUser,
    SuspendUser,
    VerifyPhone,
)
from rim_ledger.payments.payment_commands import RecordTransaction
from rim_ledger.payments.transaction import PaymentMethod, Transaction, TransactionType
from tests.customers.borrower import ADA, Borrower
from tests.spec import examples, given, names

SUSPEND = SuspendUser(reason="lost the phone")
STANDING = (SUSPEND, ReinstateUser(), DeactivateUser(), ActivateUser())
MINUTE = timedelta(minutes=1)
STAFF: tuple[Right, ...] = (("users.pii", "read"), ("tickets.all", "read"), ("loans", "delete"))


def test_a_session_admits_its_borrower_and_leaves_no_address() -> None:
    memory = Borrower()
    uow = memory.let_in(memory.log_in())
    actor = Actor(type="user", id=memory.ada, name=memory.user.user_id)
    assert (uow.stamp.actor, uow.stamp.customer, uow.stamp.admin) == (actor, memory.ada, None)
    assert (uow.stamp.ip, uow.stamp.user_agent) == (None, None)
    assert all(uow.may(*right) for right in OWN)
    assert not any(uow.may(*right) for right in STAFF)
    assert [type(each.event) for each in memory.log][-1] is CustomerLoggedIn


def test_a_borrower_is_let_in_to_nothing_that_does_not_say_so() -> None:
    memory = Borrower()
    token = memory.log_in()
    with pytest.raises(Forbidden) as refusal:
        memory.let_in(token, own=False)
    assert refusal.value.code == "forbidden"
    memory.staff(SUSPEND)
    with pytest.raises(Unauthenticated):
        memory.let_in(token, own=False)


def test_borrowers_know_of_themselves_alone() -> None:
    memory = Borrower()
    bola = memory.environment.new_id()
    form = RegisterUser(phone="08031234569", email="bola@example.com", name="Bola")
    memory.perform(User, bola, form)
    uow = memory.let_in(memory.log_in())
    assert uow.known(User, memory.ada).id == memory.ada
    for name in (bola, "USR-2026-000002"):
        with pytest.raises(NotFound):
            uow.known(User, name)
    assert memory.uow().known(User, bola).id == bola


def test_use_is_noted_once_in_a_tenth_of_the_time_that_a_session_may_be_left_alone() -> None:
    memory = Borrower()
    token = memory.log_in()
    assert memory.asks(token) == []
    memory.environment.time += DEFAULTS.idle / 10
    idle_at = memory.environment.time + DEFAULTS.idle
    assert memory.asks(token) == [CustomerSeen(session=token_hash(token), idle_at=idle_at)]
    assert memory.asks(token) == []


def test_whoever_logs_out_is_out_and_other_sessions_stay() -> None:
    memory = Borrower()
    one, two = memory.log_in(), memory.log_in()
    assert memory.log_out(one) == [CustomerLoggedOut(session=token_hash(one))]
    assert (memory.is_in(one), memory.is_in(two)) == (False, True)
    assert memory.tokens() == {token_hash(two)}


def test_a_borrower_has_so_many_sessions_and_the_oldest_end() -> None:
    memory = Borrower()
    tokens = [memory.log_in() for _ in range(SESSIONS_MAX + 1)]
    assert [memory.is_in(each) for each in tokens] == [False] + [True] * SESSIONS_MAX
    assert memory.tokens() == memory.sessions()


@pytest.mark.parametrize(
    ("command", "event"),
    [
        (SUSPEND, "UserSuspended"),
        (ChangeContact(phone="08031234568"), "UserContactChanged"),
        (DeleteUser(), "UserDeleted"),
        (EraseUser(), "UserErased"),
    ],
)
def test_what_ends_a_borrowers_sessions_says_so(command: Command[User], event: str) -> None:
    memory = Borrower()
    tokens = [memory.log_in() for _ in range(2)]
    *before, ended, last = names(memory.staff(command))
    assert before == ["NotificationQueued"] * isinstance(command, ChangeContact)
    assert (ended, last) == ("CustomerSessionsEnded", event)
    assert not any(memory.is_in(each) for each in tokens)
    assert memory.tokens() == memory.sessions() == set()


def test_nothing_is_said_of_sessions_that_there_are_not() -> None:
    memory = Borrower()
    assert names(memory.staff(SUSPEND)) == ["UserSuspended"]
    memory.staff(ReinstateUser())
    memory.log_out(memory.log_in())
    assert names(memory.staff(SUSPEND)) == ["UserSuspended"]


def test_staff_verify_the_phone_of_somebody_who_is_there() -> None:
    given(User, ADA).when(VerifyPhone()).then(UserPhoneVerified())
    given(User, ADA, DeleteUser()).when(VerifyPhone()).refused("user-gone")


def test_whoever_was_not_heard_of_for_180_days_is_silent_until_there_is_a_sign() -> None:
    memory = Borrower()

    def silent() -> bool:
        return may_have_changed_hands(memory.user, memory.uow())

    def pay() -> None:
        form = RecordTransaction(
            type=TransactionType.REPAYMENT,
            user_id=memory.ada,
            amount=5,  # type: ignore[arg-type]
            payment_method=PaymentMethod.CASH,
        )
        memory.perform(Transaction, memory.environment.new_id(), form)

    signs = (
        memory.log_in,
        pay,
        lambda: memory.staff(VerifyPhone()),
        lambda: memory.staff(ChangeContact(phone="08031234568")),
    )
    for sign in signs:
        memory.environment.time += INACTIVE_AFTER - MINUTE
        assert not silent()
        memory.environment.time += MINUTE
        assert silent()
        memory.staff(ChangeContact(name=f"Ada {memory.environment.count}"))
        assert silent()
        sign()
        assert not silent()


class Stories(RuleBasedStateMachine):
    """Sessions of one borrower, whom staff suspend, set aside and give other phones."""

    @initialize()
    def begin(self) -> None:
        self.memory = Borrower()
        self.live: dict[str, tuple[datetime, datetime]] = {}
        """When each session began and was last noted to be used, by its token."""
        self.over: set[str] = set()

    @property
    def suspended(self) -> bool:
        return self.memory.user.status is UserStatus.SUSPENDED

    def may(self, token: str) -> bool:
        """Whether a session should admit."""
        if token not in self.live:
            return False
        (began, used), now = self.live[token], self.memory.environment.time
        return now < min(began + SESSION, used + DEFAULTS.idle)

    def end(self, *tokens: str) -> None:
        self.over.update(tokens)
        for each in tokens:
            self.live.pop(each, None)

    @precondition(lambda self: not self.suspended)
    @rule()
    def log_in(self) -> None:
        now = self.memory.environment.time
        self.end(*(each for each in self.live if not self.may(each)))
        self.live[self.memory.log_in()] = (now, now)
        self.end(*[*self.live][:-SESSIONS_MAX])

    @rule(nth=st.integers(0, 3))
    def use(self, nth: int) -> None:
        token = [*self.live, *self.over, "nobody's"][nth % (len(self.live) + len(self.over) + 1)]
        if not self.may(token):
            with pytest.raises(Unauthenticated):
                self.memory.asks(token)
            return
        began, used = self.live[token]
        noted = self.memory.asks(token)
        now = self.memory.environment.time
        assert bool(noted) == (now >= used + DEFAULTS.idle / USES_RECORDED)
        self.live[token] = (began, now if noted else used)

    @precondition(lambda self: any(map(self.may, self.live)))
    @rule()
    def log_out(self) -> None:
        token = next(filter(self.may, self.live))
        self.memory.log_out(token)
        self.end(token)

    @rule(minutes=st.sampled_from([1, 5, 20, 31, 700]))
    def wait(self, minutes: int) -> None:
        self.memory.environment.time += minutes * MINUTE

    @rule(command=st.sampled_from(STANDING))
    def change_standing(self, command: Command[User]) -> None:
        before = self.memory.user.status
        with suppress(Refused):
            self.memory.staff(command)
        if self.suspended and before is not UserStatus.SUSPENDED:
            self.end(*self.live)

    @rule(digit=st.integers(0, 1))
    def change_phone(self, digit: int) -> None:
        if self.memory.staff(ChangeContact(phone=f"0803123456{digit}")):
            self.end(*self.live)

    @invariant()
    def a_session_admits_while_it_should_and_never_again(self) -> None:
        for token in (*self.live, *self.over):
            assert self.memory.is_in(token) == self.may(token)

    @invariant()
    def each_token_leads_to_a_session_and_each_session_has_its_token(self) -> None:
        assert self.memory.tokens() == self.memory.sessions()

    def teardown(self) -> None:
        assert self.memory.replayed() == self.memory.streams


Stories.TestCase.settings = settings(max_examples=examples(40), stateful_step_count=30)
TestStories = Stories.TestCase

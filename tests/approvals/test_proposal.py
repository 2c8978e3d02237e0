"""Proposals: another admin decides, on what was proposed, as it is now, and at most once."""

from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest

from rim_ledger.admin.admin_commands import AssignRole, EditAdmin, SuspendAdmin
from rim_ledger.admin.admin_role import SUPERADMIN, AdminRole, EditRole
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.permissions import permissions
from rim_ledger.approvals.proposal import (
    Proposal,
    ProposalApproved,
    ProposalExpired,
    ProposalFailed,
    ProposalRejected,
    ProposalStatus,
    ProposalWithdrawn,
)
from rim_ledger.approvals.proposal_commands import SECRETS, check_proposal, erase_ended
from rim_ledger.engine.aggregate import Actor
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import ApproveLoan, RequestLoan
from rim_ledger.lending.user import CreditLimitSet, User
from rim_ledger.lending.user_commands import EraseUser, RegisterUser, SetCreditLimit, SuspendUser
from rim_ledger.values import Network
from tests.admin.staff import hashed
from tests.approvals.office import ADA, RAISE, Office, refusal_of
from tests.spec import names

SEPARATION = "separation-of-duties"


@pytest.fixture
def office() -> Office:
    return Office()


def test_a_proposal_does_nothing_until_another_admin_approves_it(office: Office) -> None:
    proposal = office.proposed(office.root)
    limit = office.uow().read(User, office.ada).credit_limit
    assert limit < 50_000
    events = office.approve(office.bisi, proposal)
    assert names(events) == ["CreditLimitSet", "ProposalApproved"]
    assert office.uow().read(User, office.ada).credit_limit == 50_000
    assert office.known_proposal(proposal).status is ProposalStatus.APPROVED
    assert office.known_proposal(proposal).decided_by == office.bisi


def test_the_maker_is_the_actor_and_the_checker_stands_beside(office: Office) -> None:
    proposal = office.proposed(office.root)
    office.approve(office.bisi, proposal)
    done, approved = office.log[-2:]
    assert isinstance(done.event, CreditLimitSet)
    assert (done.stamp.actor.id, done.stamp.actor.name) == (office.root, "root")
    assert done.stamp.approved_by
    assert (done.stamp.approved_by.id, done.stamp.approved_by.name) == (office.bisi, "bisi")
    assert done.stamp.causation == office.log[-3].id, "the proposal is what it follows from"
    assert approved.event == ProposalApproved()
    assert (approved.stamp.actor.id, approved.stamp.approved_by) == (office.bisi, None)


def ends() -> dict[str, Callable[[Office, UUID], Any]]:
    return {
        "approved": lambda office, proposal: office.approve(office.bisi, proposal),
        "rejected": lambda office, proposal: office.reject(office.bisi, proposal),
        "withdrawn": lambda office, proposal: office.withdraw(office.root, proposal),
        "expired": expire,
        "failed": fail,
    }


def expire(office: Office, proposal: UUID) -> None:
    office.pass_time(days=3)
    uow = office.uow()
    check_proposal(proposal)(uow)
    assert office.keep(uow) == [ProposalExpired()]


def fail(office: Office, proposal: UUID) -> None:
    office.perform(AdminUser, office.root, SuspendAdmin(reason="gone"), Actor(type="system"))
    assert isinstance(office.approve(office.bisi, proposal)[-1], ProposalFailed)


@pytest.mark.parametrize("end", ends())
@pytest.mark.parametrize("then", ["approve", "reject", "withdraw"])
def test_a_proposal_ends_once(office: Office, end: str, then: str) -> None:
    proposal = office.proposed(office.root)
    ends()[end](office, proposal)
    assert office.known_proposal(proposal).status == end
    by = office.root if then == "withdraw" else office.chidi
    with office.nothing_written():
        refusal = refusal_of(lambda: getattr(office, then)(by, proposal))
    assert refusal.code == "invalid-transition"
    assert (refusal.more["current"], refusal.more["allowed"]) == (end, [])


@pytest.mark.parametrize("end", ends())
def test_secrets_wait_with_a_proposal_and_go_when_it_ends(office: Office, end: str) -> None:
    proposal = office.proposed(office.root, secrets=["apiKey"])
    assert office.uow().unsealed(proposal, SECRETS) == '{"apiKey":"a secret"}'
    assert "a secret" not in repr(office.log)
    assert ("proposal", proposal) in office.reminders
    ends()[end](office, proposal)
    assert office.kept_secrets[proposal, SECRETS] == ""
    assert office.reminders["proposal", proposal] is None


@pytest.mark.parametrize("end", ends())
def test_words_of_a_new_person_go_with_the_proposals_own_key(office: Office, end: str) -> None:
    bola = RegisterUser(phone="08031234568", email="b@example.com", name="Bola")
    proposal = office.proposed(
        office.root,
        bola,
        target=office.environment.new_id(),
        permission="users:write",
        words={"name": "Bola"},
    )
    sealed = office.known_proposal(proposal).words
    assert office.uow().reveal(proposal, sealed) == {"name": "Bola"}
    ends()[end](office, proposal)
    known = office.known_proposal(proposal)
    assert (known.words, known.key_destroyed) == ({}, True)
    assert office.keys[proposal] is None


def test_words_about_a_known_person_are_sealed_under_their_key(office: Office) -> None:
    words = {"reason": "She pays in time."}
    proposal = office.proposed(office.root, words=words, about=office.ada)
    assert office.uow().reveal(office.ada, office.known_proposal(proposal).words) == words
    assert office.reject(office.bisi, proposal) == [ProposalRejected(reason="Too much for her.")]
    office.perform(User, office.ada, EraseUser())
    known = office.known_proposal(proposal)
    assert office.uow().reveal(office.ada, known.words) == {"reason": None}
    assert office.uow().reveal(office.ada, known.reason) is None


def test_what_is_about_an_erased_person_can_still_be_rejected(office: Office) -> None:
    proposal = office.proposed(office.root, words={"reason": "x"}, about=office.ada)
    office.perform(User, office.ada, EraseUser())
    assert office.reject(office.bisi, proposal) == [ProposalRejected()]


def test_a_reason_about_no_person_is_kept_in_the_clear(office: Office) -> None:
    proposal = office.proposed(office.root)
    assert office.reject(office.bisi, proposal) == [ProposalRejected(note="Too much for her.")]
    assert office.known_proposal(proposal).reason == "Too much for her."


def test_the_maker_alone_withdraws(office: Office) -> None:
    proposal = office.proposed(office.root)
    refusal = refusal_of(lambda: office.withdraw(office.bisi, proposal))
    assert refusal.code == "not-the-maker"
    assert office.withdraw(office.root, proposal) == [ProposalWithdrawn()]


@pytest.mark.parametrize("decide", ["approve", "reject"])
class TestWhoDecides:
    def code(self, office: Office, decide: str, by: UUID, proposal: UUID) -> str:
        with office.nothing_written():
            return refusal_of(lambda: getattr(office, decide)(by, proposal)).code

    def test_not_the_maker(self, office: Office, decide: str) -> None:
        proposal = office.proposed(office.root)
        assert self.code(office, decide, office.root, proposal) == SEPARATION

    @pytest.mark.parametrize(
        "shared", [{"email": "first@rim.example"}, {"phone": "08039999999"}], ids=["email", "phone"]
    )
    def test_not_another_account_of_the_maker(
        self, office: Office, decide: str, shared: dict[str, str]
    ) -> None:
        maker = office.hire("first", SUPERADMIN, email="first@rim.example", phone="08039999999")
        change = EditAdmin(email="other@rim.example")
        office.perform(AdminUser, maker, change, Actor(type="system"))
        twin = office.hire("twin", SUPERADMIN, **shared)
        office.pass_time(days=1)
        proposal = office.proposed(maker)
        assert self.code(office, decide, twin, proposal) == SEPARATION

    def test_not_without_the_commands_own_permission(self, office: Office, decide: str) -> None:
        role = office.role("checker", ("proposals", "write"))
        clerk = office.hire("clerk", role)
        office.pass_time(days=1)
        proposal = office.proposed(office.root)
        assert self.code(office, decide, clerk, proposal) == "forbidden"

    def test_not_with_an_account_that_was_made_since(self, office: Office, decide: str) -> None:
        proposal = office.proposed(office.root)
        office.pass_time(days=1)
        office.stamp = None
        late = office.environment.new_id()
        office.ask(office.root, AdminUser, late, hashed("late"))
        assert self.code(office, decide, late, proposal) == SEPARATION

    def test_not_with_a_role_that_was_given_since(self, office: Office, decide: str) -> None:
        clerk = office.hire("clerk", office.role("clerk", ("loans", "read")))
        proposal = office.proposed(office.root)
        office.pass_time(days=1)
        office.ask(office.root, AdminUser, clerk, AssignRole(role_id=SUPERADMIN))
        assert self.code(office, decide, clerk, proposal) == SEPARATION

    def test_not_with_a_role_that_was_changed_since(self, office: Office, decide: str) -> None:
        role = office.role("clerk", ("loans", "read"))
        clerk = office.hire("clerk", role)
        proposal = office.proposed(office.root)
        office.pass_time(days=1)
        given = permissions([("users.credit", "write"), ("proposals", "write")])
        office.ask(office.root, AdminRole, role, EditRole(permissions=given))
        assert self.code(office, decide, clerk, proposal) == SEPARATION

    def test_not_with_a_right_that_was_taken_since(self, office: Office, decide: str) -> None:
        proposal = office.proposed(office.root)
        office.perform(
            AdminUser,
            office.chidi,
            AssignRole(role_id=office.role("clerk", ("loans", "read"))),
            Actor(type="system"),
        )
        assert self.code(office, decide, office.chidi, proposal) == "forbidden"

    def test_not_after_it_expired(self, office: Office, decide: str) -> None:
        proposal = office.proposed(office.root)
        office.pass_time(days=3)
        assert self.code(office, decide, office.bisi, proposal) == "proposal-expired"


def test_a_proposal_waits_until_its_time_is_over(office: Office) -> None:
    proposal = office.proposed(office.root)
    expires_at = office.known_proposal(proposal).expires_at
    assert (expires_at - office.environment.now()).total_seconds() == 72 * 3600
    office.pass_time(days=2.9)
    uow = office.uow()
    check_proposal(proposal)(uow)
    assert office.keep(uow) == []
    assert office.reminders["proposal", proposal] == expires_at
    office.approve(office.bisi, proposal)
    uow = office.uow()
    check_proposal(proposal)(uow)
    assert office.keep(uow) == []


def test_what_has_changed_since_is_said_and_may_be_approved_as_it_is_now(office: Office) -> None:
    proposal = office.proposed(office.root)
    version = office.streams[office.ada].version
    office.perform(User, office.ada, SetCreditLimit(limit=20, reason="first this"))
    with office.nothing_written():
        refusal = refusal_of(lambda: office.approve(office.bisi, proposal))
    assert refusal.code == "stale-proposal"
    (changed,) = refusal.more["changed"]
    assert (changed["entity"], changed["id"]) == ("User", office.ada)
    assert changed["version"] == {"old": version, "new": version + 1}
    assert changed["fields"]["creditLimit"] == {"old": 1000.0, "new": 20.0}
    (effect,) = refusal.more["effects"]
    assert effect["fields"]["creditLimit"] == {"old": 20.0, "new": 50_000.0}
    wrong = [{"id": office.ada, "version": version}]
    again = refusal_of(lambda: office.approve(office.bisi, proposal, versions=wrong))
    assert again.code == "stale-proposal"
    seen = [{"id": office.ada, "version": version + 1}]
    assert names(office.approve(office.bisi, proposal, versions=seen))[-1] == "ProposalApproved"


def test_what_a_rule_forbids_now_fails_and_says_why(office: Office) -> None:
    proposal = office.proposed(office.root, SuspendUser(reason="a fraud"), permission="users:write")
    office.perform(User, office.ada, SuspendUser(reason="first this"))
    moved = refusal_of(lambda: office.approve(office.bisi, proposal))
    assert (moved.code, moved.more["refusal"]) == ("stale-proposal", "invalid-transition")
    seen = [{"id": office.ada, "version": office.streams[office.ada].version}]
    (failed,) = office.approve(office.bisi, proposal, versions=seen)
    assert isinstance(failed, ProposalFailed)
    assert failed.code == "invalid-transition"
    assert office.known_proposal(proposal).failure_code == "invalid-transition"


def test_a_maker_who_may_not_do_it_any_more_has_it_fail(office: Office) -> None:
    proposal = office.proposed(office.root)
    clerk = office.role("clerk", ("users", "write"))
    office.perform(AdminUser, office.root, AssignRole(role_id=clerk), Actor(type="system"))
    (failed,) = office.approve(office.bisi, proposal)
    assert isinstance(failed, ProposalFailed)
    assert failed.code == "forbidden"


def test_both_meet_the_separations_of_duty(office: Office) -> None:
    borrower = office.environment.new_id()
    own = {"phone": "08031234560", "email": "bisi@rim.example", "name": "Bisi"}
    office.perform(User, borrower, RegisterUser(**own))
    raise_own = partial(office.proposed, command=RAISE, target=borrower)
    refusal = refusal_of(lambda: raise_own(office.bisi))
    assert refusal.code == "conflict-of-interest"
    proposal = raise_own(office.root)
    refusal = refusal_of(lambda: office.approve(office.bisi, proposal))
    assert refusal.code == "conflict-of-interest"
    assert office.known_proposal(proposal).status is ProposalStatus.PENDING
    office.approve(office.chidi, proposal)


def test_who_requested_a_loan_does_not_check_its_approval(office: Office) -> None:
    loan = office.environment.new_id()
    wish = RequestLoan(user_id=office.ada, amount=100, network=Network.MTN)
    office.ask(office.bisi, Loan, loan, wish)  # type: ignore[arg-type]
    proposal = office.proposed(
        office.root, ApproveLoan(), Loan, loan, permission="loans.approval:write"
    )
    refusal = refusal_of(lambda: office.approve(office.bisi, proposal))
    assert refusal.code == "self-approval"
    assert names(office.approve(office.chidi, proposal))[0] == "LoanApproved"


def test_the_key_of_an_ended_proposal_is_destroyed_again(office: Office) -> None:
    """As after an older backup was restored, with the erasure register beside it."""
    bola = RegisterUser(phone="08031234568", email="b@example.com", name="Bola")
    ended, pending = (
        office.proposed(
            office.root,
            bola,
            target=office.environment.new_id(),
            permission="users:write",
            words={"name": "Bola"},
        )
        for _ in range(2)
    )
    key = office.keys[ended]
    office.withdraw(office.root, ended)
    office.keys[ended] = key
    for proposal in (ended, pending):
        uow = office.uow()
        erase_ended(proposal)(uow)
        office.keep(uow)
    assert office.keys[ended] is None
    assert office.keys[pending] is not None


def test_no_borrower_knows_of_proposals(office: Office) -> None:
    proposal = office.proposed(office.root, about=office.ada, words={"reason": "x"})
    uow = office.uow(Actor(type="user", id=office.ada))
    assert not uow.read(Proposal, proposal).known_to(uow)
    assert ADA.name == "Ada"

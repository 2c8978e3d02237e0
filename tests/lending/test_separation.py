"""Separation of duties: who made a borrower what they are does not lend to them."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from msgspec.structs import replace

from rim_ledger.admin.admin_commands import EditAdmin
from rim_ledger.admin.admin_role import SUPERADMIN
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.delivery.port import Verdict
from rim_ledger.engine.aggregate import Aggregate, Event
from rim_ledger.engine.command import Command, Creation, perform
from rim_ledger.lending.disbursement import DisburseLoan
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.loan_requests import ApproveLoan, RequestLoan, RevokeApproval
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import (
    ChangeContact,
    RegisterUser,
    SetCreditLimit,
    SetCreditScore,
    SuspendUser,
    VerifyPhone,
)
from rim_ledger.notifications.notification import NotificationHistory
from rim_ledger.system.config import ResetConfig, SetConfig, SystemConfig, config_id
from rim_ledger.values import Network
from tests.admin.staff import Staff
from tests.lending.desk import Desk, refused
from tests.spec import names

CHANGES: dict[str, Command[User]] = {
    "name": ChangeContact(name="Ada Obi"),
    "phone": ChangeContact(phone="08035550009"),
    "e-mail": ChangeContact(email="obi@example.com"),
    "limit": SetCreditLimit(limit=2000, reason="a good year"),  # type: ignore[arg-type]
    "score": SetCreditScore(score=700, reason="a good year"),
}
OTHERS: dict[str, Command[User]] = {
    "nothing": ChangeContact(phone="08031234567", name="Ada"),
    "the same limit": SetCreditLimit(limit=1000, reason="as before", keep_auto=True),  # type: ignore[arg-type]
    "verified": VerifyPhone(),
}


class Office(Staff, Desk):
    """A lending desk with a staff of its own. Ada was registered by the system."""

    def __init__(self) -> None:
        super().__init__()
        self.configure("maxOpenLoans", value=100)
        self.ben = self.hire("ben", SUPERADMIN, phone="08039990001")
        self.chi = self.hire("chi", SUPERADMIN, phone="08039990002")

    def does(
        self, by: UUID, kind: type[Aggregate], id: UUID, command: Command[Any] | Creation[Any]
    ) -> list[Event]:
        return self.ask(by, kind, id, command)  # type: ignore[arg-type]

    def stamped(
        self, by: UUID, id: UUID, command: Command[Any] | Creation[Any], at: datetime
    ) -> None:
        """Perform a command about a user or a loan as of another time."""
        uow = self.book_of(by)
        uow.stamp = replace(uow.stamp, at=at)
        perform(uow, User if id == self.ada else Loan, id, command)
        self.keep(uow)

    def days(self, value: Any) -> None:
        """Set how long people are kept apart."""
        self.run(SetConfig(category="security", key="separationDays", value=value).work)

    def ask_telco(self, loan: UUID) -> str:
        self.perform(Loan, loan, DisburseLoan())
        reference = self.loan(loan).reference
        assert reference
        return reference

    def pending(self, user: UUID | None = None, amount: float = 10, **more: Any) -> UUID:
        """A loan that root asked for."""
        loan = self.environment.new_id()
        who = user or self.ada
        wish = RequestLoan(user_id=who, amount=amount, network=Network.MTN, **more)  # type: ignore[arg-type]
        self.does(self.root, Loan, loan, wish)
        return loan

    def accepted(self, user: UUID | None = None, amount: float = 10) -> UUID:
        """A loan that was approved, by nobody's hand."""
        loan = self.pending(user, amount)
        self.perform(Loan, loan, ApproveLoan())
        return loan

    def may_lend(self, by: UUID, user: UUID | None = None) -> bool:
        """Whether an admin may approve and disburse for a user: one answer for both."""
        return not self.answers(by, user)

    def answers(self, by: UUID, user: UUID | None = None) -> str:
        """What an admin is refused approving and disbursing with; nothing when neither is."""
        told = set()
        for loan, command in (
            (self.pending(user), ApproveLoan()),
            (self.accepted(user), DisburseLoan()),
        ):
            uow = self.book_of(by)
            try:
                perform(uow, Loan, loan, command)
            except Exception as refusal:
                told.add(getattr(refusal, "code", repr(refusal)))
            else:
                told.add("")
        (answer,) = told
        return answer


def test_who_registered_a_borrower_does_not_lend_to_them_and_others_do() -> None:
    office = Office()
    bola = office.environment.new_id()
    wish = RegisterUser(phone="08035550001", email="bola@example.com", name="Bola")
    office.does(office.ben, User, bola, wish)
    assert office.answers(office.ben, bola) == "separation-of-duties"
    assert office.may_lend(office.chi, bola)
    assert office.may_lend(office.ben)
    office.environment.pass_days(30 - 1 / 86400)
    assert not office.may_lend(office.ben, bola)
    office.environment.pass_days(1 / 86400)
    assert office.may_lend(office.ben, bola)


@pytest.mark.parametrize("change", CHANGES)
def test_who_changed_a_borrower_lately_does_not_lend_to_them(change: str) -> None:
    office = Office()
    office.does(office.ben, User, office.ada, CHANGES[change])
    assert not office.may_lend(office.ben)
    assert office.may_lend(office.chi)
    assert office.replayed()[office.ada].aggregate == office.user


def test_who_imported_loans_that_the_policy_scores_does_not_lend_to_them() -> None:
    office = Office()
    wish = RequestLoan(user_id=office.ada, amount=10, network=Network.MTN)  # type: ignore[arg-type]
    lately = office.environment.now() - timedelta(days=6)
    office.stamped(office.ben, office.environment.new_id(), wish, at=lately)
    assert office.may_lend(office.ben)
    long_ago = office.environment.now() - timedelta(days=60)
    office.stamped(office.ben, office.environment.new_id(), wish, at=long_ago)
    assert not office.may_lend(office.ben)
    assert office.may_lend(office.chi)
    assert office.replayed()[office.ada].aggregate == office.user


@pytest.mark.parametrize("change", OTHERS)
def test_what_changes_nothing_of_that_separates_nobody(change: str) -> None:
    office = Office()
    office.does(office.ben, User, office.ada, OTHERS[change])
    assert office.may_lend(office.ben)


def test_it_counts_when_it_was_recorded_whatever_time_is_claimed() -> None:
    office = Office()
    long_ago = office.environment.now() - timedelta(days=60)
    office.stamped(office.ben, office.ada, SetCreditScore(score=700, reason="late"), at=long_ago)
    assert office.user.made_by == {office.ben: office.environment.now()}
    assert not office.may_lend(office.ben)


def test_two_accounts_that_share_a_phone_or_did_so_once_are_one_person() -> None:
    office = Office()
    twin = office.hire("twin", SUPERADMIN, phone="08039990001")
    office.does(office.ben, User, office.ada, CHANGES["limit"])
    assert not office.may_lend(twin)
    for account in (twin, office.ben):
        phone = f"0803888000{int(account == twin)}"
        office.does(account, AdminUser, account, EditAdmin(phone=phone))
    assert not office.may_lend(twin)
    assert office.may_lend(office.chi)
    assert office.replayed()[twin].aggregate == office.known(twin)


def test_nobody_approves_by_another_account_what_they_asked_for() -> None:
    office = Office()
    twin = office.hire("twin", SUPERADMIN, phone="08037770001")
    office.does(office.root, AdminUser, office.root, EditAdmin(phone="08037770001"))
    loan = office.pending()
    assert refused(lambda: office.does(twin, Loan, loan, ApproveLoan())) == "self-approval"


def test_the_policy_and_the_clock_lend_on() -> None:
    office = Office()
    office.configure("autoApprove", value=True)
    office.does(office.ben, User, office.ada, CHANGES["score"])
    loan = office.environment.new_id()
    wish = RequestLoan(user_id=office.ada, amount=10, network=Network.MTN)  # type: ignore[arg-type]
    office.does(office.ben, Loan, loan, wish)
    assert office.loan(loan).auto_approved
    office.perform(Loan, loan, DisburseLoan())
    assert office.loan(loan).in_flight


def test_imported_history_is_exempt_and_alerts_every_superadmin() -> None:
    office = Office()
    office.does(office.ben, User, office.ada, CHANGES["limit"])
    long_ago = office.environment.now() - timedelta(days=60)
    loan = office.environment.new_id()
    wish = RequestLoan(user_id=office.ada, amount=10, network=Network.MTN)  # type: ignore[arg-type]
    office.stamped(office.chi, loan, wish, at=long_ago)
    for command in (ApproveLoan(), DisburseLoan()):
        office.stamped(office.ben, loan, command, at=long_ago)
    assert office.loan(loan).status == "disbursed"
    hour = f"{office.environment.now():%Y-%m-%dT%H}:00 UTC"
    words = f"chi imports loans of the past, which are lent without airtime (since {hour})."
    for admin in (office.root, office.ben, office.chi):
        assert office.alerts(admin).count(words) == 1


def test_each_admin_who_imports_in_an_hour_is_told_of_once() -> None:
    office = Office()
    long_ago = office.environment.now() - timedelta(days=60)
    for admin in (office.ben, office.ben, office.chi):
        wish = RequestLoan(user_id=office.ada, amount=10, network=Network.MTN)  # type: ignore[arg-type]
        office.stamped(admin, office.environment.new_id(), wish, at=long_ago)
    told = [each for each in office.alerts(office.root) if "imports loans of the past" in each]
    assert sorted(each.partition(" ")[0] for each in told) == ["ben", "chi"]


@pytest.mark.parametrize("how", ["set", "reset"])
def test_fewer_days_hold_once_the_former_ones_have_passed(how: str) -> None:
    office = Office()
    office.days(60)
    office.does(office.ben, User, office.ada, CHANGES["limit"])
    office.environment.pass_days(1)
    if how == "set":
        office.days(1)
    else:
        office.perform(SystemConfig, config_id("security", "separationDays"), ResetConfig())
    office.environment.pass_days(58.9)
    assert not office.may_lend(office.ben)
    office.does(office.chi, User, office.ada, CHANGES["score"])
    office.environment.pass_days(1)
    assert not office.may_lend(office.chi)  # The 60 days hold until they have passed themselves.
    office.environment.pass_days(0.2)
    assert office.may_lend(office.chi) == (how == "set")
    office.environment.pass_days(29)
    assert office.may_lend(office.chi)


def test_more_days_hold_at_once_and_a_first_setting_follows_the_default() -> None:
    office = Office()
    office.does(office.ben, User, office.ada, CHANGES["limit"])
    office.days(1)
    office.environment.pass_days(29)
    assert not office.may_lend(office.ben)
    office.environment.pass_days(1)
    assert office.may_lend(office.ben)
    office.days(365)
    assert not office.may_lend(office.ben)
    for wrong in (0, 366, 1.5, "30"):
        with pytest.raises(Exception, match="value"):
            office.days(wrong)


def test_the_contact_is_frozen_from_approval_to_delivery() -> None:
    office = Office()
    loan = office.pending()
    move = [ChangeContact(phone=f"0803555010{n}") for n in range(4)]
    office.does(office.ben, User, office.ada, move[0])
    office.perform(Loan, loan, ApproveLoan())
    for change in ("name", "phone", "e-mail"):
        told = refused(lambda each=change: office.does(office.ben, User, office.ada, CHANGES[each]))
        assert told == "contact-frozen"
    office.does(office.ben, User, office.ada, move[0])
    office.does(office.ben, User, office.ada, CHANGES["limit"])
    reference = office.ask_telco(loan)
    assert refused(lambda: office.does(office.ben, User, office.ada, move[1])) == "contact-frozen"
    office.reply(loan, reference, Verdict.FAILED)
    assert refused(lambda: office.does(office.ben, User, office.ada, move[1])) == "contact-frozen"
    office.reply(loan, office.ask_telco(loan), Verdict.DELIVERED)
    office.does(office.ben, User, office.ada, move[1])
    other = office.accepted()
    assert refused(lambda: office.does(office.ben, User, office.ada, move[2])) == "contact-frozen"
    office.perform(Loan, other, RevokeApproval(reason="another phone"))
    office.does(office.ben, User, office.ada, move[2])


def test_the_former_phone_is_told_of_a_change_and_of_no_other() -> None:
    office = Office()
    for command, told in (
        (CHANGES["phone"], ["+2348031234567"]),
        (CHANGES["e-mail"], ["+2348035550009"]),
        (CHANGES["name"], []),
        (CHANGES["phone"], []),
        (SuspendUser(reason="lost"), []),
        (ChangeContact(phone="08031234567", email="ada@example.com"), ["+2348035550009"]),
    ):
        before = set(office.streams)
        office.does(office.ben, User, office.ada, command)
        news = [office.streams[each].aggregate for each in set(office.streams) - before]
        uow = office.uow()
        assert [uow.reveal(office.ada, each.to) for each in news] == told  # type: ignore[union-attr]
        assert all(isinstance(each, NotificationHistory) for each in news)


@pytest.mark.parametrize(("cap", "may"), [(None, True), (10, True), ("9.99", False), (0, False)])
def test_a_role_lends_up_to_its_largest_amount(cap: Any, may: bool) -> None:
    office = Office()
    most = None if cap is None else Decimal(cap)
    rights = [("loans.approval", "write"), ("loans.disbursement", "write")]
    clerk = office.hire("clerk", office.role("clerk", *rights, max_amount=most and float(most)))
    assert office.answers(clerk) == ("" if may else "above-role-limit")


def test_a_role_gives_limits_up_to_its_largest_one() -> None:
    office = Office()
    role = office.role("clerk", ("users", "write"), ("users.credit", "write"), max_limit=1500)
    clerk = office.hire("clerk", role)

    def register(**more: Any) -> list[str]:
        wish = RegisterUser(phone="08035550001", email="bola@example.com", name="Bola", **more)
        return names(office.does(clerk, User, office.environment.new_id(), wish))

    def limit(naira: float) -> list[str]:
        wish = SetCreditLimit(limit=naira, reason="so")  # type: ignore[arg-type]
        return names(office.does(clerk, User, office.ada, wish))

    assert refused(lambda: limit(1500.01)) == "above-role-limit"
    assert refused(lambda: register(credit_limit=1500.01)) == "above-role-limit"
    assert refused(lambda: register(credit_score=900)) == "above-role-limit"
    assert limit(1500) == ["CreditLimitSet"]
    assert register(credit_limit=1500) == ["UserRegistered"]

"""Business time: whatever was recorded in whatever order, by a time counts what had happened."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, get_args
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from msgspec.structs import replace

from projections.follow.fold import Entry, StreamFold, Trace
from projections.journal import JournalLine
from rim_ledger.business_time import FOLLOWING
from rim_ledger.catalogue import ENTITIES, ENTITY_OF, EVENTS
from rim_ledger.delivery.port import Verdict
from rim_ledger.engine.aggregate import SYSTEM, Aggregate, Stamp
from rim_ledger.engine.codec import Codec, Recorded
from rim_ledger.engine.store import Line
from rim_ledger.lending.loan import Loan
from rim_ledger.lending.user import User
from rim_ledger.payments.transaction import Transaction
from tests.payments.test_payment import Payments
from tests.spec import examples

CODEC = Codec(EVENTS)
PAST = datetime(1999, 1, 1, tzinfo=UTC)
FUTURE = datetime(2199, 1, 1, tzinfo=UTC)


def lines(log: Iterable[Recorded]) -> list[Line]:
    """A log as it is stored."""
    found = []
    for position, each in enumerate(log, 1):
        stored = CODEC.to_stored_event(each)
        version, name, body = stored.originator_version, stored.topic, stored.state
        found.append(Line(position, each.originator_id, version, name, body, each.stamp.at))
    return found


class Then:
    """Every stream as it was by a business time, and the balances of the accounts (debit above
    zero), as a replay comes to them."""

    def __init__(self, log: Iterable[Line], by: datetime | None) -> None:
        courses = defaultdict[UUID, StreamFold](StreamFold)
        self.traces = list[Trace]()
        self.times = set[datetime]()
        for line in log:
            before = courses[line.stream]
            after = courses[line.stream] = before.after(line, by)
            self.traces += after.left_after(before, line)
            assert after.recorded
            self.times.add(after.recorded.times.at)
        found = ((id_, entry) for id_, each in courses.items() for entry in each.results)
        self.entries: dict[UUID, Entry] = dict(found)

    def balances(self, by: datetime | None = None) -> dict[str, Decimal]:
        sums = defaultdict[str, Decimal](Decimal)
        for each in self.traces:
            if isinstance(each, JournalLine) and (by is None or each.effective_at <= by):
                sums[each.account] += each.debit - each.credit
        return {account: total for account, total in sums.items() if total}

    def each(self, kind: type[Any]) -> list[Any]:
        found = (entry.aggregate for entry in self.entries.values())
        return [each for each in found if isinstance(each, kind)]


def _older(recorded: Recorded) -> Recorded:
    """An event as it was written before it said when it happened."""
    event, plain = recorded.event, {"paid_at": None, "effective_at": None, "completed": ()}
    left_out = {name: plain[name] for name in plain.keys() & set(event.__struct_fields__)}
    return replace(recorded, event=replace(event, **left_out))


OWN: Final = {
    User: "UserRegistered UserContactChanged UserPhoneVerified CreditLimitSet CreditScoreSet"
    " AutoLimitEnabled AutoLimitDisabled UserSuspended UserReinstated UserDeactivated"
    " UserActivated CreditRefunded UserOptedOut UserOptedIn UserDeleted UserErased",
    Loan: "DueNoticeSent"
    " LoanRequested LoanApproved LoanRejected LoanApprovalRevoked LoanMetadataSet"
    " LoanDisbursementRequested LoanDisbursementUnknown LoanDisbursementSettled"
    " LoanDisbursementAnswered LoanDisbursementFailed LoanDisbursed LoanDisbursementDisputed"
    " LoanDisputeResolved LoanDefaulted LoanFeeCharged LoanChargesWaived"
    " LoanWrittenOff LoanWriteOffUndone LoanRescheduled",
    Transaction: "TransactionRecorded TransactionFailed TransactionNoted TransactionQuarantined"
    " TransactionRefunded TransactionReconciled",
}
"""The events that happened when their stamp says so, of what follows one from another."""


@pytest.mark.parametrize("entity", OWN)
def test_every_event_about_money_says_when_it_happened(entity: type[Aggregate]) -> None:
    following = {each.__name__ for each in FOLLOWING if ENTITY_OF[each] is entity}
    events = {each.__name__ for each in get_args(ENTITIES[entity])}
    assert events - following == set(OWN[entity].split()), "at its stamp's time, or FOLLOWING?"


def test_no_event_of_another_entity_follows() -> None:
    assert {ENTITY_OF[each] for each in FOLLOWING} == set(OWN)


class Backdated(Payments):
    """The same loans and payments, said to have happened at some time in the past."""

    @initialize()
    def open(self) -> None:
        super().open()
        self.desk.environment.pass_days(50)

    @rule(days=st.integers(0, 60))
    def speak_of(self, days: int) -> None:
        at = self.desk.environment.time - timedelta(days=days)
        self.desk.stamp = Stamp(at=at, actor=SYSTEM) if days else None

    @rule(amount=st.sampled_from([50, 100, 200]), days=st.sampled_from([1, 3, 30]))
    def lend(self, amount: int, days: int) -> None:
        super().lend(Decimal(amount), Decimal(15), days, Verdict.DELIVERED)

    @rule(amount=st.sampled_from([20, 60, 115, 173, 300]))
    def promise(self, amount: int) -> None:
        super().promise(Decimal(amount))

    @rule(amount=st.sampled_from([20, 60, 115]), named=st.integers(0, 2))
    def pay(self, amount: int, named: int) -> None:
        super().pay(Decimal(amount), named)

    def teardown(self) -> None:
        self.by_the_latest_time_everything_counts()
        self.at_every_time_the_figures_agree()
        self.older_events_are_folded_as_well()

    def by_the_latest_time_everything_counts(self) -> None:
        log = lines(self.desk.log)
        known, latest, none = Then(log, None), Then(log, FUTURE), Then(log, PAST)
        assert latest.entries == known.entries
        assert latest.traces == known.traces
        assert not none.entries
        assert not none.traces
        assert not any(entry.times.approximate for entry in known.entries.values())

    def at_every_time_the_figures_agree(self) -> None:
        log = lines(self.desk.log)
        known, before = Then(log, None), set[UUID]()
        for time in sorted(known.times):
            then = Then(log, time)
            assert before <= then.entries.keys()
            before = {*then.entries}
            loans: list[Loan] = then.each(Loan)
            (user,) = then.each(User) or [None]
            uow = defaultdict[str, Decimal](Decimal, then.balances())
            assert uow == known.balances(time)
            assert sum(uow.values()) == 0
            lent = [loan for loan in loans if loan.disbursed_at]
            assets = [each for each in lent if not each.written_off_at]
            lost = sum(each.outstanding_amount for each in assets if each.status == "defaulted")
            gone = sum(each.written_off_amount or 0 for each in lent)
            assert (-uow["1290"], uow["5100"]) == (lost, lost + gone)
            owed = uow["1200.MTN"] + uow["1210"] + uow["1220"]
            assert owed == sum(each.outstanding_amount for each in assets)
            self._require_repaid(known, lent, time)
            if user:
                self._require_agreed(user, lent, uow)

    def older_events_are_folded_as_well(self) -> None:
        """The same with an older beginning, in which no derived event says when it happened."""
        half = len(self.desk.log) // 2
        for older in (half, 2 * half):
            log = lines([_older(each) for each in self.desk.log[:older]] + self.desk.log[older:])
            known = Then(log, None)
            assert Then(log, FUTURE).entries == known.entries
            for time in known.times:
                then = Then(log, time)
                assert sum(then.balances().values()) == 0
                for loan in then.each(Loan):
                    assert 0 <= loan.amount_paid <= loan.amount_due

    def _require_repaid(self, known: Then, lent: list[Loan], time: datetime) -> None:
        """What was repaid by then is what had come in, of the money that counts today."""
        credited = known.each(User)[0].applied
        payments: list[Transaction] = known.each(Transaction)
        for loan in lent:
            now = self.desk.loan(loan.id)
            if loan.id not in credited and now.disbursed_at and not now.restated_at:
                assert loan.amount_paid == sum(
                    part.amount
                    for payment in payments
                    if payment.status == "completed" and payment.created_at <= time
                    for part in payment.parts
                    if part.loan_id == loan.id
                )

    def _require_agreed(self, user: User, lent: list[Loan], uow: dict[str, Decimal]) -> None:
        open_ = {loan.id: loan.outstanding_amount for loan in lent if loan.outstanding_amount}
        assert {id_: debt.outstanding for id_, debt in user.debts.items()} == open_
        assert user.total_repaid == sum(loan.amount_paid for loan in lent)
        assert -uow["2110"] == user.credit_balance


TestBackdated = Backdated.TestCase
TestBackdated.settings = settings(max_examples=examples(100), stateful_step_count=30)

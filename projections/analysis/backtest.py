"""Decides every past loan request again under a proposed policy, from earlier events only."""

import asyncio
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from msgspec import Struct
from psycopg import AsyncConnection

from projections.analysis.consequences import Outcome, Report, was_late
from projections.follow import log
from projections.follow.fold import decode, evolved
from rim_ledger.engine.aggregate import Aggregate
from rim_ledger.engine.codec import Recorded
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.store import Line
from rim_ledger.lending.decision import Terms, decide_request
from rim_ledger.lending.loan import Loan, LoanApproved
from rim_ledger.lending.proposed_policy import ProposedPolicy, Simulation
from rim_ledger.lending.shadow import Shadow
from rim_ledger.lending.user import CreditReserved, User
from rim_ledger.system.config import SystemConfig, config_id, value_of
from rim_ledger.values import ZERO

PAGE: Final = 50
"""Borrowers processed together, which bounds memory."""
KEYS: Final = ("autoApprove", "autoApproveMinScore", "autoApproveMaxAmount", "maxOpenLoans")
USERS: Final = """
SELECT stream_id FROM ledger.events
 WHERE stream_id > %s AND version = 1 AND name = 'UserRegistered' AND position <= %s
 ORDER BY stream_id LIMIT %s"""


COUNT: Final = """
SELECT count(*) FROM ledger.events
 WHERE version = 1 AND name = 'UserRegistered' AND position <= %s"""


REFUSED: Final = """
SELECT id, user_id, position, timestamp, amount FROM ledger.refused_requests
 WHERE user_id = ANY (%b) AND position <= %s AND policy IS NOT NULL
 ORDER BY user_id, position, timestamp, id"""


class ObjectIds(Struct, frozen=True, rename="camel", omit_defaults=True):
    """A loan or borrower by both ids."""

    id: UUID
    loan_id: str | None = None
    user_id: str | None = None


class Request(Struct, frozen=True):
    """A past loan request: decided on the log before a position, at a time (UTC), with the loan it
    made, or the id under which its refusal is stored."""

    position: int
    at: datetime
    amount: Decimal
    decided: Outcome
    loan: Loan | None = None
    refused: UUID | None = None


class Change(Struct, frozen=True, rename="camel"):
    """A request with another outcome, and what became of its loan; for a refused one, the refusal's
    id in place of the loan's."""

    loan: ObjectIds | None
    refused_request: UUID | None
    user: ObjectIds
    position: int
    requested_at: datetime
    amount: Decimal
    score: int
    before: Outcome
    after: Outcome
    reasons: tuple[str, ...]
    status: str
    fee: Decimal
    late: bool
    defaulted: bool


class Backtest:
    """One simulation over the log up to a position. Read-only; one page of borrowers at a time."""

    def __init__(self, simulation: Simulation, upto: int) -> None:
        self.report = Report(upto)
        self._upto, self._after = upto, UUID(int=0)
        policies = [simulation.policy, *filter(None, [simulation.against])]
        self._policies: list[ProposedPolicy] = policies
        self._terms: list[tuple[int, Terms]] = []

    async def page(self, connection: AsyncConnection[Any]) -> list[Change] | None:
        """Changes for the next page of borrowers; None at the end."""
        if not self._terms:
            self._terms = await _terms(connection, self._upto)
        cursor = await connection.execute(USERS, [self._after, self._upto, PAGE])
        if not (ids := [stream for (stream,) in await cursor.fetchall()]):
            return None
        self._after = ids[-1]
        lines = await log.streams(connection, ids, self._upto)
        events = [(line, decode(line)) for line in lines]
        reserved = [each.event for _, each in events if isinstance(each.event, CreditReserved)]
        loans = await _loans(connection, [each.loan_id for each in reserved], self._upto)
        refused = await _refused(connection, ids, self._upto)
        found = list[Change]()
        for id_, history in groupby(events, lambda each: each[0].stream):
            await asyncio.sleep(0)  # Let other tasks run.
            changes = self._decide_again(history, loans, deque(refused[id_]))
            self.report.users += 1
            self.report.users_changed += bool(changes)
            found += changes
        return found

    def _decide_again(
        self,
        history: Iterable[tuple[Line, Recorded]],
        loans: Mapping[UUID, tuple[Loan, Outcome]],
        refused: deque[Request],
    ) -> list[Change]:
        """Replay one borrower, and decide each request again, refused ones included."""
        shadows, found = list[Shadow](), list[Change]()
        for line, recorded in history:
            while shadows and refused and refused[0].position <= line.position:
                found += self._compare(refused.popleft(), shadows)
            event: Any = recorded.event
            if not shadows:
                shadows = [
                    Shadow(line.stream, event, recorded.stamp, each.credit)
                    for each in self._policies
                ]
                continue
            if isinstance(event, CreditReserved):
                loan, decided = loans[event.loan_id]
                at, amount = line.recorded_at, event.amount
                request = Request(line.position, at, amount, decided, loan)
                found += self._compare(request, shadows)
            for each in shadows:
                each.follow(event, recorded.stamp)
        for request in refused:
            found += self._compare(request, shadows)
        return found

    def _compare(self, request: Request, shadows: list[Shadow]) -> Iterator[Change]:
        """Decide a request again; yields the change if the outcome differs."""
        users = [each.user for each in shadows]
        results = [
            self._decide(user, request, policy)
            for user, policy in zip(users, self._policies, strict=True)
        ]
        after, reasons = results[0]
        before = results[1][0] if len(results) > 1 else request.decided
        self.report.add(request.loan, before, after)
        if before is not after:
            yield _change(request, users[0], (before, after), reasons)

    def _decide(
        self, user: User, request: Request, policy: ProposedPolicy
    ) -> tuple[Outcome, tuple[str, ...]]:
        place = bisect_left(self._terms, request.position, key=lambda each: each[0])
        terms = policy.terms(self._terms[place - 1][1])
        try:
            reasons = decide_request(user, request.amount, terms, request.at)
        except Refused as refusal:
            return Outcome.REFUSED, (refusal.code,)
        return Outcome.PENDING if reasons else Outcome.APPROVED, reasons


async def borrowers(connection: AsyncConnection[Any], upto: int) -> int:
    """The number of borrowers."""
    return await log.number(connection, COUNT, upto)


async def _terms(connection: AsyncConnection[Any], upto: int) -> list[tuple[int, Terms]]:
    """The configured terms, each with the position after which it applies."""
    streams = {config_id("lending", key): key for key in KEYS}
    known: dict[str, SystemConfig | None] = dict.fromkeys(KEYS)

    def now() -> Terms:
        return Terms.of(lambda key: value_of("lending", key, known[key]))

    terms = [(0, now())]
    lines = await log.streams(connection, streams, upto)
    for line in sorted(lines, key=attrgetter("position")):
        config, _ = evolved(known[streams[line.stream]], line)
        assert isinstance(config, SystemConfig), "nothing else has these ids"
        known[streams[line.stream]] = config
        terms.append((line.position, now()))
    return terms


async def _loans(
    connection: AsyncConnection[Any], ids: Iterable[UUID], upto: int
) -> dict[UUID, tuple[Loan, Outcome]]:
    """Loans in their current state, with the outcome of each request."""
    found: dict[UUID, tuple[Loan, Outcome]] = {}
    for stream, lines in groupby(await log.streams(connection, ids, upto), attrgetter("stream")):
        loan: Aggregate | None = None
        outcome = Outcome.PENDING
        for line in lines:
            loan, recorded = evolved(loan, line)
            if isinstance(recorded.event, LoanApproved) and recorded.event.automatic:
                outcome = Outcome.APPROVED
        assert isinstance(loan, Loan), "what was reserved was reserved for a loan"
        found[stream] = loan, outcome
    return found


async def _refused(
    connection: AsyncConnection[Any], ids: list[UUID], upto: int
) -> dict[UUID, list[Request]]:
    """The requests that a policy refused, in order; each was decided at the position after the last
    one that its decision had read."""
    found = defaultdict[UUID, list[Request]](list)
    cursor = await connection.execute(REFUSED, [ids, upto])
    async for id_, user, position, at, amount in cursor:
        request = Request(position + 1, at, amount, Outcome.REFUSED, refused=id_)
        found[user].append(request)
    return found


def _change(
    request: Request, user: User, outcomes: tuple[Outcome, Outcome], reasons: tuple[str, ...]
) -> Change:
    (before, after), loan = outcomes, request.loan
    return Change(
        loan=ObjectIds(loan.id, loan_id=loan.loan_id) if loan else None,
        refused_request=request.refused,
        user=ObjectIds(user.id, user_id=user.user_id),
        position=request.position,
        requested_at=loan.created_at if loan else request.at,
        amount=request.amount,
        score=user.credit_score,
        before=before,
        after=after,
        reasons=reasons,
        status=loan.status if loan else Outcome.REFUSED,
        fee=loan.cost if loan else ZERO,
        late=loan is not None and was_late(loan),
        defaulted=loan is not None and loan.defaulted_at is not None,
    )

"""Due notices of a service that is killed or restored: one for each loan and day, none twice."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, time, timedelta
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import psycopg

from rim_ledger.delivery.port import Channel
from rim_ledger.notifications.notification import waiting
from rim_ledger.postgres.pool import lease
from rim_ledger.postgres.server import EmbeddedPostgres
from rim_ledger.values import LAGOS
from tests.cli.service import Service, stop, wait_for
from tests.cli.test_restore import SECRET, Lender, made, messages, run, without_a_clock
from tests.cli.trial import PASSWORD, Trial
from tests.delivery.http_server import Request, a_provider, answer
from tests.real_loans import take_on

DAYS: Final = {0: "is", 1: "was"}
"""The days after the due day on which there are notices, and their verbs."""
LOANS: Final = 40
RATE: Final = 40
BATCH: Final = RATE // 4
"""Messages that are at the provider at once."""
DUE: Final = datetime.now(LAGOS).date() + timedelta(days=10)


class Gateway:
    """A provider of SMS that knows each reference once. While it is silent, it takes messages
    without an answer; of every third of these, it tells nothing later either."""

    def __init__(self) -> None:
        self.got: list[dict[str, str]] = []
        self.unanswered: list[str] = []
        self.known: set[str] = set()
        """References whose outcome was told."""
        self.silent = False

    async def answer(self, request: Request) -> bytes | None:
        if request.method == "GET":
            return self._status(request.path.rpartition("/")[2])
        message = json.loads(request.body)
        self.got.append(message)
        if self.silent:
            self.unanswered.append(message["reference"])
            await asyncio.Event().wait()  # Until the other side is dead.
        self.known.add(message["reference"])
        return answer(202)

    def _status(self, reference: str) -> bytes:
        if reference not in {each["reference"] for each in self.got}:
            return answer(404 if reference else 200)
        if reference in self.unanswered[::3]:
            return answer(200, b'{"status": "archived"}')
        self.known.add(reference)
        return answer(200, b'{"status": "sent"}')


def morning(day: int) -> str:
    """Ten o'clock, so many days after the due day."""
    return datetime.combine(DUE + timedelta(days=day), time(10), LAGOS).isoformat()


def lend(lender: Lender, count: int) -> dict[str, str]:
    """Lend to so many borrowers, and ask for notices; the numbers of their loans by id."""
    cashier = take_on(lender.http, dict(lender.http.headers), "cashier", PASSWORD)
    answer = lender.http.put("/v1/system-config/lending/dueNotices", json={"value": [*DAYS]})
    assert answer.is_success, answer.text
    ids = [[str(uuid5(NAMESPACE_URL, f"{each}/{n}")) for n in range(count)] for each in "ul"]
    users, loans = [], []
    for number, (user, loan) in enumerate(zip(*ids, strict=True)):
        person = {"phone": f"0803{number:07}", "email": f"{number}@rim.example", "name": "Ada"}
        wish = {"userId": user, "amount": 100, "network": "MTN", "repaymentPeriod": 5}
        users.append(("users", {"id": user, **person, "creditLimit": 10_000}))
        loans.append(("loans", {"id": loan, **wish}))
    bulk(lender, users)
    bulk(lender, loans)
    for step in ("approve", "disburse"):
        bulk(lender, [(f"loans/{loan}/{step}", {}) for loan in ids[1]], cashier)
    later = {"dueDate": DUE.isoformat(), "reason": "one due day for all"}
    bulk(lender, [(f"loans/{loan}/reschedule", later) for loan in ids[1]])
    rows = lender.found("/v1/loans?limit=200")["items"]
    return {each["id"]: each["loanId"] for each in rows}


def bulk(
    lender: Lender,
    lines: Sequence[tuple[str, dict[str, Any]]],
    caller: dict[str, str] | None = None,
) -> None:
    """Carry out commands, all of which succeed."""
    text = "".join(json.dumps({"op": f"POST /v1/{op}", "body": body}) + "\n" for op, body in lines)
    headers = {**(caller or {}), "Content-Type": "application/x-ndjson"}
    answer = lender.http.post("/v1/bulk", content=text, headers=headers)
    statuses = Counter(json.loads(each)["status"] for each in answer.text.splitlines())
    assert statuses.keys() <= {200, 201}, answer.text


def connect(lender: Lender, url: str) -> None:
    """Let SMS go through a gateway, so many a second."""
    config = {"from": "RIM", "perSecond": RATE}
    body = {"name": "sms", "type": "sms", "provider": "sms", "baseUrl": url, "config": config}
    one = lender.post(
        "/v1/api-integrations", {**body, "apiKey": "key-of-RIM", "apiSecret": "secret-of-RIM"}
    )
    for step in ("test", "activate"):
        lender.post(f"/v1/api-integrations/{one['id']}/{step}")


def kill_while_due(trial: Trial, gateway: Gateway, day: int) -> None:
    """Let the notices of a day fall due, and kill who queues and who delivers them."""

    def tick() -> Any:
        return trial.service.start("tick", "--at", morning(day), **trial.settings)

    with psycopg.connect(trial.database) as connection:
        connection.execute("SELECT ledger.keep_writers_out()")
        queueing = tick()
        wait_for(lambda: has_waiting_writers(connection))
        queueing.kill()  # Whether its commit takes place now, nobody is left to know.
        queueing.wait()
    for _ in range(2):
        beside, goal = tick(), len(gateway.unanswered) + BATCH
        wait_for(lambda goal=goal: len(gateway.unanswered) >= goal)
        for process in (beside, trial.service.child("clock")):
            process.kill()
            process.wait()


def has_waiting_writers(connection: psycopg.Connection[Any]) -> bool:
    query = "SELECT FROM pg_locks WHERE relation = 'ledger.events'::regclass AND NOT granted"
    return connection.execute(query).fetchone() is not None


def notices(url: str) -> dict[str, tuple[str, str]]:
    """Status and progress of the notices, by reference."""
    query = "SELECT id::text, status, hand_over FROM read.notification_history"
    with psycopg.connect(url) as connection:
        rows = connection.execute(f"{query} WHERE type = 'scheduled'".encode())
        return {id_: (status, progress) for id_, status, progress in rows}


def settled(url: str) -> int:
    """How many notices are neither waiting nor under way."""
    return sum(progress in ("done", "unknown") for _, progress in notices(url).values())


def words(message: dict[str, str]) -> tuple[str, str]:
    """The loan and the verb of a notice."""
    found = re.search(r"airtime loan (\S+) (is|was) due on", message["body"])
    assert found, message
    return found[1], found[2]


def noticed(url: str) -> Counter[tuple[str, int]]:
    """How many notices the log has for each loan and day."""
    query = "SELECT stream_id::text, (data ->> 'day')::int FROM ledger.event_log"
    with psycopg.connect(url) as connection:
        rows = connection.execute(f"{query} WHERE name = 'DueNoticeSent'".encode())
        return Counter(rows.fetchall())


async def test_each_loan_has_one_notice_a_day_whoever_is_killed(service: Service) -> None:
    trial, gateway = Trial(service, workers=1), Gateway()

    def story(url: str) -> None:
        with Lender(trial.url) as lender:
            connect(lender, url)
            numbers = lend(lender, LOANS)
        for turn, day in enumerate(DAYS, 1):
            gateway.silent = True
            kill_while_due(trial, gateway, day)
            gateway.silent = False
            wait_for(lambda total=turn * LOANS: settled(trial.database) == total)
            trial.run("tick", "--at", morning(day))  # Nothing is left of this day.
        assert noticed(trial.database) == Counter((loan, day) for loan in numbers for day in DAYS)
        told = Counter(words(each) for each in gateway.got)
        assert told == Counter((each, DAYS[day]) for each in numbers.values() for day in DAYS)
        known = dict.fromkeys(gateway.known, ("sent", "done"))
        silent = {each["reference"] for each in gateway.got} - gateway.known
        assert notices(trial.database) == known | dict.fromkeys(silent, ("pending", "unknown"))
        assert silent >= {*gateway.unanswered[::3]}

    async with a_provider(gateway.answer) as url:
        await asyncio.to_thread(story, url)
    trial.stop()


async def test_a_restored_ledger_sends_no_notice_until_a_person_says_so(
    service: Service, other: Service
) -> None:
    def sent() -> Counter[tuple[str, str]]:
        """The notices that left either home: loan and verb."""
        left = messages(service, other)
        return Counter(words(each) for each in left if each["channel"] == "sms")

    async def queue(url: str) -> None:
        """Let the notices of the due day fall due, and none go."""
        async with lease(url, waiting(Channel.SMS)) as free:
            assert free
            await asyncio.to_thread(run, service, "tick", "--at", morning(0))

    with without_a_clock(service) as url, Lender(url) as lender:
        numbers = lend(lender, 3)
        database = EmbeddedPostgres.running(service.home / "postgres")
        assert database
        await queue(database)
        full = made(run(service, "backup"))
    assert "nothing leaves the house until" in run(other, "restore", full)
    process, url, _ = other.up(RIM_SECRET_KEY=SECRET)
    with Lender(url) as lender:
        for day in DAYS:
            run(other, "tick", "--at", morning(day))
        database = EmbeddedPostgres.running(other.home / "postgres")
        assert database
        assert noticed(database) == Counter((loan, 0) for loan in numbers)
        assert {progress for _, progress in notices(database).values()} == {"waiting"}
        assert sent() == Counter()

        lender.post("/v1/outbound", {"enabled": True})
        run(other, "tick", "--at", morning(1))
        wait_for(lambda: settled(database) == 2 * len(numbers))
    stop(process)
    assert sent() == Counter((each, verb) for each in numbers.values() for verb in DAYS.values())

"""The service under a crowd, while its processes are killed; and what must hold afterwards."""

import asyncio
import random
import threading
from decimal import Decimal
from typing import Any, Final

import httpx
import psycopg

from projections.follow import log
from projections.follow.fold import Entry, fold
from rim_ledger.lending.user import User
from rim_ledger.postgres.server import EmbeddedPostgres
from tests.cli.crowd import Acknowledged, Crowd
from tests.cli.service import PATIENCE, Service, a_kept_port, is_ready, wait_for
from tests.real_loans import log_in, take_on

PASSWORD: Final = "a long enough Passw0rd"
VICTIMS: Final = ("serve", "follow", "clock", "postmaster", "backend", "up")
COUNTERS: Final = 12


class Trial:
    """A service at one address, which comes back there after everything of it was killed."""

    def __init__(self, service: Service, workers: int) -> None:
        self.service = service
        self._kept, port = a_kept_port()
        self.settings = {
            "RIM_PORT": str(port),
            "RIM_WORKERS": str(workers),
            "RIM_ADMIN_PASSWORD": PASSWORD,
        }
        self.url = f"http://127.0.0.1:{port}"
        self.said: list[str] = []
        self.start()

    def start(self) -> None:
        self.process, _, said = self.service.up(**self.settings)
        self.said.append(said)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        self._kept.close()

    def _read(self) -> None:
        """Keep what it says, so that it never waits for a reader."""
        assert self.process.stdout
        self.said.extend(self.process.stdout)

    @property
    def database(self) -> str:
        """The URL of its PostgreSQL, once that is there."""
        home = self.service.home / "postgres"
        return str(wait_for(lambda: EmbeddedPostgres.running(home)))

    def kill(self, victim: str, chance: random.Random) -> None:
        """kill -9 one of its processes; `up` takes all along, and is started again."""
        assert self.process.poll() is None, "it ended by itself:\n" + "".join(self.said)
        match victim:
            case "postmaster":
                self.service.postmaster().kill()
            case "backend":
                chance.choice(wait_for(lambda: self.service.postmaster().children())).kill()
            case "up":
                self.process.kill()
                self.process.wait()
                self._reader.join(PATIENCE)  # It reads as long as any child lives.
                self.start()
            case child:
                self.service.child(child).kill()

    def run(self, *arguments: str) -> str:
        """A command on its home, with all the time it needs; what it printed."""
        process = self.service.start(*arguments, **self.settings)
        said, _ = process.communicate(timeout=600)
        assert process.returncode == 0, said
        return str(said)


async def kill_under_load(trial: Trial, rounds: int, seed: int) -> Crowd:
    """Let a crowd ask while one process after the other is killed; the crowd, when all is said."""
    with httpx.Client(base_url=trial.url, timeout=PATIENCE) as http:
        clerk = log_in(http, "admin", PASSWORD)
        officer = take_on(http, clerk, "cashier", PASSWORD)
    crowd, chance = Crowd(trial.url, clerk, officer, seed), random.Random(seed)
    coming = asyncio.create_task(crowd.come(COUNTERS))
    deck: list[str] = []
    for nth in range(rounds):
        await asyncio.sleep(chance.uniform(0.5, 2.5))
        deck = deck or chance.sample(VICTIMS, len(VICTIMS))
        victim = deck.pop()
        print(f"{nth + 1}: {victim}, {len(crowd.acknowledged)} acknowledged", flush=True)
        await asyncio.to_thread(trial.kill, victim, chance)
        if coming.done():
            break  # A counter gave up: its error comes with the crowd.
    await asyncio.sleep(0.5)
    crowd.closing = True
    await coming
    await asyncio.to_thread(wait_for, lambda: is_ready(trial.url))
    return crowd


async def check(trial: Trial, crowd: Crowd) -> None:
    """Everything that was acknowledged is there once, and nothing else is."""
    assert not crowd.broken, "\n".join(crowd.broken + trial.said)
    with psycopg.connect(trial.database) as connection:
        _check_order(connection)
        _check_commands(connection, crowd.acknowledged)
        _check_that_nothing_was_made_up(connection, crowd.acknowledged)
        _check_top_ups(connection)
    await _check_exposure(trial.database)
    assert "; 0 rows differed" in trial.run("rebuild", "--check")


def _rows(connection: psycopg.Connection[Any], query: str, *values: Any) -> list[tuple[Any, ...]]:
    return connection.execute(query.encode(), values or None).fetchall()


def _check_order(connection: psycopg.Connection[Any]) -> None:
    ((least, count, most),) = _rows(
        connection, "SELECT min(position), count(*), max(position) FROM ledger.events"
    )
    assert (least, most) == (1, count), "positions are dense"
    gaps = _rows(
        connection,
        "SELECT stream_id FROM ledger.events GROUP BY 1"
        " HAVING min(version) <> 1 OR max(version) <> count(*)"
        " OR count(DISTINCT version) <> count(*)",
    )
    assert gaps == [], "versions are dense"


def _check_commands(connection: psycopg.Connection[Any], acknowledged: list[Acknowledged]) -> None:
    """A command acted through one request alone; a refused one not at all."""
    acts = {
        key: (requests, last)
        for key, requests, last in _rows(
            connection,
            "SELECT body::json #>> '{stamp,key}',"
            " count(DISTINCT body::json #>> '{stamp,requestId}'), max(position)"
            " FROM ledger.events GROUP BY 1",
        )
    }
    versions = {
        (stream, version): position
        for stream, version, position in _rows(
            connection, "SELECT stream_id::text, version, position FROM ledger.events"
        )
    }
    for told in acknowledged:
        requests, last = acts.get(told.key, (0, 0))
        assert requests == int(told.done), f"{told} acted {requests} times"
        if not told.done:
            assert told.status == 409, told
            continue
        receipt = told.answer
        assert last <= receipt["position"], told
        assert versions[receipt["id"], receipt["version"]] <= receipt["position"], told
        assert told.body.get("id", receipt["id"]) == receipt["id"], told


def _check_that_nothing_was_made_up(
    connection: psycopg.Connection[Any], acknowledged: list[Acknowledged]
) -> None:
    """What was registered, requested and paid is what was acknowledged, amount by amount."""
    for path, name, extra in (
        ("/v1/users", "UserRegistered", ""),
        ("/v1/loans", "LoanRequested", ""),
        ("/v1/transactions", "TransactionRecorded", "AND data ->> 'type' = 'repayment'"),
    ):
        found = _rows(
            connection,
            "SELECT stream_id::text, coalesce((data ->> 'amount')::numeric, 0)"
            f" FROM ledger.event_log WHERE name = %s {extra} ORDER BY 1",
            name,
        )
        wanted = [
            (told.body["id"], Decimal(str(told.body.get("amount", 0))))
            for told in acknowledged
            if told.path == path and told.done
        ]
        assert found == sorted(wanted), name


def _check_top_ups(connection: psycopg.Connection[Any]) -> None:
    """The telco's book and ours agree, loan by loan."""
    twice = _rows(
        connection,
        "SELECT reference FROM ledger.simulated_top_ups GROUP BY 1 HAVING count(*) > 1",
    )
    assert twice == [], "no reference is topped up twice"
    apart = _rows(
        connection,
        "SELECT l.loan_id, l.disbursement, count(t) FROM read.loans l"
        " LEFT JOIN ledger.simulated_top_ups t ON t.reference LIKE 'DSB-' || l.loan_id || '-%'"
        " GROUP BY 1, 2 HAVING count(t) <> (l.disbursement = 'delivered')::int",
    )
    assert apart == [], "what was topped up is disbursed, and nothing else"


async def _check_exposure(url: str) -> None:
    """At no position did the loans of a user exceed the limit."""
    users: dict[Any, Entry] = {}
    position = 0
    async with await psycopg.AsyncConnection.connect(url) as connection:
        while lines := await log.page(connection, position, None, 5_000):
            for line in lines:
                users[line.stream], _ = fold(users.get(line.stream), line)
                user = users[line.stream].aggregate
                if isinstance(user, User):
                    assert user.exposure <= user.credit_limit, (line.position, user.user_id)
            position = lines[-1].position


def unsettled(url: str) -> int:
    """Top-ups whose outcome is not known yet, and events that are not shown yet."""
    with psycopg.connect(url) as connection:
        ((number,),) = _rows(
            connection,
            "SELECT count(*) + (SELECT max(position) FROM ledger.events)"
            " - (SELECT position FROM read.tracking)"
            " FROM read.loans WHERE disbursement IN ('requested', 'unknown')",
        )
    return int(number)

"""A full disk, a read-only database: commands are told why, reading goes on, all comes back."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

import httpx
import psycopg
import pytest

from tests.api.conftest import ADA, PASSWORD, Client, running

pytestmark = pytest.mark.begun_now

DISK_FULL, IO_ERROR = "53100", "58030"


class Trouble:
    """What an operator does to a database, or what befalls it."""

    def __init__(self, database: str) -> None:
        self._database = database

    def run(self, *statements: str) -> None:
        with psycopg.connect(self._database, autocommit=True) as connection:
            for each in statements:
                connection.execute(each.encode())

    def end_sessions(self) -> None:
        self.run(
            "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    @asynccontextmanager
    async def full(self, state: str) -> AsyncIterator[None]:
        """The log cannot grow: what a real disk says, said by a trigger. The service goes on
        meanwhile, as it may hold locks that are waited for."""
        await asyncio.to_thread(
            self.run,
            "CREATE FUNCTION ledger.no_room() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
            f" RAISE EXCEPTION 'could not extend file' USING ERRCODE = '{state}'; END $$",
            "CREATE TRIGGER no_room BEFORE INSERT ON ledger.events"
            " FOR EACH STATEMENT EXECUTE FUNCTION ledger.no_room()",
            "CREATE TRIGGER no_room BEFORE INSERT ON ledger.activity"
            " FOR EACH STATEMENT EXECUTE FUNCTION ledger.no_room()",
        )
        yield
        await asyncio.to_thread(self.run, "DROP FUNCTION ledger.no_room CASCADE")

    @contextmanager
    def read_only(self, *, anew: bool) -> Iterator[None]:
        """Sessions take no writes, as on a server that only follows another. They begin anew, as
        after a failover, or learn of it as they are."""
        name = psycopg.conninfo.conninfo_to_dict(self._database)["dbname"]
        self.run(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        if anew:
            self.end_sessions()
        yield
        self.run(
            "SET default_transaction_read_only = off",
            f"ALTER DATABASE {name} RESET default_transaction_read_only",
        )


@pytest.fixture
def trouble(database: str) -> Trouble:
    return Trouble(database)


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json().get("code", "")


async def require_masked(client: Client, path: str, **headers: str) -> None:
    answer = await client.get(path, headers=headers)
    assert answer.status_code == 200, answer.text
    assert '"Ada"' not in answer.text, path
    assert "+234803000" not in answer.text, path


async def eventually(ask: Callable[[], Awaitable[httpx.Response]], status: int) -> httpx.Response:
    for _ in range(200):
        if (answer := await ask()).status_code == status:
            return answer
        await asyncio.sleep(0.1)
    raise AssertionError(answer.text)


@pytest.mark.parametrize("state", [DISK_FULL, IO_ERROR])
async def test_a_full_disk_is_said_and_reading_goes_on(
    database: str, trouble: Trouble, caplog: pytest.LogCaptureFixture, state: str
) -> None:
    caplog.set_level(logging.WARNING)
    async with running(database) as admin:
        ada = await admin.user()
        loan = {"userId": ada["id"], "amount": 100, "network": "MTN"}
        path, seen = f"/v1/users/{ada['id']}", await admin.caught_up()
        await admin.get(path, headers=seen)
        async with trouble.full(state):
            for _ in range(3):
                together = await asyncio.gather(
                    admin.post("/v1/loans", loan),
                    admin.get(path),
                    admin.post("/v1/users", ADA),
                    admin.get("/v1/users"),
                    admin.get("/v1/loans"),
                )
                assert [code(each) for each in together[:3:2]] == [(503, "storage-full")] * 2
                assert [each.status_code for each in together[1::2]] == [200, 200]
                assert together[4].status_code == 200
                # Who is shown persons leaves a line in the log, and none can be written.
                assert together[1].json()["name"] == "A***"
            assert code(await admin.get("/v1/users?phone=08030000000")) == (503, "storage-full")
            assert code(await admin.get("/readyz")) == (503, "storage-full")
            assert (await admin.get("/healthz")).status_code == 200
        assert (await admin.get("/readyz")).status_code == 200
        assert (await admin.post("/v1/loans", loan)).status_code == 201
        assert (await admin.get(path)).json()["name"] == "Ada"
        lines = [each.message for each in caplog.records if each.name == "rim_ledger"]
        assert [line.split(": ")[0] + ": " + line.split(": ")[1] for line in lines] == [
            "the ledger: waiting, storage-full",
            "the ledger: going on, the database is back",
        ]
        assert state in lines[0]


async def test_what_may_be_read_masked_is_not_refused_while_no_look_can_be_logged(
    admin: Client, trouble: Trouble
) -> None:
    ada = await admin.user()
    loan = {"userId": ada["id"], "amount": 100, "network": "MTN"}
    loan = (await admin.post("/v1/loans", loan)).json()
    seen = await admin.caught_up()
    user = f"/v1/users/{ada['id']}"
    masked = [
        user,
        f"{user}?asOf={seen['Ledger-Position']}",
        "/v1/users",
        f"{user}/loans",
        f"{user}/timeline",
        f"{user}/events",
        f"/v1/loans/{loan['id']}/explain",
        "/v1/events",
    ]
    for path in masked:
        assert (await admin.get(path, headers=seen)).status_code == 200, path
    with trouble.read_only(anew=True):
        for path in masked:
            await require_masked(admin, path)
            if "events" in path:
                await require_masked(admin, path, Accept="application/x-ndjson")
        missing = await admin.get("/v1/users/USR-2026-999999")
        assert code(missing) == (404, "not-found")
        for path in ("/v1/users?phone=08030000000", "/v1/journal.csv"):
            assert code(await admin.get(path)) == (503, "database-read-only"), path
    await eventually(lambda: admin.get("/readyz"), 200)
    assert '"Ada"' in (await admin.get(user)).text


@pytest.mark.parametrize("anew", [True, False])
async def test_a_read_only_database_is_said_and_all_recovers(
    admin: Client, trouble: Trouble, anew: bool
) -> None:
    ada = await admin.user()
    path = f"/v1/users/{ada['id']}"
    await admin.get(path, headers=await admin.caught_up())
    with trouble.read_only(anew=anew):
        if not anew:  # Of the setting of a database only new sessions hear.
            trouble.end_sessions()
        for _ in range(2):
            assert code(await admin.post("/v1/users", ADA)) == (503, "database-read-only")
            assert (await admin.get(path)).status_code == 200
            assert (await admin.get("/v1/users")).status_code == 200
            assert code(await admin.get("/readyz")) == (503, "database-read-only")
            login = {"username": "admin", "password": PASSWORD}
            refused = await admin.post("/v1/auth/login", login)
            assert code(refused) == (503, "database-read-only")
    await eventually(lambda: admin.get("/readyz"), 200)
    made = await admin.post("/v1/users", ADA)
    assert made.status_code == 201, made.text
    seen = {"Ledger-Position": str(made.json()["position"])}
    assert (await admin.get("/v1/users", headers=seen)).status_code == 200
    assert (await admin.as_("admin")).headers

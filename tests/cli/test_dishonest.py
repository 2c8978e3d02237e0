"""What somebody changes in psql, as owner or as the service, is refused and named by `verify`."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import httpx
import psycopg
import pytest
from argon2 import PasswordHasher

from rim_ledger.postgres.server import OWNER, SERVICE, EmbeddedPostgres
from tests.cli.service import PATIENCE, Service, a_service, is_ready, wait_for
from tests.real_loans import log_in, take_on

PASSWORD = "a long enough Passw0rd"
OWN = "a password of somebody who has psql"
ADA, EVE = "08031234567", "08031234568"
VALUES: Final = "INSERT INTO ledger.events (position, stream_id, version, name, body, mac)"


class UnitOfWork(NamedTuple):
    """A service at work, and what was done with it."""

    service: Service
    http: httpx.Client
    admin: dict[str, str]
    ada: str
    eve: str
    loan: str
    key: str
    """The wrapped key of somebody who was erased since, in hexadecimal digits."""
    erased: str

    def database(self, role: str) -> str:
        found = EmbeddedPostgres.running(self.service.home / "postgres", role)
        assert found
        return found

    def ask(self, query: str) -> Any:
        with psycopg.connect(self.database(OWNER)) as connection:
            row = connection.execute(query.encode()).fetchone()
            assert row, query
            return row[0]

    def change(self, role: str, *statements: str) -> None:
        """What somebody does in psql. The owner goes past the triggers."""
        with psycopg.connect(self.database(role)) as connection:
            if role == OWNER:
                connection.execute("SET session_replication_role = replica")
            for statement in statements:
                assert connection.execute(statement.encode()).rowcount > 0, statement

    @contextmanager
    def put_back(self, table: str) -> Iterator[None]:
        """Put the rows of a table back after the block."""
        with psycopg.connect(self.database(OWNER), autocommit=True) as connection:
            connection.execute("SET session_replication_role = replica")
            connection.execute(f"CREATE TEMP TABLE kept AS TABLE {table}".encode())
            try:
                yield
            finally:
                with connection.transaction():
                    connection.execute(f"DELETE FROM {table}".encode())
                    connection.execute(f"INSERT INTO {table} TABLE kept".encode())

    def post(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return self.http.post(path, json=body, headers=self.admin | headers)

    def forget(self) -> None:
        """Another process writes, so that this one asks anew for what it knew."""
        for state in ("off", "on"):
            assert self.service.run("outbound", state).returncode == 0

    def verify(self) -> str:
        return self.service.run("verify").stdout


@pytest.fixture(scope="module")
def uow() -> Iterator[UnitOfWork]:
    with a_service(forked=True) as service:
        _, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
        wait_for(lambda: is_ready(url))
        with httpx.Client(base_url=url, timeout=PATIENCE) as http:
            admin = log_in(http, "admin", PASSWORD)
            other = take_on(http, admin, "second", PASSWORD)

            def made(path: str, body: Any, caller: dict[str, str] = admin) -> str:
                answer = http.post(path, json=body, headers=caller)
                assert answer.is_success, answer.text
                return str(answer.json()["id"])

            def user(phone: str) -> str:
                body = {"phone": phone, "email": f"{phone}@rim.example", "name": "A Name"}
                return made("/v1/users", body)

            ada, eve, gone = user(ADA), user(EVE), user("08031234569")
            lending = {"userId": ada, "amount": 100, "network": "MTN"}
            loan = made("/v1/loans", lending)
            made(f"/v1/loans/{loan}/approve", {}, other)
            made(f"/v1/loans/{loan}/disburse", {}, other)
            uow = UnitOfWork(service, http, admin, ada, eve, loan, "", gone)
            query = (
                f"SELECT encode(wrapped, 'hex') FROM ledger.personal_keys WHERE person = '{gone}'"
            )
            uow = uow._replace(key=uow.ask(query))
            made(f"/v1/users/{gone}/erase", {}, other)
            tag = {"phone": "08031234570", "email": "once@rim.example", "name": "Once"}
            assert uow.post("/v1/users", tag, **{"Idempotency-Key": "once"}).is_success
            made("/v1/transactions", PAYMENT | {"userId": ada})
            yield uow


class Attack(NamedTuple):
    """What is changed, what is asked for then, and what `verify` says."""

    table: str
    statement: str
    words: str
    path: str | None = None
    body: Any = None
    key: str | None = None
    """The idempotency key that the request comes with."""


ADMIN: Final = """
(SELECT stream_id FROM ledger.events
  WHERE name = 'AdminCreated' AND body::json -> 'data' ->> 'username' = '{}')"""
OF_ADMIN: Final = f"purpose = 'password' AND owner = {ADMIN.format('admin')}"
CACHED: Final = ("ledger.claims", "ledger.numbers")
LOGIN: Final = "/v1/auth/login"
CODE: Final = "/v1/auth/customer/code"
SECRET: Final = "ledger.secrets: password of .* does not follow from the log"
PHONE: Final = "kind = 'user-phone' AND stream_id ="
PAYMENT: Final = {
    "type": "repayment",
    "amount": 10,
    "paymentMethod": "card",
    "provider": "paystack",
    "reference": "REF-1",
}
ATTACKS = {
    "a hash of one's own": Attack(
        "ledger.secrets",
        f"UPDATE ledger.secrets SET secret = '{PasswordHasher().hash(OWN)}' WHERE {OF_ADMIN}",
        SECRET,
        LOGIN,
        {"username": "admin", "password": OWN},
    ),
    "the hash of another": Attack(
        "ledger.secrets",
        "UPDATE ledger.secrets SET secret = (SELECT secret FROM ledger.secrets WHERE purpose ="
        f" 'password' AND owner = {ADMIN.format('second')}) WHERE {OF_ADMIN}",
        SECRET,
        LOGIN,
        {"username": "admin", "password": PASSWORD},
    ),
    "a phone of one's own": Attack(
        "ledger.claims",
        f"UPDATE ledger.claims SET stream_id = '{{ada}}' WHERE {PHONE} '{{eve}}'",
        "ledger.claims: user-phone of .* leads to",
        CODE,
        {"phone": EVE},
    ),
    "two phones that are swapped": Attack(
        "ledger.claims",
        "UPDATE ledger.claims SET stream_id = CASE stream_id WHEN '{ada}' THEN '{eve}'::uuid"
        " ELSE '{ada}'::uuid END WHERE kind = 'user-phone' AND stream_id IN ('{ada}', '{eve}')",
        "ledger.claims: user-phone of .* leads to",
        CODE,
        {"phone": ADA},
    ),
    "a phone that is free again": Attack(
        "ledger.claims",
        f"DELETE FROM ledger.claims WHERE {PHONE} '{{eve}}'",
        "ledger.claims: user-phone of {eve} is missing",
        "/v1/users",
        {"phone": EVE, "email": "other@rim.example", "name": "Another"},
    ),
    "a reference that is free again": Attack(
        "ledger.claims",
        "DELETE FROM ledger.claims WHERE name LIKE '%ref-1%'",
        "ledger.claims: .* is missing",
        "/v1/transactions",
        PAYMENT | {"userId": "{eve}"},
    ),
    "a key put back": Attack(
        "ledger.personal_keys",
        "UPDATE ledger.personal_keys SET wrapped = '\\x{key}', erased_at = NULL"
        " WHERE person = '{erased}'",
        "ledger.personal_keys: the key of .* was destroyed and is there again",
    ),
    "the outcome of a request": Attack(
        "ledger.outcomes",
        "UPDATE ledger.outcomes SET outcome = replace(outcome, 'USR-', 'USX-') WHERE key = 'once'",
        "ledger.outcomes: that of the key once was not stored so",
        "/v1/users",
        {"phone": "08031234570", "email": "once@rim.example", "name": "Once"},
        "once",
    ),
    "a number that was taken": Attack(
        "ledger.numbers",
        "UPDATE ledger.numbers SET last = 1 WHERE prefix = 'USR'",
        r"ledger.numbers: USR-\d+ is at 1, and 4 is taken",
        "/v1/users",
        {"phone": "08031234571", "email": "new@rim.example", "name": "New"},
    ),
    "what a loan is shown as": Attack(
        "read.loans",
        "UPDATE read.loans SET outstanding_amount = 1 WHERE id = '{loan}'",
        "read.loans: {loan} differs in outstanding_amount",
    ),
    "what is owed": Attack(
        "read.users",
        "UPDATE read.users SET credit_limit = 99999 WHERE id = '{eve}'",
        "read.users: {eve} differs in credit_limit",
    ),
    "a line of the journal": Attack(
        "read.journal_lines",
        "DELETE FROM read.journal_lines WHERE account LIKE '1%'",
        "read.journal_lines: .* is missing",
    ),
}


@pytest.mark.parametrize("role", [OWNER, SERVICE])
@pytest.mark.parametrize("what", ATTACKS)
def test_what_is_changed_is_refused_and_named(uow: UnitOfWork, what: str, role: str) -> None:
    attack, names = ATTACKS[what], uow._asdict()
    with uow.put_back(attack.table):
        uow.change(role, attack.statement.format(**names))
        if attack.table in CACHED:
            uow.forget()
        if attack.path:
            headers = {"Idempotency-Key": attack.key} if attack.key else {}
            body = {
                name: value.format(**names) if isinstance(value, str) else value
                for name, value in attack.body.items()
            }
            answer = uow.post(attack.path, body, **headers)
            assert (answer.status_code, answer.json()["code"]) == (503, "row-forged")
        assert re.search(attack.words.format(**names), uow.verify())


def test_what_was_done_under_a_key_is_not_done_again(uow: UnitOfWork) -> None:
    with uow.put_back("ledger.outcomes"):
        uow.change(OWNER, "DELETE FROM ledger.outcomes WHERE key = 'once'")
        body = {"phone": "08031234579", "email": "twice@rim.example", "name": "Twice"}
        answer = uow.post("/v1/users", body, **{"Idempotency-Key": "once"})
        assert (answer.status_code, answer.json()["code"]) == (503, "row-forged")
        assert "ledger.outcomes: 1 are missing" in uow.verify()


def test_a_code_that_was_asked_for_is_no_longer_good_than_it_was_meant_to_be(
    uow: UnitOfWork,
) -> None:
    asked = uow.post(CODE, {"phone": ADA})
    assert asked.status_code == 202, asked.text
    with uow.put_back("ledger.challenges"):
        uow.change(SERVICE, "UPDATE ledger.challenges SET expires_at = expires_at + interval '1 y'")
        answer = uow.post("/v1/auth/customer/login", {"phone": ADA, "code": "123456"})
        assert (answer.status_code, answer.json()["code"]) == (503, "row-forged")


@pytest.mark.parametrize("role", [OWNER, SERVICE])
def test_a_reminder_that_is_deleted_is_named(uow: UnitOfWork, role: str) -> None:
    with uow.put_back("ledger.reminders"):
        uow.change(role, f"DELETE FROM ledger.reminders WHERE stream_id = '{uow.loan}'")
        assert f"ledger.reminders: overdue of {uow.loan} is missing" in uow.verify()


INSERTED = f"""
{VALUES} SELECT (SELECT max(position) + 1 FROM ledger.events), stream_id, max(version) + 1,
       'UserOptedOut', (array_agg(body ORDER BY version DESC))[1],
       (array_agg(mac ORDER BY version DESC))[1]
  FROM ledger.events WHERE stream_id = '{{ada}}' GROUP BY stream_id"""


@pytest.mark.parametrize("role", [SERVICE, OWNER])
def test_an_event_in_somebodys_name_stops_everything(uow: UnitOfWork, role: str) -> None:
    uow.change(role, INSERTED.format(ada=uow.ada))
    forged = uow.ask("SELECT max(position) FROM ledger.events WHERE name = 'UserOptedOut'")
    try:
        answer = uow.post(f"/v1/users/{uow.eve}/opt-out", {})
        assert (answer.status_code, answer.json()["code"]) == (503, "log-forged")
        words = f"position {forged}: the event (UserOptedOut) was not written by this ledger"
        assert words in uow.verify()
    finally:
        uow.change(OWNER, f"DELETE FROM ledger.events WHERE position = {forged}")
    assert uow.verify().endswith("as they were signed\n")

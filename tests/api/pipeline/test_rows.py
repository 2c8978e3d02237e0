"""What somebody gains who changes rows beside the log, in two API processes: nothing."""

from typing import Any, Final

import psycopg
import pytest
from argon2 import PasswordHasher
from psycopg import AsyncConnection

from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.engine.cache import Cache
from rim_ledger.engine.event_mac import RowForged
from rim_ledger.engine.store import Store
from tests.api.conftest import Client, serving, vault_of
from tests.api.pipeline.test_as_of import one_of_each
from tests.api.routes.borrowers import CODE, ME, log_in, phone

OWN: Final = "a password of somebody who owns the database"


def change(database: str, statement: str, *values: Any) -> None:
    with psycopg.connect(database) as connection:
        assert connection.execute(statement.encode(), values).rowcount == 1, statement


def ask(database: str, query: str, *values: Any) -> Any:
    with psycopg.connect(database) as connection:
        row = connection.execute(query.encode(), values).fetchone()
        assert row, query
        return row[0]


async def refused(client: Client, path: str, body: dict[str, Any]) -> bool:
    answer = await client.http.post(path, json=body)
    return (answer.status_code, answer.json()["code"]) == (503, "row-forged")


async def test_a_hash_of_ones_own_makes_nobody_a_superadmin(admin: Client, database: str) -> None:
    login, body = "/v1/auth/login", {"username": "admin", "password": OWN}
    query = "SELECT secret FROM ledger.secrets WHERE purpose = 'password'"
    before = ask(database, query)
    statement = "UPDATE ledger.secrets SET secret = %s WHERE purpose = 'password'"
    change(database, statement, PasswordHasher().hash(OWN))
    async with serving(database) as other:
        for process in (admin, other):
            assert await refused(process, login, body)
        change(database, statement, before)
        for process in (admin, other):
            await process.as_("admin")


async def test_a_phone_of_ones_own_lets_nobody_in_as_another(admin: Client, database: str) -> None:
    victim = await admin.user(1)
    await admin.user(2)
    own = await log_in(admin, 2)
    mine = (await own.get(ME)).json()["id"]
    statement = (
        "UPDATE ledger.claims SET stream_id = %s WHERE kind = 'user-phone' AND stream_id = %s"
    )
    change(database, statement, victim["id"], mine)
    async with serving(database) as other:
        assert await refused(other, CODE, {"phone": phone(2)})
        assert (await log_in(other, 1)).headers, "the others come in as before"


@pytest.mark.parametrize("kind", ["an admin", "an API key", "a borrower"])
async def test_a_token_of_ones_own_is_nobodys(admin: Client, database: str, kind: str) -> None:
    name = {
        "an admin": "AdminCreated",
        "an API key": "ApiKeyCreated",
        "a borrower": "CustomerLoggedIn",
    }[kind]
    if kind == "an API key":
        key = {"name": "till", "permissions": [{"resource": "users", "actions": ["read"]}]}
        assert (await admin.post("/v1/api-keys", key)).status_code == 201
    if kind == "a borrower":
        await admin.user(1)
        await log_in(admin, 1)
    stream = ask(database, "SELECT stream_id FROM ledger.events WHERE name = %s", name)
    token = ask(database, "SELECT encode(sha256('own'), 'hex')")
    change(database, "INSERT INTO ledger.claims VALUES ('token', %s, %s)", token, stream)
    async with serving(database) as other:
        answer = await other.with_token("own").get("/v1/users")
        assert (answer.status_code, answer.json()["code"]) == (503, "row-forged")
        fine = await admin.at(other).get("/v1/users")
        assert fine.status_code == 200


async def test_a_name_of_any_kind_is_missed_when_its_row_is_gone(
    admin: Client, database: str
) -> None:
    await one_of_each(admin)
    await log_in(admin, 0)
    missed, lists, vault = set[str](), set[str](), vault_of(database)
    async with await AsyncConnection.connect(database, autocommit=True) as connection:
        store = Store(connection)
        cursor = await connection.execute("SELECT kind, name, stream_id FROM ledger.claims")
        for kind, name, stream in await cursor.fetchall():
            known = Cache(ENTITY_OF, vault)
            await known.begin(store)
            await known.load_claims(store, [(kind, name)])
            holder = known.streams[stream].aggregate
            if holder and (kind, name) in holder.lists:
                lists.add(kind)
                continue
            values = [kind, name]
            gone = "DELETE FROM ledger.claims WHERE (kind, name) = (%s, %s)"
            await connection.execute(gone, values)
            with pytest.raises(RowForged, match=f"the kind {kind} does not follow"):
                await known.load_claims(store, [(kind, name)])
            missed.add(kind)
    assert not missed & lists
    assert missed >= NAMES


NAMES: Final = {
    "admin-email",
    "admin-username",
    "business-id",
    "department-name",
    "email-template-name",
    "role-name",
    "sms-template-name",
    "statement",
    "token",
    "user-email",
    "user-phone",
}


async def test_two_processes_count_no_payment_twice_whose_rows_are_gone(
    admin: Client, database: str
) -> None:
    user = (await admin.user(1))["id"]
    body = {"type": "repayment", "userId": user, "amount": 50, "paymentMethod": "card"}
    body |= {"provider": "paystack", "reference": "R-1"}
    key = {"Idempotency-Key": "once"}
    assert (await admin.post("/v1/transactions", body, headers=key)).status_code == 201
    change(database, "DELETE FROM ledger.claims WHERE kind = 'payment-reference'")
    change(database, "DELETE FROM ledger.outcomes WHERE key = 'once'")
    again = await admin.post("/v1/transactions", body)
    assert (again.status_code, again.json()["code"]) == (409, "reference-taken")
    async with serving(database) as other:
        for process in (admin.at(other), admin):
            for headers in ({}, key):
                again = await process.post("/v1/transactions", body, headers=headers)
                refusal = (again.status_code, again.json()["code"])
                warm = process is admin and not headers
                assert refusal == ((409, "reference-taken") if warm else (503, "row-forged"))
    query = "SELECT count(*) FROM ledger.events WHERE name = 'TransactionRecorded'"
    assert ask(database, query) == 1


async def test_an_erased_persons_key_that_is_put_back_shows_nothing(
    admin: Client, database: str
) -> None:
    user = (await admin.user(1))["id"]
    query = "SELECT wrapped FROM ledger.personal_keys WHERE person = %s"
    wrapped = ask(database, query, user)
    position = admin.app.state.context.ledger.head
    assert (await admin.post(f"/v1/users/{user}/erase", {})).status_code == 200
    back = "UPDATE ledger.personal_keys SET wrapped = %s, erased_at = NULL WHERE person = %s"
    change(database, back, wrapped, user)
    async with serving(database) as other:
        ready = await admin.caught_up()
        seen = admin.at(other)
        for path in (f"/v1/users/{user}", f"/v1/users/{user}?asOf={position}"):
            row = (await seen.get(path, headers=ready)).json()
            assert (row["phone"], row["email"], row["name"]) == (None, None, None), path
        events = await seen.get(f"/v1/users/{user}/events", headers=ready)
        assert "ada" not in events.text.lower()
        assert phone(1).removeprefix("0") not in events.text

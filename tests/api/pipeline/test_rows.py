"""What somebody gains who changes rows beside the log, in two API processes: nothing."""

from typing import Any, Final

import psycopg
import pytest
from argon2 import PasswordHasher

from tests.api.conftest import Client, Tell, serving
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


def test_a_hash_of_ones_own_makes_nobody_a_superadmin(tell: Tell, database: str) -> None:
    async def story(admin: Client) -> None:
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

    tell(story)


def test_a_phone_of_ones_own_lets_nobody_in_as_another(tell: Tell, database: str) -> None:
    async def story(admin: Client) -> None:
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

    tell(story)


@pytest.mark.parametrize("kind", ["an admin", "an API key", "a borrower"])
def test_a_token_of_ones_own_is_nobodys(tell: Tell, database: str, kind: str) -> None:
    async def story(admin: Client) -> None:
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

    tell(story)


def test_an_erased_persons_key_that_is_put_back_shows_nothing(tell: Tell, database: str) -> None:
    async def story(admin: Client) -> None:
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

    tell(story)

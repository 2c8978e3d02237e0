"""The whole service in one process: API, ledger, follower, on a real database."""

import asyncio
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import cache
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, Self

import httpx
import psycopg
import pytest
from argon2 import PasswordHasher
from fastapi import FastAPI

from api import app
from api.app import Api
from api.config.settings import Settings
from api.pipeline import position
from projections.follow.follower import Follower, follow
from projections.tables import schema
from rim_ledger.admin import login_throttle, passwords
from rim_ledger.admin.bootstrap import bootstrap
from rim_ledger.catalogue import ENTITY_OF
from rim_ledger.delivery import egress, providers
from rim_ledger.engine import connection, store
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.lending import dispatch
from rim_ledger.postgres.heartbeat import BEAT
from rim_ledger.vault.key_ring import open_ring
from rim_ledger.vault.personal_keys import Vault
from tests.conftest import a_database

PASSWORD = "correct horse battery staple"
SECRET = b"a secret of the tests, 32 bytes."
TESTERS = ("+2348031234567", "+2348030000001", "ada@example.com", "ada@rim.example")
"""Who may be sent test messages."""
PROXIES = (ip_network("127.0.0.0/8"),)
ADA = {"phone": "08031234567", "email": "ada@example.com", "name": "Ada"}
WORLD = SystemEnvironment()
CHEAP = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture(autouse=True)
def _waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, what is under way is waited for."""
    for module, name in (
        (position, "READ_TIMEOUT_SECONDS"),
        (app, "READ_TIMEOUT_SECONDS"),
        (dispatch, "ANSWER_TIMEOUT_SECONDS"),
        (login_throttle, "TURN_TIMEOUT_SECONDS"),
        (connection, "RECONNECT_TIMEOUT_SECONDS"),
        (egress, "CALL_TIMEOUT_SECONDS"),
        (egress, "CONNECT_TIMEOUT_SECONDS"),
        (providers, "CALL_TIMEOUT_SECONDS"),
    ):
        monkeypatch.setattr(module, name, 60.0)
    monkeypatch.setattr(store, "IMPATIENT", "SET lock_timeout = '60s'")
    monkeypatch.setattr(login_throttle, "TURNS", "SET LOCAL lock_timeout = '60s'")


@pytest.fixture(autouse=True)
def _cheap_passwords(monkeypatch: pytest.MonkeyPatch) -> None:
    """To hash a password takes no time."""
    monkeypatch.setattr(passwords, "_argon2id", CHEAP)
    monkeypatch.setattr(
        passwords, "DUMMY_HASH", f"$argon2id$v=19$m=8,t=1,p=1${'A' * 22}${'A' * 43}"
    )


class Client:
    """An admin at a keyboard."""

    def __init__(self, http: httpx.AsyncClient, app: FastAPI, token: str = "") -> None:
        self.http, self.app, self.token = http, app, token
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> httpx.Response:
        headers = self.headers | more.pop("headers", {})
        if body is not None:
            more["json"] = body
        return await self.http.request(method, path, headers=headers, **more)

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return await self.ask("POST", path, body, **more)

    async def as_(self, username: str) -> Self:
        """The same service, asked by somebody else."""
        body = {"username": username, "password": PASSWORD}
        answer = await self.http.post("/v1/auth/login", json=body)
        assert answer.status_code == 200, answer.text
        return self.with_token(answer.json()["token"])

    def with_token(self, token: str) -> Self:
        """The same service, asked under another token."""
        return type(self)(self.http, self.app, token)

    def outbox(self) -> list[dict[str, Any]]:
        """The messages that were sent so far."""
        path: Path = self.app.state.context.sender.providers.outbox.path
        lines = path.read_text().splitlines() if path.exists() else []
        return [json.loads(line) for line in lines]

    async def take_on(self, username: str, *permissions: dict[str, Any]) -> Self:
        """A new admin who may do only this, logged in."""
        role = await self.post("/v1/admin-roles", {"name": username, "permissions": permissions})
        admin = {"username": username, "email": f"{username}@example.com", "password": PASSWORD}
        made = await self.post("/v1/admin-users", admin | {"roleId": role.json()["id"]})
        assert made.status_code == 201, made.text
        return await self.as_(username)

    async def take_on_superadmin(self, username: str) -> Self:
        """Another super-admin, who may approve what this one requested."""
        roles = (await self.get("/v1/admin-roles", headers=await self.caught_up())).json()["items"]
        role = next(each["id"] for each in roles if each["name"] == "superadmin")
        admin = {"username": username, "email": f"{username}@example.com", "password": PASSWORD}
        made = await self.post("/v1/admin-users", admin | {"roleId": role})
        assert made.status_code == 201, made.text
        return await self.as_(username)

    async def colleague(self) -> Self:
        """A second super-admin, the same at each call: one records, the other completes."""
        state = self.app.state
        if not hasattr(state, "colleague"):
            state.colleague = (await self.take_on_superadmin("colleague")).token
        return self.with_token(state.colleague)

    async def user(self, number: int = 0, **more: Any) -> dict[str, Any]:
        """A registered borrower with a limit of 100,000; the receipt."""
        body = {"phone": f"0803{number:07}", "email": f"u{number}@example.com", "name": "Ada"}
        answer = await self.post("/v1/users", {**body, "creditLimit": 100_000, **more})
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def at(self, process: "Client") -> Self:
        """The same admin with the same token, asking another API process."""
        return type(self)(process.http, process.app, self.token)

    async def caught_up(self) -> dict[str, str]:
        """The header that makes a read wait for everything written so far."""
        return {"Ledger-Position": str(self.app.state.context.ledger.head)}


@asynccontextmanager
async def serving(database: str) -> AsyncIterator[Client]:
    """One API process on a ledger that was begun; nobody is logged in."""
    with tempfile.TemporaryDirectory(prefix="rim-ledger-") as home:
        settings = Settings(
            secret_key=SECRET,
            trusted_proxies=PROXIES,
            home=Path(home),
            late_seconds_max=3600,
            test_recipients=TESTERS,
        )
        app = Api(settings.on(database))
        transport = httpx.ASGITransport(app=app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://rim.test") as http,
        ):
            yield Client(http, app)


def vault_of(database: str) -> Vault:
    """The vault of a ledger of the tests, whose keys are made at the first call."""
    return Vault(open_ring(database, [SECRET], WORLD), WORLD)


async def begin(database: str) -> None:
    """Begin a ledger, and show all of it."""
    vault = vault_of(database)
    async with Ledger(database, ENTITY_OF, vault, WORLD) as ledger:
        await bootstrap(ledger, PASSWORD, WORLD)
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        await schema.create(connection)
        follower = Follower(connection, vault)
        while await follower.advance():
            pass


@asynccontextmanager
async def running(database: str, *, following: bool = True) -> AsyncIterator[Client]:
    """One API process on a ledger that was begun; its super-admin has logged in."""
    async with await psycopg.AsyncConnection.connect(database, autocommit=True) as connection:
        for name in ("follow", "clock", "seal"):  # Whether they live or not.
            await connection.execute(BEAT, [name])
    vault = vault_of(database)
    follower = asyncio.create_task(follow(database, vault)) if following else None
    async with serving(database) as client:
        yield await client.as_("admin")
    if follower:
        follower.cancel()
        with suppress(asyncio.CancelledError):
            await follower


BEGUN: Final = "template_begun"


@cache
def make_template(server: str) -> None:
    """A ledger that was begun, once a server."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {BEGUN} TEMPLATE template_ledger".encode())
    asyncio.run(begin(server.replace("/rim_ledger?", f"/{BEGUN}?")))


@pytest.fixture
def database(server: str, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a ledger that was begun: it has a super-admin, and tables that show all of it.
    Tests marked `begun_now` begin it themselves, since an event that is not sealed for long is an
    error to them."""
    if request.node.get_closest_marker("begun_now"):
        with a_database(server, "template_ledger") as url:
            asyncio.run(begin(url))
            yield url
    else:
        make_template(server)
        with a_database(server, BEGUN) as url:
            yield url


@pytest.fixture
async def admin(database: str, request: pytest.FixtureRequest) -> AsyncIterator[Client]:
    """The super-admin of the whole service. Tests marked `unfollowed` have no follower beside it:
    what they write is shown to no list."""
    following = request.node.get_closest_marker("unfollowed") is None
    async with running(database, following=following) as client:
        yield client

"""What is secret is told once, to whom it is for, and is found nowhere else."""

import asyncio
import logging
import re
from base64 import b64encode
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import duckdb
import httpx
import psycopg
import pytest

from api.catalogue import ROUTES
from api.cli.export import export
from api.cli.replay import replay
from api.config.backup_files import places
from rim_ledger.system.backup_file import Archive
from rim_ledger.system.backup_settings import StorageLocation
from tests.api.conftest import PASSWORD, SECRET, Client, running
from tests.api.routes.factors import (
    DISABLE,
    Clock,
    answered,
    challenge,
    enrolled,
    enrolled_by_message,
    sent_code,
)
from tests.api.routes.test_backups import begin, clock, row
from tests.api.routes.test_one_time import INVITATION, OTHER, RESET, choose, invite, sent_token
from tests.conftest import a_server
from tests.delivery.http_server import a_provider, always, answer
from tests.delivery.mailbox import PASSWORD as PASSWORD_OF_MAIL
from tests.delivery.mailbox import USER as USER_OF_MAIL
from tests.delivery.mailbox import Mailbox, a_mail_server

FIGURES = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?|[A-Z]+-\d{4}-\d{6}|\d+\.\d+")
"""Times, numbers and fractions: some of their digits are six, like a code."""
SHORT = 8
"""A secret of so many characters may be a part of another word."""
READABLE = re.compile(rb"[ -~]{%d,}" % (SHORT + 1))
"""Words of a file that may hold a longer one."""
DASHES = 3
"""How many a code for recovery has."""


class ReportProgress:
    """What was told so far, apart from what it was: each answer's path and text."""

    def __init__(self, client: Client) -> None:
        self.answers: list[tuple[str, str]] = []
        self.once: set[str] = set()
        self.never: set[str] = {PASSWORD, OTHER, SECRET.decode()}
        self.sent: set[str] = set()
        """In messages, which a file of a development installation holds."""
        client.http.event_hooks["response"].append(self._note)

    async def _note(self, answer: httpx.Response) -> None:
        await answer.aread()
        self.answers.append((answer.request.url.path, answer.text))

    def says(self, secret: str) -> list[str]:
        """The paths whose answers told a secret."""
        return [path for path, text in self.answers if found(secret, text)]


def found(secret: str, text: str) -> bool:
    """Whether a secret stands in a text as a word of its own, or a long one anywhere."""
    if len(secret) > SHORT:
        return secret in text
    return bool(re.search(rf"(?<!\w){re.escape(secret)}(?!\w)", FIGURES.sub("", text)))


async def dump(client: Client) -> str:
    """Every row of every table, as text."""
    context = client.app.state.context
    tables = await context.pool.rows(
        "SELECT quote_ident(schemaname) || '.' || quote_ident(tablename) FROM pg_tables"
        " WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1"
    )
    assert ("ledger.events",) in tables
    assert ("ledger.secrets",) in tables
    assert ("read.audit_logs",) in tables
    texts = []
    for (table,) in tables:
        texts += [text for (text,) in await context.pool.rows(f"SELECT t::text FROM {table} t")]
    return "\n".join(texts)


async def live_through_it_all(admin: Client, told: ReportProgress) -> Client:
    """Log-ins, second factors, keys, invitations, resets, and what goes wrong with each."""
    clock = Clock(admin)
    assert (
        await admin.http.post("/v1/auth/login", json={"username": "admin", "password": "a guess 7"})
    ).status_code == 401
    told.never |= {"a guess 7", "a guess 8", "wrong code 9"}

    key = (
        await admin.post(
            "/v1/api-keys",
            {"name": "robot", "permissions": [{"resource": "users", "actions": ["read"]}]},
            headers={"Idempotency-Key": "k1"},
        )
    ).json()["key"]
    assert (await admin.with_token(key).get("/v1/users")).status_code == 200

    one = await invite(admin)
    invitation = sent_token(admin)
    await choose(admin, INVITATION, "x" * 43)
    assert await choose(admin, INVITATION, invitation) == (204, "")
    assert (await admin.post(f"/v1/admin-users/{one}/reset-password")).status_code == 200
    reset = sent_token(admin)
    assert await choose(admin, RESET, reset, PASSWORD) == (204, "")

    ada = await admin.as_("ada")
    session = ada.headers["Authorization"].removeprefix("Bearer ")
    await enrolled_by_message(ada, "email")
    asked_ada = await challenge(ada, "ada")
    code = sent_code(ada)
    assert (await answered(ada, asked_ada, "wrong code 9")).status_code == 401
    assert (await answered(ada, asked_ada, code)).status_code == 200

    secret, recovery = await enrolled(admin, clock)
    asked = [await challenge(admin) for _ in range(3)]
    totp = clock.code(secret)
    tokens = [(await answered(admin, asked[0], totp)).json()["token"]]
    assert (await answered(admin, asked[1], totp)).status_code == 401
    tokens.append((await answered(admin, asked[2], recovery[0])).json()["token"])
    admin = admin.with_token(tokens[0])
    assert (await admin.post(DISABLE, {"code": "wrong code 9"})).status_code == 422
    for body in (
        {"currentPassword": "a guess 8", "newPassword": OTHER},
        {"currentPassword": PASSWORD, "newPassword": "admin-admin-admin"},
        {"currentPassword": PASSWORD, "newPassword": "7 chars"},
        {"currentPassword": PASSWORD, "newPassword": OTHER},
    ):
        changed = await admin.post("/v1/auth/password", body)
    assert changed.status_code == 204
    told.once |= {key, session, secret, asked_ada, *asked, *recovery, *tokens}
    told.never |= {invitation, reset, code, totp, "admin-admin-admin", "7 chars"}
    told.sent |= {invitation, reset, code}
    return admin


async def speak_with_a_provider(admin: Client, told: ReportProgress) -> None:
    """Secrets given, changed and used in calls, and a provider that talks."""
    keys = [f"a-key-of-the-telco-{n}" for n in range(3)]
    secrets = [
        "a-secret-of-the-telco",
        f"whsec_{b64encode(b'another secret').decode()}",
        "8chars!!",
    ]
    said = "what the provider says of its own affairs"
    told.never |= {*keys, *secrets, said}
    async with a_provider(always(answer(200, said.encode()))) as url:
        body = {"name": "VTU", "type": "telecom", "provider": "vtu", "baseUrl": url}
        given = {"apiKey": keys[0], "apiSecret": secrets[0]}
        made = await admin.post("/v1/api-integrations", body | given)
        one = f"/v1/api-integrations/{made.json()['id']}"
        for path, wish in (
            ("/credentials", {"apiKey": keys[1], "apiSecret": secrets[1]}),
            ("/test", None),
            ("/activate", None),
        ):
            answered_ = await admin.post(one + path, wish)
            assert answered_.status_code == 200, answered_.text
        boss = await admin.take_on_superadmin("boss")
        user = (await admin.user())["userId"]
        wish = {"userId": user, "amount": 50, "network": "MTN"}
        loan = f"/v1/loans/{(await admin.post('/v1/loans', wish)).json()['id']}"
        assert (await boss.post(loan + "/approve")).status_code == 200
        sent = await boss.post(loan + "/disburse", headers={"Prefer": "return=representation"})
        assert sent.json()["disbursement"] == "unknown"
        moved = {"provider": "other", "apiKey": keys[2], "apiSecret": secrets[2]}
        refused = await admin.ask("PATCH", one, moved)
        assert refused.json()["code"] == "top-ups-under-way"
        assert (await admin.post(one + "/credentials", {"apiSecret": secrets[2]})).is_success
        assert (await admin.post(one + "/credentials", {"apiKey": secrets[2] + " "})).is_error
    assert (await admin.get(one, headers=await admin.caught_up())).json()["apiKey"]["set"]


async def speak_with_a_mail_server(admin: Client, told: ReportProgress) -> None:
    """A user name and a password, right and wrong ones, and an e-mail sent with them."""
    passwords = [PASSWORD_OF_MAIL, "another-password-of-mail"]
    told.never |= {USER_OF_MAIL, *passwords}
    async with a_mail_server(Mailbox()) as url:
        body = {"name": "Mail", "type": "email", "provider": "mail", "baseUrl": url}
        given = {"apiKey": USER_OF_MAIL, "apiSecret": passwords[0]}
        config = {"config": {"from": "ledger@rim.example"}}
        made = await admin.post("/v1/api-integrations", body | given | config)
        one = f"/v1/api-integrations/{made.json()['id']}"
        for path in ("/test", "/activate"):
            assert (await admin.post(one + path)).status_code == 200
        template = {"name": "hi", "subject": "Hi", "body": "Hello", "type": "notification"}
        made = await admin.post("/v1/email-templates", template)
        send = f"/v1/email-templates/{made.json()['id']}/test-send"
        wish = {"to": "ada@example.com"}
        assert (await admin.post(send, wish)).status_code == 200
        assert (await admin.post(one + "/credentials", {"apiSecret": passwords[1]})).is_success
        assert (await admin.post(send, wish)).status_code == 503
        wrong = await admin.post(one + "/test", headers={"Prefer": "return=representation"})
        assert wrong.json()["lastTestReason"] == "log-in-refused", wrong.text
    assert (await admin.post(one + "/deactivate")).status_code == 200


async def backup(admin: Client) -> str:
    """Make a backup, full at first and then what is new; all that is in it, opened with its key."""
    path = await begin(admin, type="incremental")
    await clock(admin, minutes=5)
    made = await row(admin, path)
    assert made["status"] == "success"
    settings = admin.app.state.settings
    kept = places(settings).backups[StorageLocation.LOCAL]
    (file,) = (settings.home / "backups").glob(f"*-{made['type']}-{made['id']}.rim")
    archive = Archive(kept, file.name, [SECRET])
    manifest = await archive.manifest()
    pieces = [piece async for piece in archive.contents(manifest, lambda _: True)]
    expected = {"events", "secrets"} if made["type"] == "full" else {"events"}
    assert expected <= {piece.of for piece, _ in pieces}
    return "".join(content.decode() for _, content in pieces)


async def ask_for_everything(admin: Client) -> None:
    """Read whatever can be read without naming it."""
    lists = [each.path for each in ROUTES if each.method == "GET" and "{" not in each.path]
    answers = {path: (await admin.get(path)).status_code for path in lists}
    for path in ("/v1/events", "/v1/api-integrations", "/v1/api-keys", "/v1/admin-activity-logs"):
        assert answers[path] == 200, path


async def written_out(admin: Client, place: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The log and the tables as the commands write them, here in files and there as lines."""
    settings = admin.app.state.settings
    monkeypatch.setenv("RIM_HOME", str(settings.home))
    monkeypatch.setenv("RIM_SECRET_KEY", SECRET.decode())
    monkeypatch.setenv("DATABASE_URL", settings.database_url)
    await asyncio.to_thread(export, to="-")
    await asyncio.to_thread(export, to=str(place / "log"))
    await asyncio.to_thread(replay, into=place / "tables.duckdb")
    texts = []
    with duckdb.connect(str(place / "tables.duckdb"), read_only=True) as reader:
        tables = [name for (name,) in reader.execute("SHOW TABLES").fetchall()]
        for source in (*tables, f"read_parquet('{place}/log/*.parquet')"):
            rows = reader.execute(f"SELECT COLUMNS(*)::text FROM {source}").fetchall()
            texts += map(str, rows)
    assert "ApiIntegration" in "".join(texts)
    return "\n".join(texts)


def on_disk(*places: Path) -> str:
    """Whatever can be read in the files somewhere, but for the messages that were sent."""
    words = set[bytes]()
    for file in (file for place in places for file in place.rglob("*")):
        if file.is_file() and file.name != "outbox.ndjson":
            with suppress(FileNotFoundError):  # A server clears away what it needs no more.
                words |= {*READABLE.findall(file.read_bytes())}
    return b"\n".join(words).decode()


def home_of(server: str) -> Path:
    """Where a PostgreSQL server keeps all it has, its own log as well; it is written down now."""
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("CHECKPOINT")
        row = connection.execute("SHOW data_directory").fetchone()
        assert row
        return Path(row[0]).parent


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A server that has seen no other test's secrets."""
    with a_server() as url:
        yield url


async def test_a_secret_stands_nowhere_but_where_it_was_told(
    database: str,
    server: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    async with running(database) as admin:
        told = ReportProgress(admin)
        await speak_with_a_provider(admin, told)
        full = await backup(admin)
        await speak_with_a_mail_server(admin, told)
        await live_through_it_all(admin, told)
        boss = await admin.as_("boss")
        told.once.add(boss.headers["Authorization"].removeprefix("Bearer "))
        more = await backup(boss)
        context, home = boss.app.state.context, boss.app.state.settings.home
        assert await context.tables.wait(context.ledger.head)
        await ask_for_everything(boss)
        texts = {
            "tables": await dump(boss),
            "backups": full + more,
            "exports": await written_out(boss, tmp_path, monkeypatch),
            "logs": "\n".join(record.getMessage() for record in caplog.records),
            "printed": "".join(capfd.readouterr()),
        }
        for place in ("tables", "backups", "exports", "printed"):
            assert "AdminTwoFactorConfirmed" in texts[place], place
        secrets = told.once | told.never
        for place, text in texts.items():
            assert not leaks(secrets, text), place
        # Between bytes a short one may stand by chance.
        long = {each for each in secrets if len(each) > SHORT}
        files = on_disk(home, tmp_path, home_of(server))
        assert "AdminTwoFactorConfirmed" in files
        assert not leaks(long, files)
        assert not leaks(secrets - told.sent, (home / "outbox.ndjson").read_text())
        assert {secret for secret in told.once if len(told.says(secret)) != 1} == set()
        assert {secret for secret in told.never if told.says(secret)} == set()


def leaks(secrets: Iterable[str], place: str) -> list[str]:
    """The secrets that stand in a text, however they are spelt there."""
    return [each for each in secrets if any(found(spelt, place) for spelt in spellings(each))]


def spellings(secret: str) -> set[str]:
    """A secret as it is told, without its dashes, and as bytes are written in a text."""
    plain = secret.replace("-", "") if secret.count("-") == DASHES else secret
    return {secret, plain, secret.encode().hex(), b64encode(secret.encode()).decode().rstrip("=")}


def test_the_search_would_find_a_secret() -> None:
    assert leaks(["123456"], 'code="123456"')
    assert leaks(["ABCD-EFGH-IJKL-MNOP"], "x ABCDEFGHIJKLMNOP y")
    assert leaks(["8chars!!"], "\\x386368617273212100")
    assert leaks(["a-password"], '"YS1wYXNzd29yZA=="')
    assert not leaks(["123456"], "2026-01-05 09:00:00.123456+00 a123456b")

"""Mail servers: found, judged, encrypted and logged in as any provider, and told nothing else."""

import asyncio
import socket
import ssl
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest
from pydantic import SecretStr

from rim_ledger.delivery import egress
from rim_ledger.delivery.egress import Blocked, Egress
from rim_ledger.delivery.endpoint import Endpoint
from rim_ledger.delivery.providers import probe
from rim_ledger.system.integration import IntegrationTested, IntegrationType, TestResult
from tests.delivery.mailbox import PASSWORD, USER, Mailbox, a_mail_server
from tests.delivery.test_egress import NOWHERE_PUBLIC, certified, naming

NAME = "mail.rim.example"
DEVELOPMENT = Egress(development=True)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Egress:
    """A way on which this machine is a public one, by the name of the mail server."""
    monkeypatch.setattr(egress, "_is_fit", lambda *_, **__: True)
    return Egress(development=False, resolve=naming(["127.0.0.1"]))


def a_line(url: str, user: str | None = USER, password: str | None = PASSWORD) -> Endpoint:
    return Endpoint(
        id=UUID(int=7),
        name="Mail",
        type=IntegrationType.EMAIL,
        base_url=url,
        sender="ledger@rim.example",
        key=SecretStr(user) if user else None,
        secret=SecretStr(password) if password else None,
    )


def named(url: str) -> str:
    return url.replace("127.0.0.1", NAME)


def failed(reason: str) -> IntegrationTested:
    return IntegrationTested(result=TestResult.FAILED, reason=reason)


GOOD = IntegrationTested(result=TestResult.SUCCESS)


@pytest.fixture
def silent() -> Iterator[str]:
    """Where somebody listens who never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listening:
        yield f"smtp://127.0.0.1:{listening.getsockname()[1]}"


async def test_a_test_logs_in_and_leaves_and_sends_nothing() -> None:
    box = Mailbox()
    async with a_mail_server(box) as url:
        assert await probe(DEVELOPMENT, a_line(url)) == GOOD
    assert box.logins == [(USER, PASSWORD, False)]
    assert (box.left, box.got) == (1, [])


async def test_without_a_user_nobody_logs_in() -> None:
    box = Mailbox()
    async with a_mail_server(box) as url:
        assert await probe(DEVELOPMENT, a_line(url, None, None)) == GOOD
    assert (box.logins, box.left) == ([], 1)


async def test_a_wrong_password_is_told_in_a_word_of_ours() -> None:
    async with a_mail_server(Mailbox()) as url:
        found = await probe(DEVELOPMENT, a_line(url, password="another-password"))
        assert found == failed("log-in-refused")


@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
@pytest.mark.parametrize("name", [NAME, "another.example"])
async def test_the_certificate_is_that_of_the_name_before_anybody_logs_in(
    scheme: str, name: str, elsewhere: Egress, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = certified(name, tmp_path)
    monkeypatch.setattr(egress, "certificates", lambda: client)
    ways = {"tls": server} if scheme == "smtps" else {"starttls": server}
    box = Mailbox()
    async with a_mail_server(box, **ways) as url:
        found = await probe(elsewhere, a_line(named(url)))
    if name == NAME:
        assert (found, box.logins) == (GOOD, [(USER, PASSWORD, True)])
    else:
        assert (found, box.logins) == (failed("tls"), [])


async def test_a_server_that_cannot_encrypt_is_told_nothing(elsewhere: Egress) -> None:
    box = Mailbox()
    async with a_mail_server(box) as url:
        assert await probe(elsewhere, a_line(named(url))) == failed("no-tls")
    assert box.logins == []


@pytest.mark.parametrize("address", NOWHERE_PUBLIC)
@pytest.mark.parametrize("scheme", ["smtp", "smtps"])
async def test_a_mail_server_inside_of_a_network_is_blocked(scheme: str, address: str) -> None:
    for development in (True, False):
        way = Egress(development=development, resolve=naming([address]))
        with pytest.raises(Blocked):
            await probe(way, a_line(f"{scheme}://{NAME}"))


async def test_this_machine_is_blocked_in_production() -> None:
    for url in ("smtp://localhost", "smtps://127.0.0.1", "smtp://[::1]:2525"):
        with pytest.raises(Blocked):
            await probe(Egress(development=False), a_line(url))


async def test_a_name_that_is_rebound_after_the_look_is_not_looked_up_again() -> None:
    async with a_mail_server(Mailbox()) as url:
        way = Egress(development=True, resolve=naming(["127.0.0.1"], ["169.254.169.254"]))
        line = a_line(url.replace("127.0.0.1", "localhost"))
        assert await probe(way, line) == GOOD
        with pytest.raises(Blocked):  # The next call looks once more, and sees.
            await probe(way, line)


async def test_a_server_that_says_nothing_is_not_waited_for(
    silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rim_ledger.delivery.providers.CALL_TIMEOUT_SECONDS", 0.2)
    assert await probe(DEVELOPMENT, a_line(silent)) == failed("timeout")


async def test_where_nobody_listens_there_is_no_connection(silent: str) -> None:
    way = Egress(development=False, resolve=naming([]))
    assert await probe(way, a_line(f"smtp://{NAME}")) == failed("unreachable")

    async def free() -> str:
        async with a_mail_server(Mailbox()) as url:
            return url

    assert await probe(DEVELOPMENT, a_line(await free())) == failed("unreachable")


@pytest.mark.parametrize(
    ("greeting", "reason"),
    [(b"554 go away\r\n", "status-554"), (b"HTTP/1.1 400 what?\r\n", "broken"), (b"", "broken")],
)
async def test_who_is_no_mail_server_or_does_not_want_us_is_told_from_one(
    greeting: bytes, reason: str
) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()
        await writer.wait_closed()

    async def story() -> IntegrationTested:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            return await probe(DEVELOPMENT, a_line(f"smtp://127.0.0.1:{port}"))

    assert await story() == failed(reason)


async def test_a_server_that_waits_for_tls_is_no_plain_one(tmp_path: Path) -> None:
    server, _ = certified(NAME, tmp_path)

    async def story(ways: dict[str, ssl.SSLContext]) -> IntegrationTested:
        async with a_mail_server(Mailbox(), **ways) as url:
            return await probe(DEVELOPMENT, a_line(url.replace("smtp:", "smtps:")))

    assert await story({}) == failed("tls")
    assert await story({"tls": server}) == failed("tls"), "nobody knows who signed that"

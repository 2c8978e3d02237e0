"""Calls to providers: only to where providers are, bounded, and each name looked up once."""

import asyncio
import ssl
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from rim_ledger.delivery import egress
from rim_ledger.delivery.egress import Blocked, Egress, NoAnswer, Unreachable
from tests.delivery.http_server import Request, a_provider, always, answer

NOWHERE_PUBLIC = [
    "127.0.0.1",
    "127.8.8.8",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.2.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fec0::1",
    "ff0e::1",
    "2001:db8::1",
    "::ffff:169.254.169.254",
    "2002:a9fe:a9fe::1",
    "64:ff9b::a9fe:a9fe",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2600::5efe:7f00:1",
    "2600::200:5efe:a00:1",
    "3fff::1",
    "168.63.129.16",
    "192.0.0.192",
    "192.88.99.1",
]


def naming(*answers: Sequence[str]) -> Callable[[str, int], Awaitable[Sequence[str]]]:
    """A resolver that says this the first time, that the second, and breaks down after that."""
    coming: Iterator[Sequence[str]] = iter(answers)

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return next(coming)

    return resolve


async def called(url: str, outside_: Egress) -> egress.Answer:
    return await outside_.call("GET", url, {})


@pytest.mark.parametrize("address", NOWHERE_PUBLIC)
@pytest.mark.parametrize("development", [True, False])
async def test_a_name_that_leads_to_no_public_address_is_blocked(
    address: str, development: bool
) -> None:
    way = Egress(development=development, resolve=naming([address]))
    with pytest.raises(Blocked):
        await called("https://provider.example", way)


class Missed:
    """Asked for a module after everybody else has not found it."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def find_spec(self, name: str, *_: object) -> None:
        self.names.append(name)


async def test_a_call_looks_for_no_module_that_is_not_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    missed = Missed()
    async with a_provider(always(answer(202))) as url:
        await Egress(development=True).call("GET", url, {})
        monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, missed])
        await Egress(development=True).call("GET", url, {})
    assert missed.names == [], "what was not found is looked for anew with every call"


async def test_one_address_that_is_not_public_blocks_the_name() -> None:
    way = Egress(development=False, resolve=naming(["93.184.215.14", "10.0.0.1"]))
    with pytest.raises(Blocked):
        await called("https://provider.example", way)


@pytest.mark.parametrize(
    "url", ["https://2852039166", "https://0xa9fea9fe", "https://[::ffff:a9fe:a9fe]:8443"]
)
async def test_another_spelling_of_an_address_is_the_same_address(url: str) -> None:
    with pytest.raises(Blocked):
        await called(url, Egress(development=True))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
async def test_this_machine_is_blocked_in_production_whatever_the_scheme(host: str) -> None:
    for scheme in ("http", "https"):
        with pytest.raises(Blocked):
            await called(f"{scheme}://{host}:9", Egress(development=False))


async def test_a_name_that_is_rebound_after_the_look_is_not_looked_up_again() -> None:
    """The first answer is judged and called; what a second look would find is never asked."""

    async with a_provider(always(answer(200, b"the first"))) as url:
        port = url.rpartition(":")[2]
        way = Egress(development=True, resolve=naming(["127.0.0.1"], ["169.254.169.254"]))
        found = await way.call("GET", f"http://localhost:{port}", {})
        assert found.body == b"the first"
        with pytest.raises(Blocked):  # The next call looks once more, and sees.
            await way.call("GET", f"http://localhost:{port}", {})


async def test_the_provider_hears_its_name_and_not_the_address_that_is_called() -> None:
    heard: list[Request] = []

    async def answering(request: Request) -> bytes:
        heard.append(request)
        return answer(200)

    async with a_provider(answering) as url:
        port = url.rpartition(":")[2]
        way = Egress(development=True, resolve=naming(["127.0.0.1"]))
        await way.call("POST", f"http://localhost:{port}/a/b", {"x": "y"}, b"body")
        assert heard[0].headers["host"] == f"localhost:{port}"
    assert (heard[0].method, heard[0].path, heard[0].body) == ("POST", "/a/b", b"body")
    assert heard[0].headers["x"] == "y"


async def test_a_redirect_is_told_and_not_followed() -> None:
    async def story() -> egress.Answer:
        async with a_provider(always(answer(302, location="/elsewhere"))) as url:
            found = await Egress(development=True).call("GET", url + "/here", {})
            assert found.location == "/elsewhere"
            return found

    assert (await story()).status == 302


async def test_an_answer_has_an_end() -> None:
    async def story(size: int) -> int:
        async with a_provider(always(answer(200, b"x" * size))) as url:
            return len((await Egress(development=True).call("GET", url, {})).body)

    assert await story(64 * 1024) == 64 * 1024
    with pytest.raises(NoAnswer, match="too-long"):
        await story(64 * 1024 + 1)


async def test_a_call_takes_no_longer_than_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(egress, "CALL_TIMEOUT_SECONDS", 0.2)

    async def silent(_: Request) -> None:
        await asyncio.sleep(60)

    async def story() -> None:
        async with a_provider(silent) as url:
            way = Egress(development=True, resolve=naming(["127.0.0.1"]))
            await way.call("GET", url, {})

    with pytest.raises(NoAnswer, match="timeout"):
        await story()


async def test_who_hangs_up_or_babbles_has_not_answered() -> None:
    async def story(text: bytes | None) -> None:
        async with a_provider(always(text)) as url:
            await Egress(development=True).call("GET", url, {})

    for text in (None, b"what?\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"):
        with pytest.raises(NoAnswer, match="broken"):
            await story(text)


async def test_where_nobody_listens_nothing_is_sent() -> None:
    async def free() -> str:
        async with a_provider(always(None)) as url:
            return url

    url = await free()
    with pytest.raises(Unreachable):
        await called(url, Egress(development=True))
    way = Egress(development=False, resolve=naming([]))
    with pytest.raises(Unreachable):
        await called("https://provider.example", way)


def certified(name: str, place: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """What a provider of this name shows, and what a client believes that knows it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    both = place / "both.pem"
    both.write_bytes(
        certificate.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(both)
    return server, ssl.create_default_context(
        cadata=certificate.public_bytes(Encoding.PEM).decode()
    )


@pytest.mark.parametrize("name", ["localhost", "somebody.example"])
async def test_the_certificate_is_that_of_the_name_though_the_address_is_called(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, client = certified(name, tmp_path)
    monkeypatch.setattr(egress, "certificates", lambda: client)

    async def story() -> int:
        async with a_provider(always(answer(200)), server) as url:
            own = url.replace("127.0.0.1", "localhost")
            return (await Egress(development=True).call("GET", own, {})).status

    if name == "localhost":
        assert await story() == 200
    else:
        with pytest.raises(Unreachable):
            await story()

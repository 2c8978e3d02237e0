"""Calls to providers: only to addresses that were checked, bounded in time and size."""

import asyncio
import json
import logging
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, Final, TypeVar
from urllib.parse import SplitResult, urljoin, urlsplit

import httpx
from msgspec import Struct

from rim_ledger.engine.environment import Environment
from rim_ledger.engine.refusals import Invalid
from rim_ledger.values import LOOPBACK

CALL_TIMEOUT_SECONDS: Final = 5.0
"""Limit of a call, from the DNS lookup to the end of the answer."""
CONNECT_TIMEOUT_SECONDS: Final = 2.0
"""The part of it for a connection to one address."""
ANSWER_MAX: Final = 64 * 1024

PORTS: Final = {"https": 443, "http": 80, "smtps": 465, "smtp": 587}
"""Default ports."""

NAT64: Final = IPv6Network("64:ff9b::/96")
ISATAP: Final = (0x0000_5EFE, 0x0200_5EFE)
"""Bits before the IPv4 address in an ISATAP interface identifier (RFC 5214)."""
NOT_PUBLIC: Final = tuple(
    map(ip_network, ("168.63.129.16/32", "192.0.0.0/24", "192.88.99.0/24", "3fff::/20"))
)
"""Special addresses (a cloud's own, protocols, documentation) that Python counts as global."""

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Returns the addresses of a host at a port. Raises OSError if there are none."""

# Otherwise each call logs the provider's URL on standard error.
logging.getLogger("httpx").setLevel(logging.WARNING)


class Blocked(Invalid):
    """The address is not public: this machine, its network, or a cloud's own."""

    def __init__(self) -> None:
        super().__init__(
            "blocked-address",
            "The address leads into a network that is not public; providers are on the internet.",
            "/baseUrl",
        )


class Unreachable(Exception):
    """There was no connection: nothing was sent."""


class NoAnswer(Exception):
    """Something may have been sent, and no usable answer came. `reason` is one word."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Answer(Struct, frozen=True):
    """A provider's answer; `location` is the unparsed target of a redirect."""

    status: int
    body: bytes
    location: str | None = None


def object_in(body: bytes) -> dict[str, Any]:
    """Return the JSON object of an answer; an empty one if it is none."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


async def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host, from this machine's resolver."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Egress:
    """Outgoing connections to providers. Each name is resolved once per call, all its addresses are
    checked, and one of those is connected to, so that a later DNS answer changes nothing. Redirects
    are not followed, and proxies of the environment are not used."""

    def __init__(self, *, development: bool, resolve: Resolve = resolve) -> None:
        self._development, self._resolve = development, resolve

    async def call(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        """Send a request. Raises Blocked or Unreachable before anything is sent, NoAnswer after
        that."""
        addresses: Sequence[str] = ()
        try:
            async with asyncio.timeout(CALL_TIMEOUT_SECONDS):
                addresses = await self._addresses(url, local=self.is_local(url))
                return await self._send(method, url, headers, body, addresses)
        except TimeoutError:
            raise NoAnswer("timeout") if addresses else Unreachable from None

    async def connect(self, url: str) -> socket.socket:
        """Return a connected socket. Raises Blocked or Unreachable."""
        for address in await self._addresses(url, local=self.is_local(url)):
            line = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
            line.settimeout(0)  # The event loop does the waiting.
            there = address, _port(urlsplit(url))
            try:
                async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
                    await asyncio.get_running_loop().sock_connect(line, there)
            except (OSError, TimeoutError):
                line.close()
            except BaseException:
                line.close()
                raise
            else:
                return line
        raise Unreachable

    def is_local(self, url: str) -> bool:
        """Return whether a URL means this machine, which is allowed in development only."""
        return self._development and urlsplit(url).hostname in LOOPBACK

    async def require_public(self, url: str, location: str) -> None:
        """Raise Blocked if a redirect leads to no public address, in development as well."""
        try:
            async with asyncio.timeout(CALL_TIMEOUT_SECONDS):
                await self._addresses(urljoin(url, location), local=False)
        except (Unreachable, TimeoutError):
            return  # Its target does not exist.
        except ValueError:
            raise Blocked from None  # It is no valid address, so its target is unknown.

    async def _addresses(self, url: str, *, local: bool) -> Sequence[str]:
        parts = urlsplit(url)
        if parts.scheme not in PORTS or (parts.scheme == "http" and not local):
            raise Blocked
        try:
            found = await self._resolve(parts.hostname or "", _port(parts))
        except (OSError, UnicodeError):
            raise Unreachable from None
        if not all(_is_fit(each, local=local) for each in found):
            raise Blocked
        return found

    async def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        addresses: Sequence[str],
    ) -> Answer:
        parts = urlsplit(url)
        timeout = httpx.Timeout(CALL_TIMEOUT_SECONDS, connect=CONNECT_TIMEOUT_SECONDS)
        for address in addresses:
            host = f"[{address}]" if ":" in address else address
            pinned = parts._replace(netloc=f"{host}:{_port(parts)}")
            request = httpx.Request(
                method,
                pinned.geturl(),
                headers={"host": parts.netloc, "accept-encoding": "identity", **headers},
                content=body,
                # The certificate is that of the name, though the address is called.
                extensions={"sni_hostname": parts.hostname, "timeout": timeout.as_dict()},
            )
            try:
                return await _exchange(request)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                continue
            except httpx.HTTPError as error:
                slow = isinstance(error, httpx.TimeoutException)
                raise NoAnswer("timeout" if slow else "broken") from None
        raise Unreachable


async def _exchange(request: httpx.Request) -> Answer:
    """Send one request on a connection of its own, so that none is reused that was verified for
    another name."""
    async with httpx.AsyncHTTPTransport(verify=certificates(), trust_env=False) as transport:
        answer = await transport.handle_async_request(request)
        body, stream = b"", answer.stream
        assert isinstance(stream, httpx.AsyncByteStream)
        try:
            async for chunk in stream:
                if len(body := body + chunk) > ANSWER_MAX:
                    raise NoAnswer("too-long")
        finally:
            await stream.aclose()
    return Answer(answer.status_code, body, answer.headers.get("location"))


@cache
def certificates() -> ssl.SSLContext:
    """Return the trusted certificates. Loading them is slow, so it is done once."""
    return httpx.create_ssl_context()


def _port(parts: SplitResult) -> int:
    return parts.port or PORTS[parts.scheme]


def _is_fit(address: str, *, local: bool) -> bool:
    """Return whether a provider may have an address: a public one, or this machine if `local`."""
    ip = _embedded_ipv4(ip_address(address.partition("%")[0]))
    if local and ip.is_loopback:
        return True
    sited = isinstance(ip, IPv6Address) and (ip.is_site_local or ip.teredo is not None)
    special = any(ip in network for network in NOT_PUBLIC)
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or sited or special)


def _embedded_ipv4(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address embeds, or the address itself."""
    if isinstance(ip, IPv4Address):
        return ip
    carries = ip in NAT64 or int(ip) >> 32 & 0xFFFF_FFFF in ISATAP
    carried = IPv4Address(int(ip) & 0xFFFF_FFFF) if carries else None
    return ip.ipv4_mapped or ip.sixtofour or carried or ip


WAITS_SECONDS: Final = (0.2, 0.8)
"""Before the second and third attempt, times a random factor from 0.5 to 1."""

T = TypeVar("T")


async def retried(attempt: Callable[[], Awaitable[T]], environment: Environment) -> T:
    """Return the result of an attempt, which is made up to three times. Raises Unreachable if the
    last one does, and any other exception at once."""
    for wait in WAITS_SECONDS:
        with suppress(Unreachable):
            return await attempt()
        await asyncio.sleep(wait * (1 + environment.random(1)[0] / 255) / 2)
    return await attempt()

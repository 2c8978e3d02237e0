"""One HTTP request as routes see it, and the reply they give."""

import re
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Scope, Send

from api.http.body import Receive
from api.http.problem import encoded
from api.http.query import QueryParams
from rim_ledger.admin.session import token_hash
from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.refusals import Unauthenticated

JSON: Final = b"application/json"
NDJSON: Final = b"application/x-ndjson"
REQUEST: Final = ContextVar("request", default="")
"""The id of the current request, for the log."""
USER_AGENT_MAX: Final = 512
WITH_PORT: Final = re.compile(
    r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}", re.ASCII
)
"""An address as proxies write it: IPv6 in brackets, with a port."""

Networks = tuple[IPv4Network | IPv6Network, ...]
Headers = list[tuple[bytes, bytes]]
NONE: Final[Headers] = []


def at_position(position: int) -> tuple[bytes, bytes]:
    """The header that tells the position of the log that an answer reflects."""
    return b"ledger-position", b"%d" % position


class Reply(Response):
    """Status, body (bytes, or what is encoded as JSON) and this answer's own headers; the call adds
    the common ones."""

    def __init__(
        self,
        status: int,
        body: bytes | Mapping[str, Any] = b"",
        headers: Headers = NONE,
        media_type: bytes = JSON,
    ) -> None:
        self.body = body if isinstance(body, bytes) else encoded(body)
        self.status_code, self.raw_headers = status, headers
        self.content_type = media_type
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["call"].reply(self)


class Call:
    """A request: credentials, origin and body."""

    def __init__(
        self,
        scope: Mapping[str, Any],
        receive: Receive,
        send: Any,
        environment: Environment,
        proxies: Networks,
    ) -> None:
        self.method: str = scope["method"]
        self.path = path_of(scope)
        self.query: bytes = scope["query_string"]
        self.dry_run = b"dryRun" in self.query
        """True if the query may ask for a dry run, of which only the log of activities keeps
        anything; exact once the query is read."""
        self.headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            known = self.headers.get(name)
            self.headers[name] = value if known is None else known + b"," + value
        self.receive, self.send = receive, send
        known_as = self.headers.get(b"x-request-id", b"").decode("latin-1")
        is_fit = 1 <= len(known_as) <= 128 and known_as == _printable(known_as)
        self.id = known_as if is_fit else str(environment.new_id())
        peer = scope.get("client")
        self.ip = _client_ip(
            peer[0] if peer else "", self.headers.get(b"x-forwarded-for", b""), proxies
        )
        authorization = self.headers.get(b"authorization", b"").decode("latin-1")
        scheme, _, token = authorization.partition(" ")
        bearer = scheme.lower() == "bearer" and token.strip()
        self.token_hash = token_hash(bearer) if bearer else ""
        """The ledger's hash of the bearer token; empty without one."""
        self.query_params: QueryParams = {}
        """The query parameters, once validated against the route."""
        self.path_params: Mapping[str, str] = {}
        """The path parameters."""
        self.media_type = JSON
        """The negotiated media type."""
        self.position = 0
        """The position that the answer reflects at least."""
        self.limits: Headers = []
        """Rate limit headers of the answer."""
        self.before_start: Callable[[], Awaitable[None]] | None = None
        """Called once before the answer starts; may raise, which prevents the answer."""
        self.started = False
        """True once the answer has started, after which no other can be sent."""
        self.status = 200
        """The status of the started answer."""
        self.progress = ""
        """Progress so far, logged if the answer is aborted."""

    def header(self, name: bytes) -> str | None:
        """A header's value, None if absent."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def token(self) -> str:
        """The hash of the bearer token. Raises Unauthenticated if there is none."""
        if not self.token_hash:
            raise Unauthenticated("unauthenticated", "This needs a bearer token; log in first.")
        return self.token_hash

    async def left(self) -> None:
        """Return once the client has disconnected. The body must have been read."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def about_to_start(self) -> None:
        """Run `before_start`, once."""
        if before := self.before_start:
            await before()
            self.before_start = None

    async def start(self, status: int, headers: Headers) -> None:
        """Send status and headers, with those of every answer."""
        await self.about_to_start()
        own = [(b"cache-control", b"no-store"), (b"x-request-id", self.id.encode())]
        headers = [*own, *self.limits, *headers]
        self.started, self.status = True, status
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def reply(self, reply: Reply) -> None:
        """Send a complete answer."""
        headers = [(b"content-length", b"%d" % len(reply.body)), *reply.raw_headers]
        if reply.body:
            headers.append((b"content-type", reply.content_type))
        await self.start(reply.status_code, headers)
        body = b"" if self.method == "HEAD" else reply.body
        await self.send({"type": "http.response.body", "body": body})

    async def go_on(self, body: bytes, *, more: bool = True) -> None:
        """Send a part of the body; waits while the client's buffer is full."""
        await self.send({"type": "http.response.body", "body": body, "more_body": more})

    def stamp(self, environment: Environment, key: str | None = None) -> Stamp:
        """Make the stamp of this request; admission adds the principal."""
        agent = self.header(b"user-agent")
        return Stamp(
            at=environment.now(),
            actor=SYSTEM,
            ip=self.ip,
            user_agent=_printable(agent)[:USER_AGENT_MAX] if agent else None,
            request_id=self.id,
            key=key,
        )


def path_of(scope: Mapping[str, Any]) -> str:
    """The path as sent. No route's path needs percent-encoding, so an encoded one matches nothing,
    however a proxy has decoded it."""
    raw: bytes | None = scope.get("raw_path")
    return raw.decode("latin-1") if raw else str(scope["path"])


def _printable(text: str) -> str:
    return "".join(each for each in text if " " <= each <= "~")


@lru_cache(10_000)
def _client_ip(peer: str, forwarded: bytes, proxies: Networks) -> str | None:
    """The right-most hop that is not a trusted proxy; headers of untrusted peers are ignored."""
    hops = forwarded.decode("latin-1").split(",")
    address = _address(peer)
    while address and hops and any(address in network for network in proxies):
        if (nearer := _address(hops.pop().strip(" \t"))) is None:
            break
        address = nearer
    return str(address) if address else None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address of a hop, which may have a port."""
    found = WITH_PORT.fullmatch(text)
    try:
        address = ip_address((found[1] or found[2]) if found else text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address

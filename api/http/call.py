"""One HTTP request as the routes see it, and the reply they give."""

import re
from collections.abc import Awaitable, Callable, Mapping
from contextvars import ContextVar
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, Final

from starlette.responses import Response
from starlette.types import Scope, Send

from api.http.body import Receive
from api.http.query import Given
from rim_ledger.admin.tokens import token_hash
from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.refusals import Unauthenticated

JSON: Final = b"application/json"
NDJSON: Final = b"application/x-ndjson"
REQUEST: Final = ContextVar("request", default="")
"""The id of the request that is being answered, for the log."""
USER_AGENT_MAX: Final = 512
WITH_PORT: Final = re.compile(
    r"\[([0-9A-Fa-f:.]+)\](?::[0-9]{1,5})?|([0-9.]+):[0-9]{1,5}", re.ASCII
)
"""An address as proxies write it: IPv6 in brackets, and a port."""

Networks = tuple[IPv4Network | IPv6Network, ...]
Headers = list[tuple[bytes, bytes]]
NONE: Final[Headers] = []


class Reply(Response):
    """A status, a body and the headers that only this answer has; the call adds those that every
    answer has."""

    def __init__(
        self, status: int, body: bytes = b"", headers: Headers = NONE, media_type: bytes = JSON
    ) -> None:
        self.status_code, self.body, self.raw_headers = status, body, headers
        self.content_type = media_type
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await scope["call"].reply(self)


class Call:
    """A request: who asks, from where, and where its body can be read."""

    __slots__ = (
        "before_start",
        "given",
        "headers",
        "id",
        "ip",
        "limits",
        "media_type",
        "method",
        "parameters",
        "path",
        "position",
        "progress",
        "query",
        "receive",
        "send",
        "started",
        "status",
        "token_hash",
    )  # fmt: skip

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
        self.headers: dict[bytes, bytes] = {}
        for name, value in scope["headers"]:
            known = self.headers.get(name)
            self.headers[name] = value if known is None else known + b"," + value
        self.receive, self.send = receive, send
        self.id = _request_id(self.headers) or str(environment.new_id())
        peer = scope.get("client")
        self.ip = _client_ip(
            peer[0] if peer else "", self.headers.get(b"x-forwarded-for", b""), proxies
        )
        self.token_hash = _token_hash(self.headers)
        self.given: Given = {}
        """The parameters of the query, once they are known to be ones that the route takes."""
        self.parameters: Mapping[str, str] = {}
        """Those of its path."""
        self.media_type = JSON
        """What the answer is to be, where the route gives several."""
        self.position = 0
        """The position that the answer reflects at least, once the read tables have come to it."""
        self.limits: Headers = []
        """What is left of what the caller may ask for; every answer tells it."""
        self.before_start: Callable[[], Awaitable[None]] | None = None
        """What goes before the answer, once; it may raise, and there is no such answer then."""
        self.started = False
        """Whether an answer has begun, after which there can be no other."""
        self.status = 200
        """The status of the answer that has begun."""
        self.progress = ""
        """What was done so far, for the log, should the answer break off."""

    def header(self, name: bytes) -> str | None:
        """A header's text, or None when the request has none of that name."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def token(self) -> str:
        """The hash of the bearer token; Unauthenticated when there is none."""
        if not self.token_hash:
            raise Unauthenticated("unauthenticated", "This needs a bearer token; log in first.")
        return self.token_hash

    async def left(self) -> None:
        """Return once the client has left. Its body was read, or there is none."""
        while (await self.receive())["type"] != "http.disconnect":
            pass

    async def about_to_start(self) -> None:
        """Do what goes before the answer, if it was not done."""
        if before := self.before_start:
            await before()
            self.before_start = None

    async def start(self, status: int, headers: Headers) -> None:
        """Send the head of an answer: these headers, and those that every answer has."""
        await self.about_to_start()
        own = [(b"cache-control", b"no-store"), (b"x-request-id", self.id.encode())]
        headers = [*own, *self.limits, *headers]
        self.started, self.status = True, status
        await self.send({"type": "http.response.start", "status": status, "headers": headers})

    async def reply(self, reply: Reply) -> None:
        """Send a whole answer."""
        headers = [(b"content-length", b"%d" % len(reply.body)), *reply.raw_headers]
        if reply.body:
            headers.append((b"content-type", reply.content_type))
        await self.start(reply.status_code, headers)
        body = b"" if self.method == "HEAD" else reply.body
        await self.send({"type": "http.response.body", "body": body})

    async def go_on(self, body: bytes, *, more: bool = True) -> None:
        """Send a part of a body, and wait while the client has not taken most of those before."""
        await self.send({"type": "http.response.body", "body": body, "more_body": more})

    def stamp(self, environment: Environment, key: str | None = None) -> Stamp:
        """The stamp of what this request asks for; who asks is filled in on admission."""
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
    """The path as it was written. No path of ours needs percent-encoding, so one that is encoded
    leads nowhere, whatever another server on the way has taken it for."""
    raw: bytes | None = scope.get("raw_path")
    return raw.decode("latin-1") if raw else str(scope["path"])


def _token_hash(headers: Mapping[bytes, bytes]) -> str:
    """What the ledger knows the bearer token by; empty without one."""
    scheme, _, token = headers.get(b"authorization", b"").decode("latin-1").partition(" ")
    known = scheme.lower() == "bearer" and token.strip()
    return token_hash(known) if known else ""


def _request_id(headers: Mapping[bytes, bytes]) -> str | None:
    given = headers.get(b"x-request-id", b"").decode("latin-1")
    return given if 1 <= len(given) <= 128 and given == _printable(given) else None


def _printable(text: str) -> str:
    return "".join(each for each in text if " " <= each <= "~")


@lru_cache(10_000)
def _client_ip(peer: str, forwarded: bytes, proxies: Networks) -> str | None:
    """The right-most hop that is not a trusted proxy; a header alone proves nothing."""
    hops = forwarded.decode("latin-1").split(",")
    address = _address(peer)
    while address and hops and any(address in network for network in proxies):
        if (nearer := _address(hops.pop().strip(" \t"))) is None:
            break
        address = nearer
    return str(address) if address else None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    """The address of a hop, which may name the port that it came from as well."""
    found = WITH_PORT.fullmatch(text)
    try:
        address = ip_address((found[1] or found[2]) if found else text)
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address

"""What a connection says: requests as bytes, each made from the answer to the one before."""

from collections.abc import Generator, Mapping
from typing import NamedTuple, TypeAlias


class Response(NamedTuple):
    status: int
    body: bytes


# Yields the bytes of a request and is sent the response to it; may end or go on for ever.
Scenario: TypeAlias = Generator[bytes, Response, None]


def request(
    method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
) -> bytes:
    """The bytes of one HTTP/1.1 request with a JSON body."""
    extra = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{extra}"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Script:
    """A scenario and the request it wants next; the following run goes on where one stopped."""

    def __init__(self, scenario: Scenario) -> None:
        self._scenario = scenario
        self.request: bytes | None = next(scenario, None)

    def answer(self, response: Response) -> None:
        try:
            self.request = self._scenario.send(response)
        except StopIteration:
            self.request = None

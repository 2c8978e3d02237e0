"""Finds the route of a request by the words of its path."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, Final, Protocol

from api.http.problem import MethodNotAllowed, NoRoute
from projections.tables.table import Row
from rim_ledger.engine.unit_of_work import Right

WORDS_MAX: Final = 16


class Endpoint(Protocol):
    """A route of the table, and the ASGI application that answers it."""

    @property
    def route(self) -> Any: ...

    app: Callable[..., Awaitable[None]]


class Table:
    """The endpoints by the words of their paths: finding one costs the same however many there
    are, where FastAPI tries one after the other."""

    def __init__(
        self,
        endpoints: Iterable[Endpoint],
        reading: Mapping[type[Row], Right],
        entities: Mapping[str, Right],
    ) -> None:
        self.endpoints = tuple(endpoints)
        self._tree: dict[str, Any] = {}
        self.reading = reading
        """The right to read one row of each table."""
        self.entities = entities
        """The right to read each entity, by its name."""
        for endpoint in self.endpoints:
            route = endpoint.route
            node = self._tree
            for word in route.path.split("/")[1:]:
                node = node.setdefault("*" if word.startswith("{") else word, {})
            methods = node.setdefault("", {})
            assert route.method not in methods, f"{route.method} {route.path} is there twice"
            methods[route.method] = endpoint

    def find(self, method: str, path: str) -> tuple[Endpoint, dict[str, str]]:
        """The endpoint and the path's parameters. Raises NoRoute or MethodNotAllowed."""
        words = path.split("/")[1:]
        methods = _walk(self._tree, words, 0) if len(words) <= WORDS_MAX else None
        if not methods:
            raise NoRoute("no-such-path", "There is nothing at this path.")
        if (endpoint := methods.get("GET" if method == "HEAD" else method)) is None:
            raise MethodNotAllowed(sorted(methods))
        parts = zip(endpoint.route.path.split("/")[1:], words, strict=True)
        return endpoint, {name[1:-1]: word for name, word in parts if name.startswith("{")}


def _walk(node: dict[str, Any], words: list[str], at: int) -> dict[str, Endpoint] | None:
    """The methods at a path. A fixed word goes before a parameter."""
    if at == len(words):
        return node.get("")
    word = words[at]
    if not word:
        return None
    for each in (word, "*"):
        if each in node and (found := _walk(node[each], words, at + 1)):
            return found
    return None

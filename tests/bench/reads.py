"""Reading one loan and a list of fifty, beside the same reads of the CRUD peer."""

import json
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from itertools import cycle
from typing import Any, NamedTuple
from uuid import UUID

from .bodies import user_id
from .load import Report, run
from .peers import fresh_database, postmaster
from .rim import RimPeer, loan_of
from .scenario import Scenario, Script, request
from .servers import AsgiPeer, Peer, Running, loan_body
from .standings import Comparison, Standing

USERS, LOANS, CONNECTIONS = 16, 60, 64


class Library(NamedTuple):
    """A peer, and how its loans are made and asked for."""

    peer: Peer
    loans: str
    body: Callable[[UUID], dict[str, Any]]
    headers: Callable[[], dict[str, str]]


def libraries() -> list[Library]:
    rim = RimPeer(users=USERS)

    def headers() -> dict[str, str]:
        assert rim.service, "a peer is started before it is asked"
        return rim.service.headers

    crud = AsgiPeer("crud", users=USERS)
    return [Library(crud, "/loans", loan_body, dict), Library(rim, "/v1/loans", loan_of, headers)]


def compare_reads(
    url: str, *, seconds: float, rounds: int, told: Callable[[str, Report], object]
) -> dict[str, Comparison]:
    """By what is read; the CRUD peer stands first."""
    found: dict[str, list[tuple[Library, list[Script], Running, list[Report]]]] = {}
    with ExitStack() as stack:
        for library in libraries():
            peer = library.peer
            database_url = stack.enter_context(fresh_database(url, f"reads_{peer.name}"))
            stack.callback(peer.stop)
            running = peer.start(database_url)
            base_url = running.base_url
            ids: list[str] = []
            share = LOANS * USERS // CONNECTIONS
            run(base_url, [Script(_open(library, n, share, ids)) for n in range(CONNECTIONS)])
            peer.rest()
            users = [str(user_id(number)) for number in range(USERS)]
            for what, words in (
                ("one loan", [f"/{each}" for each in ids]),
                ("a list of 50", [f"?userId={user}&limit=50" for user in users]),
            ):
                turned = [words[n:] + words[:n] for n in range(CONNECTIONS)]
                scripts = [Script(_read(library, each)) for each in turned]
                found.setdefault(what, []).append((library, scripts, running, []))
        for _ in range(rounds):
            for what, turns in found.items():
                for library, scripts, running, reports in turns:
                    watch = {"api": running.pids, "postgres": postmaster(url)}
                    reports.append(run(running.base_url, scripts, seconds=seconds, watch=watch))
                    told(f"{library.peer.name}, {what}", reports[-1])
    return {
        what: Comparison(tuple(Standing(turn[0].peer.name, tuple(turn[3])) for turn in turns))
        for what, turns in found.items()
    }


def _open(library: Library, number: int, count: int, ids: list[str]) -> Scenario:
    for _ in range(count):
        body = json.dumps(library.body(user_id(number % USERS))).encode()
        opened = yield request("POST", library.loans, body, library.headers())
        assert opened.status == 201, opened.body
        ids.append(json.loads(opened.body)["id"])


def _read(library: Library, words: Sequence[str]) -> Scenario:
    requests = [request("GET", library.loans + each, b"", library.headers()) for each in words]
    for each in cycle(requests):  # noqa: UP028 - answers are sent in, which no cycle takes
        yield each

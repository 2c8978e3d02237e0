"""How many functions a command crosses to its receipt, and that it crosses none of them twice."""

import asyncio
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FrameType
from typing import Any, Final
from uuid import UUID

from starlette.types import Receive

from api.pipeline import commands, pipeline
from rim_ledger.lending.loan_requests import ApproveLoan
from tests.api.conftest import Client
from tests.problem_codes import PACKAGES, TREE

HOPS_MAX: Final = 20
OWN: Final = tuple(f"{TREE / package}/" for package in PACKAGES)
ONCE: Final = tuple(str(Path(each.__file__)) for each in (pipeline, commands))


class Road:
    """The way of one command through our code. A profiler and an ASGI `send`.

    The hops are the functions that the command is within: those that wait while its rule is asked,
    in the task of the request and in that of the ledger, and those that its receipt goes out by.
    What they call by the way, and has returned by then, is no hop.
    """

    def __init__(self) -> None:
        self.hops = list[FrameType]()
        self.calls = Counter[str]()
        """How often each function was begun."""
        self.status = 0
        self._task = asyncio.current_task()
        self._before = [frame for task in asyncio.all_tasks() for frame in _waiting(task)]
        self._seen = list[FrameType]()

    def profile(self, frame: FrameType, event: str, _: object) -> None:
        if event != "call" or not _is_own(frame.f_code) or frame in self._seen:
            return
        self._seen.append(frame)
        self.calls[_name(frame.f_code)] += 1
        if frame.f_code is ApproveLoan.decide.__code__:
            assert self._task is not None
            self.hops = [*_waiting(self._task), *_stack(frame)]

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.hops += _stack(sys._getframe())

    def functions(self) -> Counter[str]:
        """The hops by name, without what had begun before the request."""
        begun = [frame for frame in self.hops if frame not in self._before]
        once = {id(frame): frame for frame in begun if _is_own(frame.f_code)}
        return Counter(_name(frame.f_code) for frame in once.values())


def _is_own(code: CodeType) -> bool:
    """Whether it is a function of ours: a comprehension belongs to the function it stands in."""
    return code.co_filename.startswith(OWN) and code.co_name not in ("<genexpr>", "<listcomp>")


def _name(code: CodeType) -> str:
    return f"{Path(code.co_filename).relative_to(TREE)}: {code.co_qualname}"


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame:
        yield frame
        frame = frame.f_back


def _waiting(task: "asyncio.Task[Any]") -> Iterator[FrameType]:
    """The functions that wait for what a task waits for."""
    coroutine: Any = task.get_coro()
    while frame := getattr(coroutine, "cr_frame", None):
        yield frame
        coroutine = coroutine.cr_await


async def _body() -> dict[str, Any]:
    return {"type": "http.request", "body": b"{}", "more_body": False}


async def _no_body() -> dict[str, Any]:
    raise AssertionError("nothing is read of a caller who is not let in")


async def _approve(
    client: Client, loan: str, token: str | None = None, receive: Receive = _body
) -> Road:
    token = token or client.headers["Authorization"]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "POST",
        "scheme": "http",
        "path": f"/v1/loans/{loan}/approve",
        "raw_path": f"/v1/loans/{loan}/approve".encode(),
        "query_string": b"",
        "headers": [(b"authorization", token.encode()), (b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("rim.test", 80),
    }
    road = Road()
    sys.setprofile(road.profile)
    try:
        await client.app(scope, receive, road.send)
    finally:
        sys.setprofile(None)
    return road


async def test_an_approval_crosses_twenty_functions_and_none_of_them_twice(admin: Client) -> None:
    officer = await admin.take_on_superadmin("officer")
    user = await admin.user()
    body = {"userId": user["id"], "amount": 100, "network": "MTN"}
    loans = [(await admin.post("/v1/loans", body)).json()["id"] for _ in range(2)]
    first, second = [await _approve(officer, loan) for loan in loans]
    assert first.status == second.status == 200
    # An unknown token is looked at before the body is read, by a decision of its own.
    decisions = "rim_ledger/engine/ledger.py: Ledger._add"
    assert (first.calls[decisions], second.calls[decisions]) == (2, 1)
    hops = second.functions()
    assert len(hops) <= HOPS_MAX, "\n".join(hops)
    assert max(hops.values()) == 1, hops
    assert not [
        each
        for each, times in second.calls.items()
        if times > 1 and str(TREE / each.partition(":")[0]) in ONCE
    ]


async def test_the_body_of_a_caller_who_is_not_let_in_is_not_read(admin: Client) -> None:
    refused = await _approve(admin, str(UUID(int=1)), "Bearer nonsense", _no_body)
    assert refused.status == 401
    assert refused.calls["rim_ledger/engine/ledger.py: Ledger._add"] == 1

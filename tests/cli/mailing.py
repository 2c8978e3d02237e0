"""A broadcast of a running service, carried by two processes that are killed over and over."""

import json
import time
from collections import Counter
from typing import Any, Final, Self

import httpx
import psutil
import psycopg
from msgspec import Struct

from tests.cli.service import wait_for
from tests.cli.trial import PASSWORD, Trial
from tests.real_loans import log_in

LINES: Final = 5_000
"""Users that are registered with one request."""


class Figures(Struct):
    """What a run came to."""

    seconds: float
    memory: int
    """Bytes that a carrying process had at most, when it was looked at."""


class Mailing:
    """The users, the broadcast and the outbox of a service."""

    def __init__(self, trial: Trial, users: int) -> None:
        self.trial, self.users = trial, users
        self.http = httpx.Client(base_url=trial.url, timeout=300)
        self.http.headers.update(log_in(self.http, "admin", PASSWORD))
        self.second = self._second()
        self.memory = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()
        self.second.terminate()  # Else PostgreSQL would be left to nobody, who stops nothing.
        self.second.communicate()
        self.trial.stop()

    def _second(self) -> Any:
        """A second process that carries, beside the one of `up`."""
        return self.trial.service.start("clock", **self.trial.settings)

    def register(self) -> None:
        for begin in range(0, self.users, LINES):
            numbers = range(begin, min(begin + LINES, self.users))
            body = "".join(json.dumps(_line(number)) + "\n" for number in numbers)
            headers = {"Content-Type": "application/x-ndjson"}
            answer = self.http.post("/v1/bulk", content=body, headers=headers)
            statuses = Counter(json.loads(each)["status"] for each in answer.text.splitlines())
            assert statuses == {201: len(numbers)}, statuses

    def begin(self, rate: int) -> str:
        """Send a broadcast to everybody; its path."""
        setting = "/v1/system-config/notifications/smsPerSecond"
        assert self.http.put(setting, json={"value": rate}).status_code == 200
        draft = {
            "title": "We moved",
            "message": "Find us at 1 Marina.",
            "type": "sms",
            "targetAudience": "all",
            "purpose": "notice",
        }
        path = self.http.post("/v1/broadcasts", json=draft).headers["location"]

        def sent() -> bool:
            """The read tables may need longer than a request waits for them."""
            answer = self.http.post(f"{path}/send")
            assert answer.status_code in (200, 503), answer.text
            return answer.status_code == 200

        wait_for(sent, 300)
        return str(path)

    def sent(self) -> int:
        """Messages that went so far."""
        outbox = self.trial.service.home / "outbox.ndjson"
        return outbox.read_bytes().count(b"\n") if outbox.exists() else 0

    def kill(self, nth: int) -> None:
        """kill -9 one of the two; it comes back."""
        if nth % 2:
            self.second.kill()
            self.second.communicate()
            self.second = self._second()
        else:
            self.trial.service.child("clock").kill()

    def look(self) -> None:
        """Note how much memory the two have."""
        for process in (psutil.Process(self.second.pid), self.trial.service.child("clock")):
            self.memory = max(self.memory, process.memory_info().rss)

    def run(self, rate: int, kills: int, patience: float) -> Figures:
        """Send, kill at even distances, and wait for the end; progress is seen on the way."""
        begun, path, seen = time.monotonic(), self.begin(rate), list[int]()
        for nth in range(kills):
            goal = (nth + 1) * self.users // (kills + 1)
            wait_for(lambda goal=goal: self.sent() >= goal, patience)
            seen.append(wait_for(lambda: self._row(path)["sentCount"], patience))
            self.look()
            self.kill(nth)
        wait_for(lambda: self._row(path)["phase"] != "sending", patience)
        assert seen == sorted(seen)
        self.look()
        self.check(path)
        return Figures(time.monotonic() - begun, self.memory)

    def check(self, path: str) -> None:
        """Everybody has it once, and the rows and the counts say so."""
        outbox = (self.trial.service.home / "outbox.ndjson").read_text().splitlines()
        messages = [json.loads(line) for line in outbox]
        told = Counter(each["to"] for each in messages)
        assert len(told) == self.users, "nobody is forgotten"
        assert set(told.values()) == {1}, "nobody is told twice"
        row = wait_for(lambda: self._when(path, "sent"), 300)
        assert row["audienceSize"] == self.users
        counts = [row[f"{each}Count"] for each in ("sent", "failed", "unknown", "excluded")]
        assert counts == [self.users, 0, 0, 0]
        with psycopg.connect(self.trial.database) as connection:
            ((rows, ids),) = connection.execute(
                "SELECT count(*), count(DISTINCT id) FROM read.notification_history"
                " WHERE status = 'sent' AND hand_over = 'done'"
            )
            assert (rows, ids) == (self.users, self.users)
            references = connection.execute("SELECT id::text FROM read.notification_history")
            assert {each["reference"] for each in messages} == {id_ for (id_,) in references}

    def _when(self, path: str, phase: str) -> dict[str, Any] | None:
        row = self._row(path)
        return row if row["phase"] == phase else None

    def _row(self, path: str) -> dict[str, Any]:
        answer = self.http.get(path)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def _line(number: int) -> dict[str, Any]:
    user = {
        "phone": f"0803{number:07}",
        "email": f"u{number}@rim.example",
        "name": f"Borrower {number}",
    }
    return {"op": "POST /v1/users", "body": user}

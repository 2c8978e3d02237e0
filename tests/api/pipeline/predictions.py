"""Commands that are tried, then done: the first writes nothing, and foretells the second."""

import re
from typing import Any, Final

import psycopg
from psycopg.sql import SQL, Identifier

from api.pipeline.routes import One, Route
from tests.api.conftest import Client

TABLES: Final = """
SELECT schemaname, tablename FROM pg_tables
 WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2"""
SEQUENCES: Final = "SELECT schemaname, sequencename, last_value FROM pg_sequences ORDER BY 1, 2"
LOGGED: Final = ("activity", "activity_places", "activity_tiles", "activity_spans")
"""What a dry run adds to: the log of activities and its seals."""
PASSING: Final = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
    r"|\d{4}-\d\d-\d\dT[\d:.]+(?:Z|\+00:00)|\b[A-Z]{3,4}-\d{4}-\d{6}\b|\b[0-9a-f]{64}\b"
)
"""Ids, times, business ids and hashes: a prediction has others."""


def contents(database: str) -> dict[str, str]:
    """A hash of every table, and the last value of every sequence."""
    found = {}
    with psycopg.connect(database) as connection:
        for schema, name in connection.execute(TABLES).fetchall():
            if name in LOGGED:
                continue
            rows = SQL(
                "SELECT md5(coalesce(string_agg(t::text, '|' ORDER BY t::text), '')) FROM {} t"
            ).format(Identifier(schema, name))
            ((hashed,),) = connection.execute(rows).fetchall()
            found[f"{schema}.{name}"] = hashed
        for schema, name, last in connection.execute(SEQUENCES).fetchall():
            if name != "activity_number_seq":
                found[f"{schema}.{name}"] = str(last)
    return found


def lasting(value: Any) -> Any:
    """A value without what a prediction has otherwise."""
    match value:
        case dict():
            return {name: lasting(each) for name, each in value.items()}
        case list():
            return [lasting(each) for each in value]
        case str():
            return PASSING.sub("…", value)
        case _:
            return value


class Walk:
    """Takes commands through a service, each first as a dry run."""

    def __init__(self, admin: Client, database: str) -> None:
        self._admin, self._database = admin, database
        self._table = admin.app.state.context.table
        self._paths = {
            each.route.row.OF.__name__: each.route.path
            for each in self._table.endpoints
            if isinstance(each.route, One) and each.route.path.endswith("{id}")
        }
        self.walked = set[str]()
        """The names of the commands so far."""

    async def __call__(
        self, client: Client, op: str, body: Any = None, *, outside: bool = False
    ) -> dict[str, Any]:
        """Try a command and then do it; the answer. What the `outside` answers is not told."""
        method, _, path = op.partition(" ")
        route = self._table.find(method, path)[0].route
        assert isinstance(route, Route)
        self.walked.add(route.command.__name__)
        await self._settled()
        before, sent = contents(self._database), len(self._admin.outbox())
        predicted = await client.ask(method, f"{path}?dryRun=true", body)
        assert predicted.status_code == 200, f"{op}: {predicted.text}"
        await self._settled()
        after = contents(self._database)
        changed = [name for name in after if after[name] != before[name]]
        assert not changed, f"{op}: {changed}"
        assert len(self._admin.outbox()) == sent, op
        head = self._admin.app.state.context.ledger.head
        done = await client.ask(method, path, body)
        told = predicted.json()
        assert (done.status_code, done.is_success) == (told["status"], True), f"{op}: {done.text}"
        await self._compare(op, told, done.json(), head, outside=outside)
        return dict(done.json())

    async def _settled(self) -> None:
        """Wait until what was begun is done, and the tables show it."""
        await self._admin.app.state.context.dispatch.drain()
        await self._admin.get("/v1/outbound", headers=await self._admin.caught_up())

    async def _compare(
        self, op: str, told: dict[str, Any], done: dict[str, Any], head: int, *, outside: bool
    ) -> None:
        page = await self._admin.get(f"/v1/events?after={head}&limit=200")
        events = [each for each in page.json()["items"] if each["type"] != "AdminSeen"]
        count = len(told["events"]) if outside else len(events)
        names = ("type", "entity", "streamversion", "actorname", "data")
        happened = [{name: each[name] for name in names} for each in events[:count]]
        expected = [{name: each[name] for name in names} for each in told["events"]]
        assert lasting(expected) == lasting(happened), op
        assert told["leftOut"] == 0, op
        receipt = {name: each for name, each in done.items() if name not in ("position", "key")}
        if outside:
            return
        assert lasting(told["receipt"]) == lasting(receipt), op
        ids = {a["subject"]: b["subject"] for a, b in zip(told["events"], events, strict=True)}
        await self._settled()
        for row in told["rows"]:
            if path := self._paths.get(row["entity"]):
                shown = await self._admin.get(path.format(id=ids.get(row["id"], row["id"])))
                assert lasting(row["after"]) == lasting(shown.json()), op
        journal = await self._admin.get("/v1/journal?sort=position&limit=200")
        posted = [each for each in journal.json()["items"] if each["position"] > head]
        entries = [{**each, "position": 0} for each in posted]
        assert lasting([{**each, "position": 0} for each in told["journal"]]) == lasting(entries), (
            op
        )
        for figures in told["figures"]:
            user = ids.get(figures["userId"], figures["userId"])
            shown = (await self._admin.get(f"/v1/users/{user}")).json()
            for name in ("exposure", "creditBalance"):
                assert figures["after"][name] == shown[name], op

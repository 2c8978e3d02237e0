"""Exports over HTTP: made in the background, fetched in parts, masked, bounded, and let go of."""

import asyncio
import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from api.routes import export_making, export_store
from api.routes.export_store import KEPT, KEPT_MAX, SILENT, ExportStore
from tests.api.conftest import Client, running
from tests.api.routes.test_gate import let_pass

EXPORTS = "/v1/exports"


def may(*resources: str) -> list[dict[str, Any]]:
    return [{"resource": each, "actions": ["read"]} for each in resources]


async def made(client: Client, query: str = "") -> dict[str, Any]:
    """An export that has come to its end."""
    begun = await client.post(EXPORTS + query)
    assert begun.status_code == 202, begun.text
    return await ended(client, begun.headers["location"])


async def ended(client: Client, path: str) -> dict[str, Any]:
    for _ in range(6_000):
        if (now := (await client.get(path)).json())["status"] != "in_progress":
            return dict(now)
        await asyncio.sleep(0.01)
    raise AssertionError("it never ends")


def table(answer: httpx.Response) -> list[dict[str, Any]]:
    assert answer.status_code == 200, answer.text
    return list(pq.read_table(io.BytesIO(answer.content)).to_pylist())


def files(client: Client) -> list[Path]:
    return sorted((client.app.state.settings.home / "attachments").glob("export-*"))


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def test_an_export_is_made_shown_fetched_in_parts_and_let_go_of(admin: Client) -> None:
    await admin.user(1)
    reader = await admin.take_on("halima", *may("events", "users"))
    now = await made(reader)
    assert (now["status"], now["masked"], now["failureReason"]) == ("success", True, None)
    assert now["position"] == now["upto"]
    whole = await reader.get(now["downloadUrl"])
    rows = table(whole)
    assert (len(whole.content), len(rows)) == (now["size"], now["rows"])
    assert {row["entity"] for row in rows} == {"User"}, "what they may read, and nothing else"
    assert {row["body"] for row in rows} == {None}
    registered = next(row for row in rows if row["name"] == "UserRegistered")
    assert '"name":"***"' in registered["data"]
    assert b"Ada" not in whole.content
    etag = whole.headers["etag"]
    assert etag == f'"{now["sha256"]}"'
    got = b""
    for first, last in ((0, 99), (100, 100), (101, now["size"])):
        headers = {"Range": f"bytes={first}-{last}", "If-Range": etag}
        part = await reader.get(now["downloadUrl"], headers=headers)
        assert part.status_code == 206
        got += part.content
    assert got == whole.content
    (sealed,) = files(admin)
    assert sealed.read_bytes()[:4] != b"PAR1"
    listed = (await reader.get(EXPORTS)).json()["items"]
    assert listed == [now]
    one = f"{EXPORTS}/{now['id']}"
    for answer in (await admin.get(one), await admin.get(now["downloadUrl"])):
        assert code(answer) == (404, "not-found"), "it is another's"
    assert (await reader.ask("DELETE", one)).status_code == 200
    assert code(await reader.get(now["downloadUrl"])) == (404, "not-found")
    assert files(admin) == []


async def test_filters_are_those_of_the_log(admin: Client) -> None:
    for number in range(3):
        await admin.user(number)
    now = await made(admin, "?type=UserRegistered")
    rows = table(await admin.get(now["downloadUrl"]))
    assert [row["name"] for row in rows] == ["UserRegistered"] * 3
    wrong = await admin.post(f"{EXPORTS}?type=Nothing")
    assert code(wrong) == (422, "invalid-parameter")
    for body in ({"type": "UserRegistered"}, ["UserRegistered"]):
        unread = await admin.post(EXPORTS, body)
        assert code(unread) == (422, "invalid-fields"), "or more than was wanted would be made"
    none = await made(admin, "?type=LoanRequested")
    assert (none["rows"], table(await admin.get(none["downloadUrl"]))) == (0, [])


async def test_who_sees_persons_gets_them_and_the_log_of_activities_says_so(admin: Client) -> None:
    ada = (await admin.user(1))["id"]
    seer = await admin.take_on("seer", *may("events", "users", "users.pii"))
    now = await made(seer, "?type=UserRegistered")
    (row,) = table(await seer.get(now["downloadUrl"]))
    assert now["masked"] is False
    assert '"name":"Ada"' in row["data"]
    assert "phoneHash" not in row["data"]
    assert row["body"].startswith("{")
    log = "/v1/admin-activity-logs?resource=exports&action=Export"
    lines = (await admin.get(log)).json()["items"]
    assert [each["adminName"] for each in lines] == ["seer"] * 3, "asked for, made, fetched"
    assert [ada in (each["persons"] or ()) for each in lines] == [False, True, False]
    roles = (await admin.get("/v1/admin-roles", headers=await admin.caught_up())).json()
    (role,) = [each["id"] for each in roles["items"] if each["name"] == "seer"]
    for left in (may("events", "users"), may("events", "users.pii")):
        await admin.ask("PATCH", f"/v1/admin-roles/{role}", {"permissions": left})
        assert code(await seer.get(now["downloadUrl"])) == (403, "forbidden")
    masked = await made(admin, "?type=UserRegistered")
    await admin.post(f"/v1/users/{ada}/erase")
    for client, path in ((seer, now["downloadUrl"]), (admin, masked["downloadUrl"])):
        assert code(await client.get(path)) == (404, "not-found"), "somebody was erased since"
    assert files(admin) == []


async def test_an_admin_has_a_few_exports_for_a_day(admin: Client) -> None:
    reader = await admin.take_on("halima", *may("events", "users"))
    begun = [await reader.post(EXPORTS) for _ in range(KEPT_MAX + 1)]
    assert [each.status_code for each in begun] == [202] * KEPT_MAX + [409]
    assert code(begun[-1]) == (409, "too-many-exports")
    assert (await made(admin))["status"] == "success", "another admin has their own"
    clerk = await admin.take_on("clerk", *may("users"))
    assert code(await clerk.post(EXPORTS)) == (403, "forbidden")
    for each in begun[:-1]:
        assert (await ended(reader, each.headers["location"]))["status"] == "success"
    assert len(files(admin)) >= KEPT_MAX
    context = admin.app.state.context
    let_pass(admin, hours=KEPT / timedelta(hours=1) + 0.01)
    await ExportStore(context).sweep()
    assert files(admin) == []
    assert await context.pool.rows("SELECT id FROM ledger.exports") == []


async def test_what_cannot_be_made_says_why_and_leaves_room(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_making, "BYTES_MAX", 100)
    async with running(database) as admin:
        for _ in range(KEPT_MAX + 1):
            now = await made(admin)
            assert (now["status"], now["downloadUrl"]) == ("failed", None)
            assert "ask for less of the log" in now["failureReason"]
            file = await admin.get(f"{EXPORTS}/{now['id']}/file")
            assert code(file) == (409, "export-not-ready")
        assert files(admin) == []
        monkeypatch.setattr(export_making, "BYTES_MAX", 2**30)

        async def dies(*_: object) -> bool:
            await asyncio.sleep(3600)
            return True

        monkeypatch.setattr(export_store.ExportStore, "advance", dies)
        path = (await admin.post(EXPORTS)).headers["location"]
        assert (await admin.get(path)).json()["status"] == "in_progress"
        let_pass(admin, seconds=SILENT.total_seconds() + 1)
        left = (await admin.get(path)).json()
        assert (left["status"], left["failureReason"]) == ("failed", "It was interrupted.")

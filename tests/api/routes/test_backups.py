"""Backups over HTTP: begun, made by the clock, looked at, fetched, put away; the switch."""

import asyncio
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import pytest

from api.config.backup_files import backup_worker
from rim_ledger import storage
from rim_ledger.notifications.alert import AlertType
from rim_ledger.schedule import tick
from rim_ledger.system.backup_worker import BackupWorker
from tests.api.conftest import ADA, WORLD, Client, running
from tests.api.pipeline.test_commands import code
from tests.api.routes.test_alerts import measured

ALL, SETTINGS, SWITCH = "/v1/backups", "/v1/backup-settings", "/v1/outbound"


pytestmark = pytest.mark.begun_now


def keeper(admin: Client) -> BackupWorker:
    """Whoever makes the backups, as the clock has it."""
    context, settings = admin.app.state.context, admin.app.state.settings
    return backup_worker(settings, settings.database_url, context.ledger)


async def clock(admin: Client, **later: float) -> int:
    """What the clock does at one moment, to its end."""
    archive = keeper(admin)
    done = await tick(admin.app.state.context.dispatch, WORLD.now() + timedelta(**later), archive)
    await archive.drain()
    return done


async def row(admin: Client, path: str) -> dict[str, Any]:
    answer = await admin.get(path, headers=await admin.caught_up())
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


async def begin(admin: Client, **wish: Any) -> str:
    answer = await admin.post(ALL, wish)
    assert answer.status_code == 201, answer.text
    return f"{ALL}/{answer.json()['id']}"


def files(admin: Client) -> list[Path]:
    return sorted((admin.app.state.settings.home / "backups").glob("*"))


async def test_a_backup_is_begun_by_the_request_and_made_by_the_clock(admin: Client) -> None:
    path = await begin(admin, type="incremental", name="Before the move")
    waiting = await row(admin, path)
    assert (waiting["status"], waiting["size"], waiting["downloadUrl"]) == (
        "in_progress",
        None,
        None,
    )
    assert code(await admin.post(ALL, {"type": "full"})) == (409, "backup-in-progress")
    assert await clock(admin) == 1
    made = await row(admin, path)
    (file,) = files(admin)
    assert (made["name"], made["type"], made["status"]) == (
        "Before the move",
        "full",
        "success",
    )
    assert made["promoted"] == "There is no backup to go on from."
    assert (made["size"], made["retentionDays"]) == (file.stat().st_size, 30)
    assert made["events"] == made["position"] == int(waiting["position"] or made["position"])
    assert made["createdAt"] <= made["completedAt"] == made["verifiedAt"]
    assert made["downloadUrl"] == f"{path}/download"
    assert (await row(admin, SETTINGS))["lastBackup"] == made["completedAt"]
    more = await row(admin, await begin(admin, type="incremental"))
    assert (more["type"], more["parentId"]) == ("incremental", made["id"])
    await clock(admin)
    listed = (await row(admin, f"{ALL}?status=success&sort=createdAt"))["items"]
    assert [each["id"] for each in listed] == [made["id"], more["id"]]
    assert listed[1]["events"] == listed[1]["position"] - made["position"]


async def test_a_backup_is_read_again_and_a_damage_is_told(admin: Client) -> None:
    path = await begin(admin)
    await clock(admin)
    assert (await admin.post(f"{path}/verify")).status_code == 200
    assert (await row(admin, path))["verifying"] is True
    assert code(await admin.post(f"{path}/verify")) == (409, "already-done")
    await clock(admin)
    again = await row(admin, path)
    assert (again["verifying"], again["failureReason"]) == (False, None)
    assert again["verifiedAt"] > again["completedAt"]
    (file,) = files(admin)
    content = bytearray(file.read_bytes())
    content[-5] ^= 1
    file.write_bytes(content)
    await admin.post(f"{path}/verify")
    await clock(admin)
    damaged = await row(admin, path)
    assert (damaged["status"], damaged["verifiedAt"]) == ("failed", None)
    assert "was changed or damaged" in damaged["failureReason"]
    assert damaged["failedAt"] > damaged["completedAt"]
    assert damaged["downloadUrl"] is None
    listed = (await row(admin, f"{ALL}?status=failed"))["items"]
    assert [each["id"] for each in listed] == [damaged["id"]]
    assert code(await admin.post(f"{path}/download")) == (409, "backup-failed")
    assert await measured(admin, AlertType.SYSTEM_ERROR) == 1
    following = await begin(admin, type="incremental")
    promoted = await row(admin, following)
    assert (promoted["type"], promoted["parentId"]) == ("full", None)
    await clock(admin)
    assert (await row(admin, following))["status"] == "success"
    assert await measured(admin, AlertType.SYSTEM_ERROR) == 0, "one has succeeded since"
    content[-5] ^= 1
    file.write_bytes(content)
    await admin.post(f"{path}/verify")
    await clock(admin)
    mended = await row(admin, path)
    assert (mended["status"], mended["failedAt"], mended["failureReason"]) == (
        "success",
        None,
        None,
    )


async def test_a_backup_that_could_not_be_made_is_counted_by_an_alert(admin: Client) -> None:
    cloud = {"storageLocation": "cloud", "cloudProvider": "s3"}
    await admin.ask("PATCH", SETTINGS, cloud)
    path = await begin(admin)
    await clock(admin)
    assert await measured(admin, AlertType.SYSTEM_ERROR) == 1
    assert (await admin.ask("DELETE", path)).status_code == 200
    assert await measured(admin, AlertType.SYSTEM_ERROR) == 0


async def test_an_incremental_backup_whose_parent_has_lost_its_file_is_made_a_full_one(
    admin: Client,
) -> None:
    await begin(admin)
    await clock(admin)
    files(admin)[0].unlink()
    path = await begin(admin, type="incremental")
    await clock(admin)
    made = await row(admin, path)
    assert (made["status"], made["type"], made["parentId"]) == ("success", "full", None)
    assert made["promoted"].endswith("cannot be used: its file is gone.")
    assert made["events"] == made["position"]


async def test_the_file_of_a_backup_is_fetched_once_and_the_log_of_activities_says_so(
    admin: Client,
) -> None:
    path = await begin(admin)
    assert code(await admin.post(f"{path}/download")) == (409, "no-backup-file")
    await clock(admin)
    link = (await admin.post(f"{path}/download")).json()["downloadUrl"]
    nobody = Client(admin.http, admin.app)
    got = await nobody.get(link)
    assert (got.status_code, got.content) == (200, files(admin)[0].read_bytes())
    assert int(got.headers["Content-Length"]) == len(got.content)
    assert got.headers["Content-Disposition"].startswith("attachment;")
    assert code(await nobody.get(link)) == (401, "invalid-token")
    assert code(await nobody.get(f"{path}/download")) == (401, "invalid-token")
    actions = await row(admin, "/v1/admin-activity-logs?resource=backups")
    done = {(each["action"], each["details"]["outcome"]) for each in actions["items"]}
    assert {("OfferDownload", "done"), ("OfferDownload", "no-backup-file")} <= done
    assert link.partition("token=")[2] not in actions.__repr__()
    reader = await admin.take_on("reader", {"resource": "backups", "actions": ["read"]})
    assert code(await reader.post(f"{path}/download")) == (403, "forbidden")
    assert code(await reader.post(ALL)) == (403, "forbidden")


async def test_a_download_that_broke_off_goes_on_until_its_last_byte_went(admin: Client) -> None:
    path = await begin(admin)
    await clock(admin)
    whole = files(admin)[0].read_bytes()
    size = len(whole)
    link = (await admin.post(f"{path}/download")).json()["downloadUrl"]
    nobody = Client(admin.http, admin.app)

    async def part(range_: str, **more: str) -> httpx.Response:
        return await nobody.get(link, headers={"Range": range_, **more})

    for _ in range(2):
        head = await nobody.ask("HEAD", link)
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["Content-Length"] == str(size)
        assert head.headers["Accept-Ranges"] == "bytes"
    etag = head.headers["ETag"]
    for asked, first, end in (
        ("bytes=0-0", 0, 1),
        ("bytes=10-99", 10, 100),
        ("BYTES=5-5", 5, 6),
        (f"bytes=0-{size - 2}", 0, size - 1),
    ):
        got = await part(asked, **{"If-Range": etag})
        assert (got.status_code, got.content) == (206, whole[first:end])
        assert got.headers["Content-Range"] == f"bytes {first}-{end - 1}/{size}"
        assert got.headers["ETag"] == etag
    for asked in (f"bytes={size}-", "bytes=-0"):
        behind = await part(asked)
        assert code(behind) == (416, "range-not-satisfiable")
        assert behind.headers["Content-Range"] == f"bytes */{size}"
    rest = await part("bytes=100-", **{"If-Range": etag})
    assert (rest.status_code, rest.content) == (206, whole[100:])
    assert code(await part("bytes=0-0")) == (401, "invalid-token")
    assert (await nobody.ask("HEAD", link)).status_code == 401
    for asked, more in (
        ("bytes=9-5", {}),
        ("bytes=0-1,5-6", {}),
        ("lines=0-1", {}),
        ("bytes=-", {}),
        ("bytes=0-1", {"If-Range": '"another"'}),
    ):
        link = (await admin.post(f"{path}/download")).json()["downloadUrl"]
        got = await part(asked, **more)
        assert (got.status_code, got.content) == (200, whole), asked
        assert code(await part("bytes=0-0")) == (401, "invalid-token")
    link = (await admin.post(f"{path}/download")).json()["downloadUrl"]
    got = await part(f"bytes=-{size + 9}")
    assert (got.status_code, got.content) == (206, whole)


async def test_a_client_that_leaves_on_the_way_may_come_again(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "PART", 256)
    async with running(database) as admin:
        path = await begin(admin)
        await clock(admin)
        whole = files(admin)[0].read_bytes()
        link = (await admin.post(f"{path}/download")).json()["downloadUrl"]
        target, _, query = link.partition("?")
        got, gone = bytearray(), asyncio.Event()

        async def receive() -> dict[str, Any]:
            await gone.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            got.extend(message.get("body", b""))
            if len(got) > 300 or len(got) == len(whole) - 1:
                gone.set()
                await asyncio.sleep(0.01)

        scope = {
            "type": "http",
            "method": "GET",
            "path": target,
            "query_string": query.encode(),
            "headers": [],
            "client": ("127.0.0.1", 1),
        }
        await admin.app(scope, receive, send)
        assert 0 < len(got) < len(whole)
        nobody = Client(admin.http, admin.app)
        rest = await nobody.get(link, headers={"Range": f"bytes={len(got)}-"})
        assert bytes(got) + rest.content == whole
        assert code(await nobody.get(link)) == (401, "invalid-token")


async def test_a_file_that_is_away_does_not_use_up_its_link(admin: Client) -> None:
    path = await begin(admin)
    await clock(admin)
    link = (await admin.post(f"{path}/download")).json()["downloadUrl"]
    (file,) = files(admin)
    away = file.rename(file.with_suffix(".away"))
    assert code(await admin.get(link)) == (503, "storage-unavailable")
    away.rename(file)
    assert (await admin.get(link)).content == file.read_bytes()


async def test_a_backup_is_put_away_with_its_file(admin: Client) -> None:
    full = await begin(admin)
    await clock(admin)
    more = await begin(admin, type="incremental")
    await clock(admin)
    assert code(await admin.ask("DELETE", full)) == (409, "backup-has-children")
    assert len(files(admin)) == 2
    for path in (more, full):
        assert (await admin.ask("DELETE", path)).status_code == 200
        await clock(admin)
    gone = await row(admin, full)
    assert (gone["downloadUrl"], bool(gone["deletedAt"])) == (None, True)
    assert files(admin) == []


async def test_a_store_that_is_not_there_fails_the_backup_with_the_reason(admin: Client) -> None:
    cloud = {"storageLocation": "cloud", "cloudProvider": "s3"}
    assert (await admin.ask("PATCH", SETTINGS, cloud)).status_code == 200
    path = await begin(admin)
    await clock(admin)
    failed = await row(admin, path)
    assert (failed["status"], failed["storageLocation"]) == ("failed", "cloud")
    assert "RIM_BACKUPS" in failed["failureReason"]
    assert (await row(admin, SETTINGS))["lastBackup"] is None


async def test_a_store_that_is_not_there_keeps_no_other_backup_from_being_made(
    admin: Client,
) -> None:
    cloud = {"storageLocation": "cloud", "cloudProvider": "s3"}
    assert (await admin.ask("PATCH", SETTINGS, cloud)).status_code == 200
    lost = await begin(admin)
    await clock(admin)
    await clock(admin)  # What there may be of it there cannot be cleared away.
    local = {"storageLocation": "local"}
    assert (await admin.ask("PATCH", SETTINGS, local)).status_code == 200
    path = await begin(admin)
    await clock(admin)
    assert (await row(admin, path))["status"] == "success"
    assert (await row(admin, lost))["status"] == "failed"
    assert await clock(admin, minutes=2) == 1, "it is tried again later"


async def test_a_backup_that_was_interrupted_is_begun_anew(admin: Client) -> None:
    path = await begin(admin)
    backup = UUID((await row(admin, path))["id"])
    work = asyncio.create_task(keeper(admin).make(backup, lambda *_: work.cancel() and None))
    (ended,) = await asyncio.gather(work, return_exceptions=True)
    assert isinstance(ended, asyncio.CancelledError)
    assert not (places := files(admin)) or "#" in places[0].name, "only aside, if at all"
    assert (await row(admin, path))["status"] == "in_progress"
    await clock(admin)
    assert (await row(admin, path))["status"] == "success"
    assert len(files(admin)) == 1


async def test_the_schedule_makes_what_was_missed_once(admin: Client) -> None:
    before = await row(admin, SETTINGS)
    assert (before["enabled"], before["nextBackup"], before["time"]) == (False, None, "02:00")
    wish = {"enabled": True, "frequency": "daily", "backupType": "full"}
    assert (await admin.ask("PATCH", SETTINGS, wish)).status_code == 200
    due = (await row(admin, SETTINGS))["nextBackup"]
    assert due.endswith("T01:00:00.000000Z")
    assert await clock(admin) == 0
    await clock(admin, days=3)
    await clock(admin, days=3)
    assert len((await row(admin, ALL))["items"]) == 1
    assert (await row(admin, SETTINGS))["nextBackup"] > due
    bad = await admin.ask("PATCH", SETTINGS, {"time": "24:00"})
    assert code(bad) == (422, "invalid-fields")


async def test_while_nothing_may_leave_no_airtime_and_no_message_does(admin: Client) -> None:
    other = await admin.take_on_superadmin("bola")
    user = await admin.user(1)
    wish = {"userId": user["id"], "amount": 500, "network": "MTN"}
    loan = f"/v1/loans/{(await admin.post('/v1/loans', wish)).json()['id']}"
    assert (await other.post(f"{loan}/approve")).status_code == 200
    assert (await row(admin, SWITCH))["enabled"] is True
    stop = await admin.post(SWITCH, {"enabled": False, "reason": "a drill"})
    assert stop.status_code == 200
    shown = await row(admin, SWITCH)
    assert (shown["enabled"], shown["reason"]) == (False, "a drill")
    assert code(await other.post(f"{loan}/disburse")) == (409, "outbound-stopped")
    roles = (await row(admin, "/v1/admin-roles"))["items"]
    invited = {"username": "new", "email": ADA["email"], "roleId": roles[0]["id"]}
    assert code(await admin.post("/v1/admin-users", invited)) == (409, "outbound-stopped")
    assert admin.outbox() == []
    await admin.post(SWITCH, {"enabled": True})
    assert (await admin.post("/v1/admin-users", invited)).status_code == 201
    assert (await other.post(f"{loan}/disburse")).status_code == 200
    assert len(admin.outbox()) == 1
    assert (await row(admin, loan))["disbursement"] == "delivered"


async def test_a_top_up_that_was_asked_for_before_waits_until_something_may_leave(
    admin: Client,
) -> None:
    other = await admin.take_on_superadmin("bola")
    user = await admin.user(phone="08031239002")
    wish = {"userId": user["id"], "amount": 500, "network": "MTN"}
    loan = f"/v1/loans/{(await admin.post('/v1/loans', wish)).json()['id']}"
    await other.post(f"{loan}/approve")
    await other.post(f"{loan}/disburse")
    assert (await row(admin, loan))["disbursement"] == "unknown"
    await admin.post(SWITCH, {"enabled": False})
    await clock(admin, seconds=30)
    assert (await row(admin, loan))["disbursement"] == "unknown", "nobody asked the telco"
    await admin.post(SWITCH, {"enabled": True})
    await clock(admin, seconds=120)
    assert (await row(admin, loan))["disbursement"] == "delivered"

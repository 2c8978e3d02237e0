"""Files of tickets: taken in, served to those who may read the ticket, gone with the person."""

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import pytest

from projections.follow.rebuild import rebuild
from tests.api.conftest import Client, vault_of
from tests.api.routes.files import gif, jpeg, png
from tests.api.routes.test_support import Context

Files = dict[str, tuple[str, bytes]]
MIB = 1024 * 1024


def one(name: str, content: bytes) -> Files:
    return {"file": (name, content)}


def kept(client: Client) -> list[Path]:
    """The files in the store, whatever they are named."""
    place = client.app.state.context.storage._url.removeprefix("file://")
    return [each for each in Path(place).rglob("*") if each.is_file()]


async def test_a_file_goes_with_a_message_and_comes_back_as_it_was(admin: Client) -> None:
    context = await Context(admin).begin()
    path = f"/v1/tickets/{await context.open()}"
    content = b"%PDF-1.7\n" + bytes(range(256)) * 1000
    sent = await admin.post(f"{path}/attachments", files=one("../März.pdf", content))
    assert sent.status_code == 201, sent.text
    told = sent.json()
    assert sent.headers["Location"] == told["url"]
    shown = {"name": "März.pdf", "size": len(content), "type": "application/pdf"}
    assert {**told, **shown, "sha256": hashlib.sha256(content).hexdigest()} == told
    body = {"message": "Please see this.", "attachmentIds": [told["id"]]}
    assert (await admin.post(f"{path}/messages", body)).status_code == 200
    twice = await admin.post(f"{path}/messages", body)
    assert (twice.status_code, twice.json()["code"]) == (422, "unknown-attachment")
    (message,) = await context.items(f"{path}/messages")
    (file,) = message["attachments"]
    own = {"id": told["id"], "url": told["url"], "messageId": message["id"]}
    assert file == own | shown
    got = await admin.get(file["url"])
    assert (got.status_code, got.content) == (200, content)
    assert got.headers["Content-Type"] == "application/pdf"
    assert got.headers["X-Content-Type-Options"] == "nosniff"
    named = got.headers["Content-Disposition"]
    assert named == "attachment; filename=\"M_rz.pdf\"; filename*=UTF-8''M%C3%A4rz.pdf"
    assert len(got.content) == int(got.headers["Content-Length"])
    for asked, first, end in (("bytes=70000-", 70_000, len(content)), ("bytes=9-99", 9, 100)):
        part = await admin.get(file["url"], headers={"Range": asked})
        assert (part.status_code, part.content) == (206, content[first:end])
        assert part.headers["ETag"] == f'"{told["sha256"]}"'
    head = await admin.ask("HEAD", file["url"])
    assert (head.status_code, head.content) == (200, b"")
    (stored,) = kept(admin)
    assert stored.name == told["id"]
    assert b"%PDF" not in stored.read_bytes()
    history = await context.items(f"{path}/history?sort=timestamp")
    assert (history[1]["action"], history[1]["details"]) == ("AttachmentAdded", "März.pdf")


async def test_a_rebuild_finds_the_same_and_leaves_the_files_alone(
    admin: Client, database: str
) -> None:
    context = await Context(admin).begin()
    path = f"/v1/tickets/{await context.open()}"
    sent = await admin.post(f"{path}/attachments", files=one("a.txt", b"It did not come."))
    body = {"message": "See this.", "attachmentIds": [sent.json()["id"]]}
    assert (await admin.post(f"{path}/messages", body)).status_code == 200
    (before,) = await context.items(f"{path}/messages")
    (stored,) = kept(admin)
    as_it_was = stored.read_bytes(), stored.stat().st_mtime_ns
    rebuilt = await rebuild(database, vault_of(database))
    assert (rebuilt.differences, rebuilt.swapped) == ((), True)
    assert [before] == await context.items(f"{path}/messages")
    assert kept(admin) == [stored]
    assert as_it_was == (stored.read_bytes(), stored.stat().st_mtime_ns)
    assert (await admin.get(before["attachments"][0]["url"])).content == b"It did not come."


@pytest.mark.parametrize(
    ("files", "status", "code"),
    [
        (one("a.png", b"<html></html>"), 415, "unsupported-attachment"),
        (one("a.svg", b"<svg/>"), 415, "unsupported-attachment"),
        (one("../../etc/passwd", b"root"), 415, "unsupported-attachment"),
        (one("a.png", png(32_000, 32_000)), 422, "image-too-large"),
        (one("a.txt", b""), 422, "no-file"),
        (one("a.txt", b"x" * (10 * MIB + 1)), 413, "attachment-too-large"),
        (one("a.txt", b"x" * 11 * MIB), 413, "attachment-too-large"),
        ({"a": ("a.txt", b"x"), "b": ("b.txt", b"x")}, 422, "no-file"),
    ],
)
async def test_what_is_no_good_file_is_refused_and_leaves_nothing(
    admin: Client, files: Files, status: int, code: str
) -> None:
    context = await Context(admin).begin()
    ticket = await context.open()
    sent = await admin.post(f"/v1/tickets/{ticket}/attachments", files=files)
    assert (sent.status_code, sent.json()["code"]) == (status, code)
    assert kept(admin) == []
    assert (await context.row(f"/v1/tickets/{ticket}"))["messageCount"] == 0
    assert len(await context.items(f"/v1/tickets/{ticket}/history")) == 1


@pytest.mark.parametrize(
    ("media", "body", "status", "code"),
    [
        ("application/json", b"{}", 415, "unsupported-media-type"),
        ("multipart/form-data", b"--x--", 400, "malformed-multipart"),
        ("multipart/form-data; boundary=x", b"no form at all", 400, "malformed-multipart"),
        ("multipart/form-data; boundary=x", b"", 400, "malformed-multipart"),
        ("multipart/form-data; boundary=x", b"--x\r\n", 400, "malformed-multipart"),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.txt"\r\n\r\nhello',
            400,
            "malformed-multipart",
        ),
        (
            "multipart/form-data; boundary=x",
            b'--x\r\nContent-Disposition: form-data; name="file"\r\n\r\nhello\r\n--x--\r\n',
            422,
            "no-file",
        ),
        (
            "multipart/form-data; boundary=x",
            b"--x\r\nContent-Disposition: form-data; name=f; filename=a\r\n\r\n\r\n" * 2,
            422,
            "no-file",
        ),
    ],
)
async def test_a_body_that_is_no_whole_form_is_refused(
    admin: Client, media: str, body: bytes, status: int, code: str
) -> None:
    context = await Context(admin).begin()
    path = f"/v1/tickets/{await context.open()}/attachments"
    sent = await admin.post(path, content=body, headers={"Content-Type": media})
    assert (sent.status_code, sent.json()["code"]) == (status, code)


async def test_the_largest_file_and_five_of_them_are_taken(admin: Client) -> None:
    context = await Context(admin).begin()
    path = f"/v1/tickets/{await context.open()}"
    whole = b"x" * 10 * MIB
    contents = [whole, png(), jpeg(), gif(), b"words", b"more words"]
    names = ["a.txt", "a.png", "a.jpg", "a.gif", "b.txt", "c.txt"]
    ids = []
    for name, content in zip(names, contents, strict=True):
        sent = await admin.post(f"{path}/attachments", files=one(name, content))
        assert sent.status_code == 201, sent.text
        ids.append(sent.json()["id"])
    six = await admin.post(f"{path}/messages", {"message": "All", "attachmentIds": ids})
    assert (six.status_code, six.json()["code"]) == (422, "invalid-fields")
    body = {"message": "Five", "attachmentIds": ids[:5]}
    assert (await admin.post(f"{path}/messages", body)).status_code == 200
    for file, content in zip(ids, contents, strict=True):
        got = await admin.get(f"{path}/attachments/{file}")
        assert got.content == content


async def test_a_file_is_served_to_those_only_who_see_its_ticket(admin: Client) -> None:
    context = await Context(admin).begin()
    eve = await context.agent("eve", department=await context.department("Other"))
    ours, nobodys = await context.open(department=context.billing), await context.open()
    path = f"/v1/tickets/{ours}/attachments"
    file = (await admin.post(path, files=one("a.txt", b"words"))).json()["id"]
    assert (await admin.get(f"{path}/{file}")).status_code == 200
    assert (await eve.get(f"{path}/{file}")).status_code == 404
    for other in (f"/v1/tickets/{nobodys}/attachments/{file}", f"{path}/x", f"{path}/{ours}"):
        assert (await admin.get(other)).status_code == 404
    nobody = Client(admin.http, admin.app)
    assert (await nobody.get(f"{path}/{file}")).status_code == 401
    assert (await nobody.post(path, files=one("a.txt", b"words"))).status_code == 401


async def test_a_file_is_served_to_those_only_who_may_see_persons_and_leaves_a_line(
    admin: Client,
) -> None:
    context = await Context(admin).begin()
    path = f"/v1/tickets/{await context.open()}/attachments"
    file = (await admin.post(path, files=one("ada.txt", b"I am Ada"))).json()
    reader = await admin.take_on(
        "reader",
        {"resource": "tickets", "actions": ["read"]},
        {"resource": "tickets.all", "actions": ["read"]},
    )
    denied = await reader.get(file["url"])
    assert (denied.status_code, denied.json()["code"]) == (403, "forbidden")
    assert (await admin.get(file["url"])).status_code == 200
    log = (await admin.get("/v1/admin-activity-logs?action=Export")).json()["items"]
    found = [(each["adminName"], each["details"]["outcome"]) for each in log]
    assert found == [("admin", "done"), ("reader", "forbidden")]


async def test_a_key_takes_a_file_in_once(admin: Client) -> None:
    context = await Context(admin).begin()
    path = f"/v1/tickets/{await context.open()}/attachments"

    async def send(content: bytes) -> Any:
        key = {"Idempotency-Key": "k"}
        return await admin.post(path, files=one("a.txt", content), headers=key)

    first, again, other = await send(b"one"), await send(b"one"), await send(b"two")
    assert first.json() == again.json()
    assert again.headers["Idempotency-Replayed"] == "true"
    assert (other.status_code, other.json()["code"]) == (422, "idempotency-key-reused")
    assert [each.name for each in kept(admin)] == [first.json()["id"]]
    assert (await admin.get(first.json()["url"])).content == b"one"


async def test_a_key_used_again_costs_nobody_the_file_that_it_took_in(admin: Client) -> None:
    context = await Context(admin).begin()
    ticket = await context.open()
    number = (await context.row(f"/v1/tickets/{ticket}"))["ticketNumber"]

    async def send(name: str) -> Any:
        files, key = one("a.txt", b"words"), {"Idempotency-Key": "k"}
        return await admin.post(f"/v1/tickets/{name}/attachments", files=files, headers=key)

    file = (await send(ticket)).json()
    elsewhere = await send(number)
    assert (elsewhere.status_code, elsewhere.json()["code"]) == (422, "idempotency-key-reused")
    assert (await admin.get(file["url"])).content == b"words"
    for command in ("resolve", "close"):
        body = {"resolution": "done"} if command == "resolve" else None
        assert (await admin.post(f"/v1/tickets/{ticket}/{command}", body)).status_code == 200
    again = await send(ticket)
    assert (again.status_code, again.json()) == (201, file)


async def test_a_closed_ticket_takes_no_file_and_an_open_one_twenty_without_a_message(
    admin: Client,
) -> None:
    context = await Context(admin).begin()
    path = f"/v1/tickets/{await context.open()}"
    sent = await asyncio.gather(
        *(admin.post(f"{path}/attachments", files=one("a.txt", b"x")) for _ in range(24))
    )
    assert sorted(each.status_code for each in sent) == [201] * 20 + [409] * 4
    assert len(kept(admin)) == 20
    await admin.post(f"{path}/resolve", {"resolution": "done"})
    await admin.post(f"{path}/close")
    late = await admin.post(f"{path}/attachments", files=one("a.txt", b"x"))
    assert (late.status_code, late.json()["code"]) == (409, "invalid-transition")


async def test_the_files_of_an_erased_person_are_gone(admin: Client) -> None:
    context = await Context(admin).begin()
    path = f"/v1/tickets/{await context.open()}"
    file = (await admin.post(f"{path}/attachments", files=one("a.txt", b"words"))).json()
    body = {"message": "See this", "attachmentIds": [file["id"]]}
    await admin.post(f"{path}/messages", body)
    erase = f"/v1/users/{context.customer}/erase"
    busy = await admin.post(erase)
    assert (busy.status_code, busy.json()["code"]) == (409, "unresolved-tickets")
    await admin.post(f"{path}/resolve", {"resolution": "done"})
    assert (await admin.post(erase)).status_code == 200
    assert (await admin.get(file["url"])).status_code == 404
    row = await context.row(path)
    assert (row["subject"], row["description"], row["customerName"]) == (None, None, None)
    (message,) = await context.items(f"{path}/messages")
    assert (message["message"], message["attachments"][0]["name"]) == (None, None)
    gone = await admin.post(f"{path}/attachments", files=one("a.txt", b"words"))
    assert (gone.status_code, gone.json()["code"]) == (409, "erased")


async def test_a_stored_file_that_was_changed_or_lost_is_not_served(admin: Client) -> None:
    context = await Context(admin).begin()
    path = f"/v1/tickets/{await context.open()}/attachments"
    file = (await admin.post(path, files=one("a.txt", b"words"))).json()
    (stored,) = kept(admin)
    stored.write_bytes(stored.read_bytes()[:-1] + b"?")
    changed = await admin.get(file["url"])
    assert (changed.status_code, changed.json()["code"]) == (500, "internal-error")
    stored.unlink()
    lost = await admin.get(file["url"])
    assert (lost.status_code, lost.json()["code"]) == (503, "storage-unavailable")

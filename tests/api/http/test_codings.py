"""Bodies that are packed, or written in other characters, on every kind of route that takes one."""

import codecs
import gzip
import json
from typing import Any

import httpx
import pytest

from tests.api.conftest import ADA, PASSWORD, Client
from tests.api.routes.test_bulk import register
from tests.api.routes.test_callbacks import Gateway, gateway, paid
from tests.api.routes.test_support import Context

JSON, NDJSON = "application/json", "application/x-ndjson"
GZIP = {"content_encoding": "gzip"}


async def send(
    client: Client, path: str, body: bytes, media_type: str = JSON, **more: str
) -> httpx.Response:
    headers = {"content-type": media_type} | {k.replace("_", "-"): v for k, v in more.items()}
    return await client.post(path, content=body, headers=headers)


async def pack(client: Client, path: str, body: bytes, media_type: str = JSON) -> httpx.Response:
    return await send(client, path, gzip.compress(body), media_type, content_encoding="gzip")


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def lines(*commands: dict[str, Any], end: str = "\n") -> str:
    return end.join(json.dumps(each, ensure_ascii=False) for each in commands)


async def test_a_command_may_be_packed_and_is_utf_8(admin: Client) -> None:
    ada = json.dumps(ADA).encode()
    for said in ("application/json; charset=utf-16", "application/json;charset=latin1"):
        assert code(await send(admin, "/v1/users", ada, said)) == (
            415,
            "unsupported-media-type",
        )
    for coding in ("br", "gzip, gzip", "deflate"):
        refused = await send(admin, "/v1/users", ada, content_encoding=coding)
        assert code(refused) == (415, "unsupported-content-encoding")
        assert "gzip" in refused.json()["detail"]
    packed = gzip.compress(ada)
    for body in (ada, packed[:-4], packed[:10] + packed[12:]):
        broken = await send(admin, "/v1/users", body, content_encoding="gzip")
        assert code(broken) == (400, "malformed-encoding")
    bomb = await pack(admin, "/v1/users", b" " * 8 * 1024 * 1024)
    assert code(bomb) == (413, "body-too-large")
    keyed = {"idempotency_key": "k-1", "media_type": 'application/json; charset="UTF-8"'}
    made = await send(admin, "/v1/users", packed, content_encoding="X-Gzip", **keyed)
    assert made.status_code == 201, made.text
    again = await send(admin, "/v1/users", ada, content_encoding="identity", **keyed)
    assert (again.json(), again.headers["idempotency-replayed"]) == (made.json(), "true")


async def test_forms_that_are_no_commands_may_be_packed_as_well(admin: Client) -> None:
    form = json.dumps({"username": "admin", "password": PASSWORD}).encode()
    assert (await pack(admin, "/v1/auth/login", form)).status_code == 200
    assert (await pack(admin, "/v1/tickets/auto-assign", b"{}")).status_code == 200
    wrong = await send(admin, "/v1/auth/login", form, "application/json; charset=utf-7")
    assert code(wrong) == (415, "unsupported-media-type")


@pytest.mark.parametrize("query", ["", "?atomic=true"])
async def test_bulk_is_read_in_what_it_was_written_in(admin: Client, query: str) -> None:
    async def names(number: int, body: bytes, charset: str = "", **more: str) -> None:
        said = NDJSON + (f"; charset={charset}" if charset else "")
        answer = await send(admin, "/v1/bulk" + query, body, said, **more)
        (done,) = map(json.loads, answer.text.splitlines())
        assert (done["line"], done["status"]) == (1, 201), answer.text
        shown = await admin.get(
            f"/v1/users/{done['receipt']['id']}", headers=await admin.caught_up()
        )
        assert shown.json()["name"] == f"Zénith {number}"

    def text(number: int) -> str:
        line = register(number)
        return lines(line | {"body": line["body"] | {"name": f"Zénith {number}"}}) + "\n"

    await names(1, codecs.BOM_UTF8 + text(1).encode())
    await names(2, codecs.BOM_UTF16_LE + text(2).encode("utf-16-le"))
    await names(3, text(3).encode("utf-16-be"), "utf-16")
    await names(4, text(4).encode("latin-1"), "ISO-8859-1")
    await names(5, text(5).encode("cp1252"), '"windows-1252"')
    await names(6, gzip.compress(text(6).encode("latin-1")), "iso-8859-1", **GZIP)
    for said, status in (("; charset=koi8-r", 415), ("", 400)):
        wrong = await send(admin, "/v1/bulk" + query, text(7).encode("latin-1"), NDJSON + said)
        answers = [json.loads(each) for each in wrong.text.splitlines()]
        assert [each["status"] for each in answers] == [status]


async def test_a_bulk_file_that_breaks_off_says_so_after_what_it_did(admin: Client) -> None:
    packed = gzip.compress((lines(register(1), register(2)) + "\n").encode())
    broken = await send(admin, "/v1/bulk", packed[:-8], NDJSON, **GZIP)
    answers = [json.loads(each) for each in broken.text.splitlines()]
    assert [each["status"] for each in answers] == [201, 201, 400]
    assert answers[-1]["problem"]["code"] == "malformed-encoding"
    whole = await send(admin, "/v1/bulk?atomic=true", packed[:-8], NDJSON, **GZIP)
    assert code(whole) == (400, "malformed-encoding")
    utf_32 = lines(register(3)).encode("utf-32")
    (said,) = (await send(admin, "/v1/bulk", utf_32, NDJSON)).text.splitlines()
    assert json.loads(said)["status"] == 415


async def test_a_statement_may_be_packed_and_is_known_again(admin: Client) -> None:
    csv = "date,reference,amount,provider,narration\n2026-01-05,R-1,100.00,zénith,x\n"
    path, latin = "/v1/statements", "text/csv; charset=iso-8859-1"
    first = await send(admin, path, csv.encode("latin-1"), latin)
    assert first.status_code == 201, first.text
    shown = await admin.get(f"{path}/{first.json()['id']}", headers=await admin.caught_up())
    assert [each["provider"] for each in shown.json()["items"]] == ["zénith"]
    again = await pack(admin, path, csv.encode(), "text/csv")
    assert (again.status_code, again.json()) == (200, first.json())
    refused = await send(admin, path, csv.encode("latin-1"), "text/csv")
    assert code(refused) == (415, "unsupported-media-type")
    assert "charset" in refused.json()["detail"]


async def test_a_form_with_a_file_may_be_packed_but_no_file_in_it(admin: Client) -> None:
    context = await Context(admin).begin()
    path = f"/v1/tickets/{await context.open()}/attachments"

    def form(*more: str) -> bytes:
        head = ['Content-Disposition: form-data; name="file"; filename="März.txt"', *more]
        return "\r\n".join(["--x", *head, "", "hello", "--x--", ""]).encode()

    kind = "multipart/form-data; boundary=x"
    taken = await pack(admin, path, form(), kind)
    assert (taken.status_code, taken.json()["size"]) == (201, 5), taken.text
    plain = await send(admin, path, form("Content-Transfer-Encoding: 8bit"), kind)
    assert (plain.status_code, plain.json()["name"]) == (201, "März.txt")
    for more in ("Content-Encoding: gzip", "Content-Transfer-Encoding: base64"):
        refused = await send(admin, path, form(more), kind)
        assert code(refused) == (415, "unsupported-content-encoding")
    refused = await send(admin, path, form(), f"{kind}; charset=iso-8859-1")
    assert code(refused) == (415, "unsupported-media-type")
    bomb = form().replace(b"hello", b"x" * 11 * 1024 * 1024)
    assert code(await pack(admin, path, bomb, kind)) == (413, "attachment-too-large")


async def test_a_callback_is_signed_over_the_bytes_that_were_sent(admin: Client) -> None:
    provider, _ = await gateway(admin)
    body = json.dumps(paid()).encode()
    packed = gzip.compress(body)
    unknown = await provider.call(packed, content_encoding="gzip")
    assert code(unknown) == (404, "not-found"), "it was believed and read"
    stranger = Gateway(admin, provider.path.rpartition("/")[2])
    for wrong in (packed, packed[:-1], body):
        refused = await stranger.call(wrong, secret="another", content_encoding="gzip")
        assert code(refused) == (401, "unauthenticated")
    broken = await provider.call(packed[:-1], content_encoding="gzip", key="m-2")
    assert code(broken) == (400, "malformed-encoding")
    bomb = gzip.compress(b" " * 1024 * 1024)
    too_large = await provider.call(bomb, content_encoding="gzip", key="m-3")
    assert code(too_large) == (413, "body-too-large")

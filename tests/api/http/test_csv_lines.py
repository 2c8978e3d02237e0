"""Reading a statement: what is no line of CSV is told line by line, and nothing is lost."""

import codecs
import gzip
from typing import Any

import pytest

from api.http import csv_lines
from api.http.csv_lines import read_lines, receive_file
from api.http.problem import Malformed, TooLarge, WrongType
from api.http.text import TextFile
from rim_ledger.engine.refusals import Invalid
from rim_ledger.payments.statement import Finding
from rim_ledger.payments.statement_matching import StatementLine

HEADER = "date,reference,amount,provider,narration\n"


def read(text: str) -> list[StatementLine | Finding]:
    return list(read_lines(text.splitlines(keepends=True)))


def outcome(line: str) -> str:
    """Why a line is none, or "" when it is one."""
    (found,) = read(HEADER + line + "\n")
    return found.reason or "" if isinstance(found, Finding) else ""


async def receive(*chunks: bytes, charset: str = "", coding: str = "") -> csv_lines.Upload:
    said = f"text/csv; charset={charset}" if charset else "text/csv"
    headers = {b"content-type": said.encode(), b"content-encoding": coding.encode()}
    messages = [{"type": "http.request", "body": each, "more_body": True} for each in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})
    coming = iter(messages)

    async def next_message() -> Any:
        return next(coming)

    return await receive_file(TextFile(next_message, headers, b"text/csv", keep_mark=True))


async def text(*chunks: bytes, **said: str) -> str:
    upload = await receive(*chunks, **said)
    with upload.text:
        return upload.text.read()


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-05,R-1,100.00,paystack,thanks",
        '2026-01-05,R-1,100,paystack,"rent, and ""more"""',
        "2026-01-05T08:00:00+01:00,R-1,0.5,paystack,",
        ' 2026-01-05 , R-1 , 100.0 , pay stack ,"two,fields"',
        '2026-01-05,R-1,100,paystack,to Obi"',
        '2026-01-05,R-1,100,paystack,5" and 6"',
        "2026-01-05,R-1,100,paystack,a\0b",
    ],
)
def test_a_payment_is_read_however_its_line_is_written(line: str) -> None:
    assert outcome(line) == ""


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("05/01/2026,R-1,100,paystack,", "date: a date"),
        ("2026-02-30,R-1,100,paystack,", "date: a date"),
        ("2026-01-05,R-1,100.001,paystack,", "amount: an amount in naira has at most 2"),
        ('2026-01-05,R-1,"1,000",paystack,', "amount: an amount looks like"),
        ("2026-01-05,R-1,-5,paystack,", "amount:"),
        ("2026-01-05,R-1,0,paystack,", "amount:"),
        ("2026-01-05,R-1,NaN,paystack,", "amount:"),
        ("2026-01-05,R-1,99999999999999999999,paystack,", "amount:"),
        ("2026-01-05,,100,paystack,", "reference:"),
        ("2026-01-05,R 1,100,paystack,", "reference:"),
        ("2026-01-05,R-1,100,,", "provider:"),
        ("2026-01-05,R-1,100,a\0b,", "provider:"),
        ("2026-01-05,R-1,100", "This line has 3 fields"),
        ("2026-01-05,R-1,100,paystack,a,b", "This line has 6 fields"),
        ('2026-01-05,R-1,100,paystack,"a"b', "This is not CSV"),
        ('"2026-01-05,R-1,100,paystack,x', "A quote that is opened"),
        ('2026-01-05,"R-1,100,paystack,x', "A quote that is opened"),
    ],
)
def test_what_cannot_be_read_says_why(line: str, words: str) -> None:
    assert words in outcome(line)


NARRATIONS = {
    "both are stray": (['"from Ada', 'to Obi"'], "II"),
    "what is between is swallowed": (["a", '"from Ada', "b", 'to Obi"', "c"], "oIIIo"),
    "never closed": (["a", "b", '"c', "d", "e"], "ooIII"),
    "two that open": (["a", '"b', '"c', "d"], "oIIo"),
    "closed, and opened again": (['"a', 'b","c', "d", 'e"', "f"], "IIIIo"),
    "not CSV, and opened": (['"a"b,"c', "d", 'e"', "f"], "IIIo"),
    "in the middle": (['5"', 'a "b" c', "d"], "ooo"),
    "doubled": (['"a ""b"""', '"a ""b', 'c"" d"', "e"], "oIIo"),
    "alone on its line's end": (['"', '"', "c"], "IIo"),
}


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize(("narrations", "wanted"), NARRATIONS.values(), ids=NARRATIONS)
async def test_a_quote_loses_no_line(narrations: list[str], wanted: str, end: str) -> None:
    lines = [f"2026-01-05,R-{n},100,paystack,{each}" for n, each in enumerate(narrations)]
    whole = (HEADER + "\n".join(lines)).replace("\n", end).encode()
    upload = await receive(whole)
    with upload.text:
        found = list(read_lines(upload.text))
    assert [each.line for each in found] == [*range(1, len(lines) + 1)]
    assert "".join("I" if isinstance(each, Finding) else "o" for each in found) == wanted


def test_what_somebody_wrote_about_a_payment_becomes_none() -> None:
    line = '2026-01-05,R-1,100,paystack,"hello\n2026-01-05,R-9,50000,paystack,x\nbye"\n'
    assert {each.outcome for each in read(HEADER + line) if isinstance(each, Finding)} == {
        "invalid"
    }


def test_lines_of_empty_fields_are_none() -> None:
    rows = [",,,,", " , ,\t,,", '"","","","",""', ",,", "", "\N{NO-BREAK SPACE},,,,"]
    rows.insert(3, "2026-01-05,R-1,100,paystack,")
    (found,) = read(HEADER + "\n".join(rows))
    assert isinstance(found, StatementLine)
    assert found.line == 1


def test_a_second_line_with_the_same_provider_and_reference_is_a_duplicate() -> None:
    text = "2026-01-05,R-1,100,paystack,\n\n2026-01-05,R-1,50,other,\n2026-01-06,r-1,50,PayStack,\n"
    *_, last = read(HEADER + text)
    assert isinstance(last, Finding)
    assert (last.line, last.outcome) == (3, "duplicate")
    assert last.reason == "Line 1 has the same provider and reference."


@pytest.mark.parametrize(
    "header", ["", "date,reference\n", "2026-01-05,R-1,1,p,n\n", '"date\n', HEADER[:-1] + ',"']
)
def test_the_header_names_the_fields(header: str) -> None:
    with pytest.raises(Invalid, match="first line names the fields"):
        read(header)


def test_the_fields_come_in_any_order() -> None:
    (found,) = read("Provider,AMOUNT,reference, date ,narration\npaystack,5,R-1,2026-01-05,x\n")
    assert isinstance(found, StatementLine)


async def test_a_file_is_set_aside_whole_with_its_mark_of_byte_order_left_out() -> None:
    whole = codecs.BOM_UTF8 + HEADER.encode()
    assert await text(whole[:2], whole[2:9], whole[9:]) == HEADER


ZENITH = HEADER + "2026-01-05,R-1,100,z\u00e9nith,\U0001f600 \u20ac\n"
LATIN = ZENITH.replace("\U0001f600 \u20ac", "x")


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 64, 10_000])
@pytest.mark.parametrize(
    ("body", "charset", "wanted"),
    [
        (ZENITH.encode(), "", ZENITH),
        (ZENITH.encode(), '"UTF-8"', ZENITH),
        (codecs.BOM_UTF8 + ZENITH.encode(), "utf8", ZENITH),
        (codecs.BOM_UTF16_LE + ZENITH.encode("utf-16-le"), "", ZENITH),
        (codecs.BOM_UTF16_BE + ZENITH.encode("utf-16-be"), "utf-8", ZENITH),
        (codecs.BOM_UTF16_BE + ZENITH.encode("utf-16-be"), "utf-16", ZENITH),
        (ZENITH.encode("utf-16-le"), "UTF-16", ZENITH),
        (ZENITH.encode("utf-16-be"), "utf-16", ZENITH),
        (ZENITH.encode("utf-16-le"), "utf-16LE", ZENITH),
        (ZENITH.encode("utf-16-be"), "utf-16be", ZENITH),
        (LATIN.encode("latin-1"), "ISO-8859-1", LATIN),
        (
            LATIN.replace("x", "\u20ac").encode("cp1252"),
            "Windows-1252",
            LATIN.replace("x", "\u20ac"),
        ),
    ],
)
async def test_a_file_is_read_in_what_it_was_written_in(
    body: bytes, charset: str, wanted: str, cut: int
) -> None:
    chunks = [body[begin : begin + cut] for begin in range(0, len(body), cut)]
    assert await text(*chunks, charset=charset) == wanted


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        (LATIN.encode("latin-1"), ""),
        (LATIN.encode("latin-1"), "utf-8"),
        (ZENITH.encode()[:-2], ""),
        (ZENITH.encode("utf-16-le")[:-1], "utf-16"),
        (HEADER.encode("utf-16-le") + b"\x00\xd8a\x00", "utf-16"),
        (b"\x81", "windows-1252"),
        (ZENITH.encode("utf-32"), ""),
        (LATIN.encode(), "shift_jis"),
        (LATIN.encode(), "idna"),
        (LATIN.encode(), '""'),
        (LATIN.encode(), "utf-8; charset=utf-16"),
        (LATIN.encode(), "utf-8, text/csv"),
    ],
)
async def test_what_is_written_in_something_else_is_refused(body: bytes, charset: str) -> None:
    with pytest.raises(WrongType, match=r"(?i)utf"):
        await receive(body, charset=charset)


async def test_the_same_text_has_the_same_hash_however_it_is_sent() -> None:
    sent = [
        await receive(LATIN.encode()),
        await receive(LATIN.encode("latin-1"), charset="iso-8859-1"),
        await receive(codecs.BOM_UTF16_LE + LATIN.encode("utf-16-le")),
        await receive(gzip.compress(LATIN.encode()), coding="gzip"),
    ]
    for each in sent:
        each.text.close()
    assert len({each.sha256 for each in sent}) == 1


@pytest.mark.parametrize("coding", ["gzip", " X-GZIP", "identity, gzip"])
async def test_a_file_may_be_packed(coding: str) -> None:
    packed = gzip.compress(HEADER.encode()) + gzip.compress(LATIN[len(HEADER) :].encode())
    assert await text(*[packed[n : n + 1] for n in range(len(packed))], coding=coding) == LATIN
    assert await text(LATIN.encode(), coding="identity") == LATIN
    assert await text(b"", coding=coding) == ""


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "gzip;q=1"])
async def test_a_file_that_is_packed_otherwise_is_refused(coding: str) -> None:
    with pytest.raises(WrongType, match="gzip"):
        await receive(b"", coding=coding)


async def test_what_is_no_gzip_is_refused() -> None:
    packed = gzip.compress(LATIN.encode())
    broken = packed[:-9] + bytes([packed[-9] ^ 1]) + packed[-8:]
    for body in (LATIN.encode(), packed[:-1], packed + b"x", broken):
        with pytest.raises(Malformed, match="not gzip"):
            await receive(body, coding="gzip")


async def test_a_packed_file_has_the_limits_of_what_it_unpacks_to() -> None:
    for body, words in ((b"x" * 70_000, "65536 bytes"), (b"\n" * 200_000, "100000 lines")):
        with pytest.raises(TooLarge, match=words):
            await receive(gzip.compress(body), coding="gzip")
    line = b"x" * 60_000 + b"\n"
    with pytest.raises(TooLarge, match="100 times"):
        await receive(gzip.compress(line * 300), coding="gzip")


async def test_a_line_and_a_file_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooLarge, match="65536 bytes"):
        await receive(b"x" * 65_000, b"x" * 600)
    monkeypatch.setattr(csv_lines, "LINES_MAX", 3)
    for whole in (b"h\n1\n2\n3\n", b"h\n1\n2\n3"):
        (await receive(whole)).text.close()
    for end in (b"\n", b"\r", b"\r\n"):
        (await receive(b"h\n1\n2\n3".replace(b"\n", end))).text.close()
        for whole in (b"h\n1\n2\n3\n4\n", b"h\n1\n2\n3\n4"):
            with pytest.raises(TooLarge, match="3 lines"):
                await receive(*[bytes([each]) for each in whole.replace(b"\n", end)])
    monkeypatch.setattr(csv_lines, "BYTES_MAX", 5)
    (await receive(b"h\n1\n2")).text.close()
    with pytest.raises(TooLarge, match="5 bytes"):
        await receive(b"h\n1\n", b"2\n")

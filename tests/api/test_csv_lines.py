"""Reading a statement: what is no line of CSV is told line by line, and nothing is lost."""

import asyncio
from typing import Any

import pytest

from api.wire import csv_lines
from api.wire.csv_lines import read_lines, receive_file
from api.wire.problem import TooLarge
from rim_ledger.core import Invalid
from rim_ledger.payments.settling import StatementLine
from rim_ledger.payments.statement import Finding

HEADER = "date,reference,amount,provider,narration\n"


def read(text: str) -> list[StatementLine | Finding]:
    return list(read_lines(text.splitlines(keepends=True)))


def outcome(line: str) -> str:
    """Why a line is none, or "" when it is one."""
    (found,) = read(HEADER + line + "\n")
    return found.reason or "" if isinstance(found, Finding) else ""


def receive(*chunks: bytes) -> csv_lines.Upload:
    async def whole() -> csv_lines.Upload:
        messages = [{"type": "http.request", "body": each, "more_body": True} for each in chunks]
        messages.append({"type": "http.request", "body": b"", "more_body": False})
        coming = iter(messages)

        async def next_message() -> Any:
            return next(coming)

        return await receive_file(next_message)

    return asyncio.run(whole())


@pytest.mark.parametrize(
    "line",
    [
        "2026-01-05,R-1,100.00,paystack,thanks",
        '2026-01-05,R-1,100,paystack,"rent, and ""more"""',
        "2026-01-05T08:00:00+01:00,R-1,0.5,paystack,",
        ' 2026-01-05 , R-1 , 100.0 , pay stack ,"two\nlines"',
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
    ],
)
def test_what_cannot_be_read_says_why(line: str, words: str) -> None:
    assert words in outcome(line)


def test_a_quote_that_is_never_closed_loses_no_line() -> None:
    lines = [f"2026-01-05,R-{number},100,paystack,x\n" for number in range(5)]
    lines[2] = lines[2].replace("x", '"x')
    found = read(HEADER + "".join(lines))
    assert [each.line for each in found] == [1, 2, 3, 4, 5]
    assert [isinstance(each, Finding) for each in found] == [False, False, True, True, True]


def test_a_second_line_with_the_same_provider_and_reference_is_a_duplicate() -> None:
    text = "2026-01-05,R-1,100,paystack,\n\n2026-01-05,R-1,50,other,\n2026-01-06,r-1,50,PayStack,\n"
    *_, last = read(HEADER + text)
    assert isinstance(last, Finding)
    assert (last.line, last.outcome) == (3, "duplicate")
    assert last.reason == "Line 1 has the same provider and reference."


@pytest.mark.parametrize("header", ["", "date,reference\n", "2026-01-05,R-1,1,p,n\n", '"date\n'])
def test_the_header_names_the_fields(header: str) -> None:
    with pytest.raises(Invalid, match="first line names the fields"):
        read(header)


def test_the_fields_come_in_any_order() -> None:
    (found,) = read("Provider,AMOUNT,reference, date ,narration\npaystack,5,R-1,2026-01-05,x\n")
    assert isinstance(found, StatementLine)


def test_a_file_is_set_aside_whole_with_its_mark_of_byte_order_left_out() -> None:
    upload = receive(b"\xef\xbb\xbf" + HEADER.encode()[:7], HEADER.encode()[7:], b"x\xff")
    with upload.text:
        assert upload.text.read() == HEADER + "x\N{REPLACEMENT CHARACTER}"


def test_a_line_and_a_file_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TooLarge, match="65536 bytes"):
        receive(b"x" * 65_000, b"x" * 600)
    monkeypatch.setattr(csv_lines, "LINES_MAX", 3)
    for whole in (b"h\n1\n2\n3\n", b"h\n1\n2\n3"):
        receive(whole).text.close()
    for whole in (b"h\n1\n2\n3\n4\n", b"h\n1\n2\n3\n4"):
        with pytest.raises(TooLarge, match="3 lines"):
            receive(whole)

"""Money, phones and times as they travel."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.free_json import FreeJson
from rim_ledger.values import (
    AnyId,
    Id,
    Metadata,
    Money,
    NewId,
    Rate,
    Time,
    day_after,
    derived_id,
    due_date,
    interest,
    moment,
    normal_phone,
)

MONEY, RATE, TIME = TypeAdapter(Money), TypeAdapter(Rate), TypeAdapter(Time)
METADATA, FREE = TypeAdapter(Metadata), TypeAdapter[Any](FreeJson)


@pytest.mark.parametrize(
    ("amount", "rate", "owed"),
    [
        ("100", "15.36", "115.36"),
        ("25", "20.48", "30.12"),
        ("20000", "22.5", "24500.00"),
        ("0.05", "10", "0.05"),
        ("0.15", "10", "0.17"),
    ],
)
def test_the_fee_is_rounded_half_to_even(amount: str, rate: str, owed: str) -> None:
    assert Decimal(amount) + interest(Decimal(amount), Decimal(rate)) == Decimal(owed)


@pytest.mark.parametrize(
    "bad",
    [0, -1, "5", True, None, 0.001, float("nan"), float("inf"), 10**13, Decimal("1e400"), 10**400],
)
def test_what_is_not_money_is_refused(bad: Any) -> None:
    with pytest.raises(ValidationError):
        MONEY.validate_python(bad)


@given(st.decimals("0.01", "999999999999.99", places=2))
def test_money_is_exact_to_the_kobo(amount: Decimal) -> None:
    assert MONEY.validate_python(amount) == amount
    assert MONEY.validate_python(amount).as_tuple().exponent == -2


def test_a_rate_has_six_decimals_and_at_most_1000_percent() -> None:
    assert RATE.validate_python(Decimal("15.123456")) == Decimal("15.123456")
    for bad in (Decimal("15.1234567"), Decimal("1000.01"), Decimal(-1), "15"):
        with pytest.raises(ValidationError):
            RATE.validate_python(bad)


@pytest.mark.parametrize(
    "written",
    ["08031234567", "+2348031234567", "2348031234567", "8031234567", "+23408031234567"]
    + ["00234 803 123 4567", "009234-803-123-4567", "(0803) 123.4567", "０８０３１２３４５６７"],
)
def test_a_phone_is_one_number_however_it_is_written(written: str) -> None:
    assert normal_phone(written) == "+2348031234567"


@pytest.mark.parametrize(
    "bad",
    ["0803123456", "+447911123456", "0800FLOWERS", "08031234567 ext 5", "", "+", "08001234567"],
)
def test_what_is_not_a_nigerian_mobile_is_refused(bad: str) -> None:
    with pytest.raises(ValueError, match=r"mobile|digits"):
        normal_phone(bad)


def test_a_loan_is_due_at_the_end_of_the_lagos_day() -> None:
    late_evening = datetime(2026, 1, 5, 23, 30, tzinfo=UTC)  # already the 6th in Lagos
    assert due_date(late_evening, 30) == datetime(2026, 2, 5, 22, 59, 59, tzinfo=UTC)


@pytest.mark.parametrize(
    ("written", "utc"),
    [
        ("2026-01-05T10:00:00Z", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05t10:00:00z", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05T10:00:00.5+01:00", datetime(2026, 1, 5, 9, 0, 0, 500_000, UTC)),
        ("2026-01-05T10:00:00-00:00", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("2026-01-05T22:59:59.999999999Z", datetime(2026, 1, 5, 22, 59, 59, 999_999, UTC)),
        ("2026-01-05T10:00:00+23:59", datetime(2026, 1, 4, 10, 1, tzinfo=UTC)),
    ],
)
def test_a_time_is_read_as_rfc_3339_has_it(written: str, utc: datetime) -> None:
    assert TIME.validate_python(written) == moment(written) == utc
    assert TIME.validate_python(written).tzinfo is UTC


@pytest.mark.parametrize(
    "bad",
    ["1700000000", "1700000000.5", "-1", "20260105T100000Z", "2026-W02-1T10:00:00Z", "now", ""]
    + ["2026-01-05", "2026-01-05T10:00:00", "2026-01-05T10:00Z", "2026-01-05 10:00:00Z"]
    + ["2026-01-05T10:00:00+0100", "2026-01-05T10:00:00+01", "2026-01-05T10:00:00+24:00"]
    + ["2026-01-05T10:00:00+01:60", "2026-01-05T10:00:00 01:00", "2026-01-05T10:00:00Z "]
    + ["2026-01-05T24:00:00Z", "2026-01-05T10:60:00Z", "2026-12-31T23:59:60Z"]
    + [
        "2026-02-30T10:00:00Z",
        "2026-13-01T10:00:00Z",
        "2026-01-05T10:00:00.Z",
        "2026-01-05T10:00:00,5Z",
    ]
    + ["٢٠٢٦-01-05T10:00:00Z", "2026-01-05T10:00:00Z\n", "2026-01-05T10:00:00z[Africa/Lagos]"]
    + ["0000-01-01T00:00:00Z", "0001-01-01T00:00:00+05:00", "9999-12-31T23:59:59-23:59"],
)
def test_what_is_no_time_of_rfc_3339_is_refused(bad: str) -> None:
    assert moment(bad) is None
    with pytest.raises(ValidationError, match="RFC 3339"):
        TIME.validate_python(bad)


@pytest.mark.parametrize("bad", [5, 1_700_000_000, 1.5, True, None, ["2026-01-05T10:00:00Z"]])
def test_a_time_is_a_text(bad: Any) -> None:
    with pytest.raises(ValidationError, match="RFC 3339"):
        TIME.validate_python(bad)


@pytest.mark.parametrize("last", ["2026-01-05T22:59:59Z", "2026-01-05T22:59:59.999999Z"])
def test_a_lagos_day_ends_when_the_next_begins(last: str) -> None:
    assert day_after(TIME.validate_python(last)) == datetime(2026, 1, 5, 23, tzinfo=UTC)


def test_ids_of_one_process_are_in_the_order_they_were_made() -> None:
    environment = SystemEnvironment()
    ids = [environment.new_id() for _ in range(10_000)]
    assert ids == sorted(set(ids))
    assert {each.version for each in ids} == {7}


@given(st.lists(st.lists(st.text(), min_size=1, max_size=3), min_size=2, max_size=20))
def test_an_id_follows_from_its_words_alone(said: list[list[str]]) -> None:
    ids = {tuple(words): derived_id(*words) for words in said}
    assert len(set(ids.values())) == len(ids)
    assert all(derived_id(*words) == id_ for words, id_ in ids.items())
    assert {(each.version, each.variant) for each in ids.values()} == {(8, RFC_4122)}


def test_nobody_brings_an_id_that_follows_from_other_words() -> None:
    brought = TypeAdapter(NewId)
    assert brought.validate_python("5f2b1c9e-3a67-5d1e-9a35-0b7e2f1d4c11").version == 5
    with pytest.raises(ValidationError, match="version 8"):
        brought.validate_python(str(derived_id("agent", "5f2b1c9e-3a67-4d1e-9a35-0b7e2f1d4c11")))


UUID_TEXT = "0198c1a2-7e5b-7cc3-98c4-dc0c0c07398f"


@pytest.mark.parametrize("kind", [TypeAdapter(Id), TypeAdapter(AnyId), TypeAdapter(NewId)])
def test_a_uuid_has_one_spelling(kind: TypeAdapter[UUID]) -> None:
    assert kind.validate_python(UUID_TEXT) == kind.validate_python(UUID_TEXT.upper())
    bare = UUID_TEXT.replace("-", "")
    for bad in (f"{{{UUID_TEXT}}}", f"urn:uuid:{UUID_TEXT}", bare, f" {UUID_TEXT}", "", 1, None):
        with pytest.raises(ValidationError):
            kind.validate_python(bad)


def test_a_business_id_has_one_spelling() -> None:
    any_id = TypeAdapter(AnyId)
    assert any_id.validate_python("USR-2026-000001") == "USR-2026-000001"
    for bad in (
        "usr-2026-000001",
        "USR-2026-1",
        "USR-२०२६-000001",
        "USR-2026-000001\n",
        "X-2026-000001",
    ):
        with pytest.raises(ValidationError):
            any_id.validate_python(bad)


@pytest.mark.parametrize(
    ("written", "kept"),
    [(Decimal("0.1"), 0.1), (2**53 - 1, 2**53 - 1), (-1.5, -1.5), (True, True), (None, None)],
)
def test_free_json_keeps_what_a_double_holds(written: Any, kept: Any) -> None:
    assert METADATA.validate_python({"x": written}) == {"x": kept}
    assert FREE.validate_python({"x": [written]}) == {"x": [kept]}


@pytest.mark.parametrize(
    "written",
    [
        Decimal("0.1000000000000000055511151231257827"),
        Decimal("1e400"),
        Decimal("1e-400"),
        Decimal("12345678901234567.8"),
        2**53,
        -(2**53),
        10**30,
    ],
)
def test_free_json_rounds_nothing_in_silence(written: Any) -> None:
    for kind, value in [(METADATA, {"x": written}), (FREE, {"a": [{"x": written}]})]:
        with pytest.raises(ValidationError) as error:
            kind.validate_python(value)
        assert error.value.errors()[0]["type"] == "inexact_number"


def test_free_json_has_no_text_that_nobody_sees() -> None:
    for value in ({"x": "a\u200b"}, {"x": "\x1b"}):
        for kind in (METADATA, FREE):
            with pytest.raises(ValidationError):
                kind.validate_python(value)

"""Values of requests: money in naira, rates in percent, phones in E.164, times in UTC."""

import json
import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from typing import Annotated, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

import email_validator
import phonenumbers
from pydantic import AfterValidator, AwareDatetime, BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from rim_ledger.free_json import exact
from rim_ledger.text import Line, Lines, not_blank

LAGOS = ZoneInfo("Africa/Lagos")
KOBO = Decimal("0.01")
ZERO = Decimal("0.00")
LOOPBACK = ("localhost", "127.0.0.1", "::1")
"""The hosts that mean this machine."""
MOBILE = (phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE)


class Network(StrEnum):
    """The telcos whose airtime is lent."""

    MTN = "MTN"
    AIRTEL = "Airtel"
    GLO = "Glo"
    NINE_MOBILE = "9mobile"


def _number(digits: int, places: int, what: str) -> Callable[[Any], Decimal]:
    def read(value: Any) -> Decimal:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise PydanticCustomError("number", f"{what} is a JSON number, such as 100.5")
        number = value if isinstance(value, Decimal) else Decimal(str(value))
        if not number.is_finite():
            raise PydanticCustomError("finite", f"{what} is a finite number")
        if number.adjusted() >= digits:  # also spares the quantize below a huge exponent
            raise PydanticCustomError("too_many_digits", f"{what} has at most {digits} digits")
        if number != (exact := number.quantize(Decimal(1).scaleb(-places))):
            raise PydanticCustomError("decimals", f"{what} has at most {places} decimals")
        if len(exact.as_tuple().digits) > digits:
            raise PydanticCustomError("too_many_digits", f"{what} has at most {digits} digits")
        return exact

    return read


Amount = Annotated[
    Decimal,
    BeforeValidator(_number(14, 2, "an amount in naira")),
    WithJsonSchema({"type": "number", "minimum": 0, "multipleOf": 0.01, "examples": [5000.0]}),
]
Money = Annotated[
    Amount,
    Field(gt=0),
    WithJsonSchema(
        {"type": "number", "exclusiveMinimum": 0, "multipleOf": 0.01, "examples": [5000.0]}
    ),
]
"""Naira, above zero, exact to the kobo, at most 14 digits."""

Limit = Annotated[Amount, Field(ge=0)]
"""Naira, zero or more."""

Threshold = Annotated[
    Decimal,
    BeforeValidator(_number(11, 2, "a threshold")),
    Field(gt=0),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "examples": [10]}),
]
"""A value above zero to compare a measure with, at most two decimals."""

Rate = Annotated[
    Decimal,
    BeforeValidator(_number(10, 6, "an interest rate in percent")),
    Field(ge=0, le=1000),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 1000, "examples": [15]}),
]
"""Percent of the amount for the whole period, 0 to 1000, at most six decimals."""


def interest(amount: Decimal, rate: Decimal) -> Decimal:
    """Return the fee of a loan in naira: amount · rate / 100, half to even at the kobo (domain
    rule)."""
    return (amount * rate / 100).quantize(KOBO, ROUND_HALF_EVEN)


UUID_TEXT: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
"""The one spelling of a UUID, in a path, a body or a filter: no braces, no urn:uuid."""
BUSINESS_ID: Final = re.compile(r"[A-Z]{3,4}-[0-9]{4}-[0-9]{6,12}")


def _uuid(value: Any) -> UUID:
    if isinstance(value, UUID):
        return value
    if isinstance(value, str) and UUID_TEXT.fullmatch(value):
        return UUID(value)
    raise PydanticCustomError(
        "uuid", "an id is a UUID such as 0198c1a2-7e5b-7cc3-98c4-dc0c0c07398f"
    )


Id = Annotated[UUID, BeforeValidator(_uuid), WithJsonSchema({"type": "string", "format": "uuid"})]


DERIVED: Final = 8
"""The version of derived UUIDs (RFC 9562, 5.8)."""


@lru_cache(1_000)
def derived_id(kind: str, *words: object) -> UUID:
    """Return the id derived from these words. Clients may not use such ids, so that none can be
    occupied in advance."""
    said = json.dumps([kind, *map(str, words)]).encode()
    bits = int.from_bytes(sha256(said).digest()[:16])
    variant = bits & ~(0xF << 76) & ~(0b11 << 62) | 0b10 << 62
    return UUID(int=variant | DERIVED << 76)


def _of_a_client(id: UUID) -> UUID:
    if not id.int:
        raise PydanticCustomError("nil_id", "the UUID of zeros stands for nobody")
    if id.version == DERIVED:
        raise PydanticCustomError(
            "derived_id", "UUIDs of version 8 are the ledger's own; bring one of version 4 or 7"
        )
    return id


NewId = Annotated[Id, AfterValidator(_of_a_client)]
"""An id that a client chooses for what it creates."""


def _any_id(value: Any) -> Any:
    if isinstance(value, str) and BUSINESS_ID.fullmatch(value):
        return value
    try:
        return _uuid(value)
    except PydanticCustomError:
        words = "an id is a UUID or a business id such as USR-2026-000001"
        raise PydanticCustomError("id", words) from None


AnyId = Annotated[
    UUID | str,
    BeforeValidator(_any_id),
    WithJsonSchema({"type": "string", "examples": ["USR-2026-000001"]}),
]
"""A UUID, or a business id."""

Note = Annotated[Lines, Field(min_length=1, max_length=2000), AfterValidator(not_blank)]
Text = Annotated[Lines, Field(min_length=1, max_length=10_000), AfterValidator(not_blank)]
"""Free text, stored and returned as it was written."""
Name = Annotated[Line, Field(min_length=1, max_length=200), AfterValidator(not_blank)]
Description = Annotated[Lines, Field(max_length=2000), AfterValidator(str.strip)]
"""A purpose or explanation; may be empty."""
Reference = Annotated[str, Field(min_length=1, max_length=120, pattern=r"^[!-~]+$")]
Word = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.-]+$")]
Tag = Annotated[Word, AfterValidator(str.lower)]
"""A keyword, case-insensitive."""

Metadata = Annotated[
    dict[
        Word,
        Annotated[
            Annotated[Lines, Field(max_length=500)] | int | float | bool | None,
            BeforeValidator(exact),
        ],
    ],
    Field(max_length=50),
]
"""Free fields: 50 at most, a text in them at most 500 characters long."""


RFC_3339: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt]"
    r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]+)?"
    r"([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
)
"""A date-time with an offset. No leap seconds, which no clock here can show."""


def moment(text: str) -> datetime | None:
    """Return the time of a text in RFC 3339, in UTC and truncated to microseconds; None for any
    other text, and for years before 1970 or after 2200. Bodies, queries, files and the command line
    all parse times with this."""
    try:
        time = datetime.fromisoformat(text.upper()) if RFC_3339.fullmatch(text) else None
    except ValueError:  # no such month, or no such day
        return None
    return time.astimezone(UTC) if time and 1970 <= time.year <= 2200 else None


def rfc3339(time: datetime) -> str:
    """Return the text of a time, in UTC and to the microsecond, as answers and rows have it."""
    return f"{time.astimezone(UTC).isoformat(timespec='microseconds')[:26]}Z"


def _time(value: Any) -> datetime:
    if isinstance(value, datetime) and value.tzinfo:
        return value.astimezone(UTC)
    if not isinstance(value, str) or (time := moment(value)) is None:
        raise PydanticCustomError(
            "time", "a time is a text in RFC 3339 with an offset: 2026-01-31T09:00:00+01:00"
        )
    return time


Time = Annotated[AwareDatetime, BeforeValidator(_time)]
"""RFC 3339 with an offset; UTC inside."""


def normal_phone(text: str) -> str:
    """Return a Nigerian mobile number in E.164, from any usual spelling.

    Raises ValueError with the reason. The library alone would accept letters, extensions and
    toll-free numbers.
    """
    plain = unicodedata.normalize("NFKC", text)
    if not re.fullmatch(r"[0-9+().\- ]+", plain):
        raise ValueError("a phone number has only digits and + ( ) . - and spaces")
    plain = re.sub(r"[().\- ]", "", plain)
    plain = re.sub(r"^(009|00)", "+", plain)
    plain = re.sub(r"^\+2340", "+234", plain)
    for pattern in (r"0(\d{10})", r"234(\d{10})", r"(\d{10})"):
        if match := re.fullmatch(pattern, plain):
            plain = "+234" + match[1]
            break
    if not re.fullmatch(r"\+234\d{10}", plain):
        raise ValueError("a Nigerian mobile number looks like +2348031234567 or 08031234567")
    number = phonenumbers.parse(plain)
    if not (
        phonenumbers.is_valid_number_for_region(number, "NG")
        and phonenumbers.number_type(number) in MOBILE
    ):
        raise ValueError("this is not the number of a Nigerian mobile line")
    return plain


def _phone(text: str) -> str:
    try:
        return normal_phone(text)
    except ValueError as error:
        raise PydanticCustomError("phone", str(error)) from None


def _email(text: str) -> str:
    try:
        return email_validator.validate_email(text, check_deliverability=False).normalized
    except email_validator.EmailNotValidError:
        raise PydanticCustomError("email", "an e-mail address looks like ada@example.com") from None


Phone = Annotated[str, Field(max_length=40, examples=["+2348031234567"]), AfterValidator(_phone)]
Email = Annotated[str, Field(max_length=254, examples=["ada@example.com"]), AfterValidator(_email)]


def lagos_day(moment: datetime) -> date:
    """Return the business day of a moment: its date in Lagos."""
    return moment.astimezone(LAGOS).date()


def day_after(moment: datetime) -> datetime:
    """Return the end of a moment's Lagos day: the first moment of the next one, in UTC."""
    return datetime.combine(lagos_day(moment) + timedelta(days=1), time(), LAGOS).astimezone(UTC)


def _day(value: Any) -> date:
    if type(value) is date:
        return value
    if isinstance(value, str):
        if day := moment(f"{value}T00:00:00Z"):
            return day.date()
        if time := moment(value):
            return lagos_day(time)
    raise PydanticCustomError("date", "a day is a date such as 2026-01-31, or a time on it")


Day = Annotated[
    date,
    BeforeValidator(_day),
    WithJsonSchema({"type": "string", "format": "date", "examples": ["2026-01-31"]}),
]
"""A business day, as a date, or as a time (RFC 3339) on that day in Lagos."""


def numbered(prefix: str, year: int, number: int) -> str:
    """Return a business id, such as LOAN-2026-000001."""
    return f"{prefix}-{year}-{number:06}"


def is_past(due_at: datetime, now: datetime) -> bool:
    """Return whether the Lagos day on which something was due is over."""
    return now >= day_after(due_at)


def end_of_day(day: date) -> datetime:
    """Return the last second of a Lagos day, in UTC."""
    return datetime.combine(day, time(23, 59, 59), LAGOS).astimezone(UTC)


def due_date(disbursed_at: datetime, days: int) -> datetime:
    """Return when a loan is due: the Lagos date of its disbursement plus `days`, 23:59:59 Lagos."""
    return end_of_day(lagos_day(disbursed_at) + timedelta(days=days))

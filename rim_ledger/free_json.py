"""Free JSON: fields that no rule reads, in numbers and texts that come back as they were sent."""

from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, JsonValue
from pydantic_core import PydanticCustomError

from rim_ledger.text import one_line, several_lines

SAFE: Final = 2**53 - 1
"""The largest whole number up to which every one of them is a double (RFC 7493, 2.2)."""


def exact(value: Any) -> Any:
    """A value that is no number, or one that a double holds as it was written. Raises
    PydanticCustomError for any other number."""
    if isinstance(value, bool):
        return value
    rounded = isinstance(value, Decimal) and (
        not value.is_finite() or Decimal(repr(float(value))) != value
    )
    if rounded or (isinstance(value, int) and abs(value) > SAFE):
        raise PydanticCustomError(
            "inexact_number",
            "a double cannot hold this number as it was written (RFC 7493); send it as a string",
        )
    return float(value) if isinstance(value, Decimal) else value


def _checked(value: Any) -> Any:
    if isinstance(value, dict):
        return {one_line(name): _checked(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_checked(each) for each in value]
    return several_lines(value) if isinstance(value, str) else exact(value)


FreeJson = Annotated[JsonValue, BeforeValidator(_checked)]
"""Any JSON value."""
FreeObject = Annotated[dict[str, JsonValue], BeforeValidator(_checked)]
"""Fields of any JSON value."""

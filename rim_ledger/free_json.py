"""Free JSON: fields that no rule reads, returned exactly as they were sent."""

from decimal import Decimal
from typing import Annotated, Any, Final

from pydantic import BeforeValidator, JsonValue
from pydantic_core import PydanticCustomError

from rim_ledger.text import one_line, several_lines

SAFE: Final = 2**53 - 1
"""The largest integer up to which every integer is a double (RFC 7493, 2.2)."""


def exact(value: Any) -> Any:
    """Return a value unless it is a number that a double cannot hold exactly. Raises
    PydanticCustomError for such a number."""
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
"""An object of any JSON values."""

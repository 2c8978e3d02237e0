"""Parses the query string, and checks it against a route's parameters."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from api.http.problem import InvalidFields, Malformed
from rim_ledger.near import NAMES_MAX, did_you_mean

QueryParams = Mapping[str, list[str]]
"""The values of each parameter, in order."""


def parameters_in(query: bytes) -> QueryParams:
    """Parse a query string into values by parameter. Raises Malformed."""
    try:
        pairs = parse_qsl(
            query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=500
        )
    except ValueError:
        words = "The query string is not text in UTF-8, or has too many parts."
        raise Malformed("malformed-query", words) from None
    given: dict[str, list[str]] = {}
    for name, text in pairs:
        if "\0" in name + text:
            raise Malformed("malformed-query", "The query string has a NUL.")
        given.setdefault(name, []).append(text)
    return given


def read_parameters(query: bytes, declared: Mapping[str, Any]) -> QueryParams:
    """Check parameters against their declarations (JSON Schema): only arrays are repeated.

    Raises Malformed, or InvalidFields for an undeclared or repeated parameter.
    """
    if not query:
        return {}
    given = parameters_in(query)
    if unknown := sorted(given.keys() - declared.keys()):
        known = [declared if nth < NAMES_MAX else () for nth in range(len(unknown))]
        raise InvalidFields([*map(unknown_parameter, unknown, known)], "unknown-parameter")
    for name, texts in given.items():
        if len(texts) > 1 and declared[name].get("type") != "array":
            raise unfit(name, "it stands here too often")
    return given


def flag(given: QueryParams, name: str) -> bool:
    """The value of a parameter that is true or false; false if omitted."""
    (text,) = given.get(name, ["false"])
    if text not in ("true", "false"):
        raise unfit(name, "this is true or false")
    return text == "true"


def unknown_parameter(name: str, known: Iterable[str]) -> dict[str, str]:
    """The error for an unknown parameter, suggesting the closest known one."""
    detail = "there is no such parameter" + did_you_mean(name, known)
    if name == "dryRun":
        detail = "there is no dry run of this: commands have one, and bulk files as a whole"
    return {"pointer": name, "code": "unknown-parameter", "detail": detail}


def unfit(name: str, words: str) -> InvalidFields:
    """The refusal of an invalid parameter value."""
    wrong = {"pointer": name, "code": "invalid-parameter", "detail": words}
    return InvalidFields([wrong], "invalid-parameter")

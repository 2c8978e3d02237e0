"""The query string of a request: its parameters, and which of them a route takes."""

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from api.http.problem import InvalidFields, Malformed
from rim_ledger.near import NAMES_MAX, did_you_mean

Given = Mapping[str, list[str]]
"""The texts of each parameter, in their order."""


def parameters_in(query: bytes) -> Given:
    """A query string's parameters, each with its texts. Raises Malformed."""
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


def read_parameters(query: bytes, declared: Mapping[str, Any]) -> Given:
    """The parameters of a route that declares these, by JSON Schema: only an array is repeated.

    Raises Malformed, or InvalidFields for a parameter that is not declared or repeated.
    """
    if not query:
        return {}
    given = parameters_in(query)
    if unknown := sorted(given.keys() - declared.keys()):
        known = [declared if nth < NAMES_MAX else () for nth in range(len(unknown))]
        raise InvalidFields([*map(no_such, unknown, known)], "unknown-parameter")
    for name, texts in given.items():
        if len(texts) > 1 and declared[name].get("type") != "array":
            raise unfit(name, "it stands here too often")
    return given


def no_such(name: str, known: Iterable[str]) -> dict[str, str]:
    """The error that a parameter is unknown, with the known one that may have been meant."""
    detail = "there is no such parameter" + did_you_mean(name, known)
    return {"pointer": name, "code": "unknown-parameter", "detail": detail}


def unfit(name: str, words: str) -> InvalidFields:
    """The refusal of a parameter that cannot be meant."""
    wrong = {"pointer": name, "code": "invalid-parameter", "detail": words}
    return InvalidFields([wrong], "invalid-parameter")

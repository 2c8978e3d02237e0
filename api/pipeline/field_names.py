"""The names that a form's fields have outside, at any depth."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from pydantic import BaseModel

Place = tuple[int | str, ...]


def names_at(form: type[BaseModel], place: Place) -> list[str]:
    """The names of the fields that an object at this place (pydantic's `loc`) of a form has; of
    all of them, where it may be one of several."""
    schema = _schema(form)
    at = [*_arms(schema, schema)]
    for word in place:
        # The name of a union's arm is no field: it leads nowhere, and all arms are looked at.
        at = [
            arm for each in at for inner in _below(each, word) for arm in _arms(inner, schema)
        ] or at
    return list(dict.fromkeys(name for each in at for name in each.get("properties", ())))


@cache
def _schema(form: type[BaseModel]) -> dict[str, Any]:
    return form.model_json_schema()


def _below(schema: dict[str, Any], word: int | str) -> Iterator[dict[str, Any]]:
    inner = schema.get("items") if isinstance(word, int) else schema.get("properties", {}).get(word)
    if inner is None and isinstance(word, str):
        inner = schema.get("additionalProperties")
    if isinstance(inner, dict):
        yield inner


def _arms(schema: dict[str, Any], whole: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """What a schema comes to: what it refers to, or each of what it may be."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        yield from _arms(whole["$defs"][name], whole)
    elif arms := schema.get("anyOf") or schema.get("oneOf"):
        for arm in arms:
            yield from _arms(arm, whole)
    else:
        yield schema

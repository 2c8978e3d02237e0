"""What is kept of a proposed body: every word of it, each in its place."""

import json
from typing import Any, Final

import msgspec
import pytest

from api.catalogue import ROUTES
from api.description.examples import example
from api.http.body import read_json
from api.pipeline.commands import fill
from api.pipeline.proposing import parts
from api.pipeline.routes import Route
from rim_ledger.engine.command import Form, Ruled
from rim_ledger.engine.refusals import Refused

COMMANDS: Final = {
    each.command.__name__: each for each in ROUTES if isinstance(each, Route) and each.approvable
}
CLEAR: Final = {
    "name": "of a role, a department, an alert, a template, an integration or a backup",
    "description": "of a role, a department or a setting",
    "title message": "of a broadcast, which goes to many",
    "subject body": "of a template",
    "provider": "a company",
    "recipients": "admins, by id",
    "reason": "for stopping all messages",
    "ip_whitelist ip_blacklist": "addresses of admins, as in the settings",
    "config": "of an integration, shown in the clear",
    "value": "of a setting",
}
"""Fields of free text that are kept in the clear, as they are in the events of their commands."""


def whole_body(route: Route) -> tuple[dict[str, Any], dict[str, str]]:
    """A body with every field that goes with the others, and the words of the path."""
    schema = route.command.model_json_schema()
    parts_, own = schema.get("$defs", {}), path_of(route).keys()
    required = [name for name in schema.get("required", []) if name not in own]
    body = {name: example(schema["properties"][name], parts_) for name in required}
    for name, field in schema["properties"].items():
        if name in body or name in own:
            continue
        more = body | {name: example(field, parts_)}
        if fits(route, more):
            body = more
    return body, path_of(route)


def path_of(route: Route) -> dict[str, str]:
    """Words for the path: of a field of the command, as its example has them."""
    schema = route.command.model_json_schema()
    words = [each[1:-1] for each in route.path.split("/") if each.startswith("{")]
    own = {name: schema["properties"][name] for name in words if name in schema["properties"]}
    some = {name: str(example(field, schema.get("$defs", {}))) for name, field in own.items()}
    return {name: some.get(name, "01980f5e-0000-7000-8000-000000000000") for name in words}


def fits(route: Route, body: dict[str, Any]) -> bool:
    try:
        fill(route, path_of(route), body)
    except Refused:
        return False
    return True


@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_approved_is_what_was_proposed(name: str) -> None:
    route = COMMANDS[name]
    assert issubclass(route.command, Ruled), "a rule can bind it"
    body, path = whole_body(route)
    said = read_json(json.dumps(body).encode())
    command = fill(route, path, said)
    kept: dict[str, Any] = {}
    for part in parts(route.kind, command, said):
        assert not kept.keys() & part.keys(), "a field has one place"
        kept |= msgspec.json.decode(msgspec.json.encode(part))
    assert kept.keys() == body.keys()
    again = fill(route, path, kept)
    assert again == command
    assert again.model_fields_set == command.model_fields_set


def test_numbers_are_kept_to_the_last_digit() -> None:
    route = COMMANDS["RequestLoan"]
    said = read_json(b'{"userId":"USR-2026-000001","amount":99999999999.99,"network":"MTN",'
                     b'"interestRate":15.123456,"metadata":{"score":0.1}}')  # fmt: skip
    command = fill(route, {}, said)
    plain, words, _ = parts(route.kind, command, said)
    assert words == {"metadata": {"score": 0.1}}
    kept = msgspec.json.decode(msgspec.json.encode(plain | words))
    assert fill(route, {}, kept) == command


def free_texts(form: type[Form]) -> set[str]:
    """The fields of a form that may hold any words, by their Python names."""
    schema = form.model_json_schema()
    names = {field.alias or name: name for name, field in form.model_fields.items()}
    return {
        names[wire]
        for wire, field in schema["properties"].items()
        if wire in names and _is_free(field, schema.get("$defs", {}))
    }


def _is_free(schema: dict[str, Any], others: dict[str, Any]) -> bool:
    if "$ref" in schema:
        return _is_free(others[schema["$ref"].rpartition("/")[2]], others)
    bound = {"enum", "format", "pattern", "const"} & schema.keys()
    identifies = str(schema.get("examples", [""])[0]).startswith(("USR-", "LOAN-"))
    if schema.get("type") == "string":
        return not bound and not identifies
    if not schema.keys() & {"type", "anyOf", "oneOf"}:
        return True
    below = [*schema.get("anyOf", []), *schema.get("oneOf", [])]
    below += [*schema.get("properties", {}).values()]
    more = [schema.get("items"), schema.get("additionalProperties")]
    below += [each for each in more if isinstance(each, dict)]
    return any(_is_free(each, others) for each in below)


def test_words_about_persons_are_sealed() -> None:
    known = {name for names in CLEAR for name in names.split()}
    clear = set[str]()
    for route in COMMANDS.values():
        names = free_texts(route.command)
        wires = {field.alias or name: name for name, field in route.command.model_fields.items()}
        plain, _, _ = parts(route.kind, route.command.model_construct(), dict.fromkeys(wires))
        left = {wires[wire] for wire in plain} & names
        assert left <= known, route.command
        clear |= left
    assert clear == known

"""The OpenAPI document and the pages for operators."""

import json
from functools import cache
from typing import Any

import pytest

from api.app import Api
from api.catalogue import ROUTES
from api.config.settings import Settings
from api.pipeline.commands import fill
from api.pipeline.routes import List, One, Other, Route
from tests.api.conftest import SECRET, Client
from tests.golden import pinned

pytestmark = pytest.mark.begun_now


@cache
def document() -> dict[str, Any]:
    return Api(Settings(secret_key=SECRET)).openapi()


def test_every_route_is_described_and_every_example_is_a_command() -> None:
    said = document()
    for route in ROUTES:
        if isinstance(route, Other) and route.former:
            assert route.path not in said["paths"]
            continue
        operation = said["paths"][route.path][route.method.lower()]
        assert operation["responses"]
        if isinstance(route, Route):
            example = operation["requestBody"]["content"]["application/json"]["example"]
            some = "01900000-0000-7000-8000-000000000001"
            own = {"category": "lending", "key": "autoApprove", "source": some, "parent": some}
            own |= {"network": "MTN"}
            in_path = {name: word for name, word in own.items() if f"{{{name}}}" in route.path}
            fill(route, in_path, example)


def test_the_document_is_the_pinned_one() -> None:
    text = json.dumps(document(), indent=1) + "\n"
    assert pinned("openapi.json", text) == text, "clients see a change; make golden accepts it"


def test_every_embedded_shape_is_described() -> None:
    """But for the value of a setting, which may be anything."""
    schemas = document()["components"]["schemas"]
    rows = {route.row for route in ROUTES if isinstance(route, List | One)}
    shapes = {
        (row.__name__, column.wire): schemas[row.__name__]["properties"][column.wire]
        for row in rows
        for column in row.COLUMNS.values()
        if column.sql_type == "json"
    }
    bare = {name for name, each in shapes.items() if not {"type", "$ref", "anyOf"} & each.keys()}
    assert bare == {("SystemConfigRow", "value")}
    assert [*schemas["Attachment"]["properties"]] == [
        *("id", "name", "url", "size", "type", "messageId")
    ]


def test_every_reference_in_the_document_leads_somewhere() -> None:
    said = document()

    def references(value: object) -> set[str]:
        if isinstance(value, list):
            return {each for part in value for each in references(part)}
        if not isinstance(value, dict):
            return set()
        own = {value["$ref"]} if isinstance(value.get("$ref"), str) else set()
        return own | {each for part in value.values() for each in references(part)}

    known = {f"#/components/schemas/{name}" for name in said["components"]["schemas"]}
    assert references(said) <= known


async def test_operators_are_told_whether_it_lives_and_is_ready(admin: Client) -> None:
    nobody = Client(admin.http, admin.app)
    assert (await nobody.get("/healthz")).status_code == 200
    ready = await nobody.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (200, "ready")
    names = [each["name"] for each in ready.json()["processes"]]
    assert names == ["clock", "follow", "seal"]
    counted = (await nobody.get("/metrics")).text
    assert 'route="/v1/auth/login",status="200"' in counted
    assert (await nobody.get("/openapi.json")).json()["openapi"] == "3.1.0"

"""What the service tells Prometheus, and the rules and graphs that are printed for it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from api.cli.deploy_commands import Target, deploy
from tests.api.conftest import Client

UNITS = ("_seconds", "_naira", "_total", "_info", "_head", "_position")
"""How a name ends: with its base unit, or with what it counts."""
MACHINE = "instance"
"""The label that Prometheus adds itself."""


@pytest.fixture
def expressions(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What the alert rules and the dashboard ask for."""

    def printed(target: Target) -> str:
        deploy(target)
        return capsys.readouterr().out

    (group,) = yaml.safe_load(printed("prometheus"))["groups"]
    panels = json.loads(printed("grafana"))["panels"]
    assert len({each["id"] for each in panels}) == len(panels)
    assert len({each["alert"] for each in group["rules"]}) == len(group["rules"])
    assert all({"summary"} == set(each["annotations"]) for each in group["rules"])
    asked = [each["expr"] for each in group["rules"]]
    asked += [target["expr"] for each in panels for target in each["targets"]]
    return [each.replace("$__rate_interval", "1m") for each in asked]


def scraped(text: str) -> dict[str, set[str]]:
    """The series of a scrape, by name, with their labels."""
    found = dict[str, set[str]]()
    for family in text_string_to_metric_families(text):
        ends = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("_total",)}
        for end in ends.get(family.type, ("",)):
            found[family.name + end] = set()
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


async def _scrape(admin: Client) -> dict[str, set[str]]:
    await admin.get("/v1/users")
    return scraped((await admin.get("/metrics")).text)


async def test_names_and_units_are_those_of_the_conventions(admin: Client) -> None:
    text = (await admin.get("/metrics")).text
    for family in text_string_to_metric_families(text):
        assert family.documentation.endswith("."), family.name
        assert re.fullmatch(r"rim_[a-z_]+", family.name)
        name = family.name + ("_total" if family.type == "counter" else "")
        assert name.endswith(UNITS), name


async def test_rules_and_graphs_ask_for_series_that_there_are(
    admin: Client, expressions: list[str]
) -> None:
    there = await _scrape(admin)
    for each in expressions:
        names = re.findall(r"\brim_\w+", each)
        assert names, each
        assert set(names) <= set(there), each


@pytest.mark.heavy
async def test_rules_and_graphs_are_promql_by_labels_that_there_are(
    admin: Client, expressions: list[str]
) -> None:
    promql = pytest.importorskip("promql_parser", reason="needs the group `heavy`")
    there = await _scrape(admin)
    for each in expressions:
        parts = list(parts_of(promql.parse(each)))
        names = [part.name for part in parts if isinstance(part, promql.VectorSelector)]
        assert names
        labels = {label for part in parts for label in labels_of(part)} - {MACHINE}
        # A family that has no series yet says nothing of its labels.
        if all(there[name] for name in names):
            assert labels <= set.union(*(there[name] for name in names)), each


def parts_of(expression: Any) -> Iterator[Any]:
    """An expression of PromQL, and all that it is made of."""
    yield expression
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        if (part := getattr(expression, name, None)) is not None:
            yield from parts_of(part)
    for part in getattr(expression, "args", ()):
        yield from parts_of(part)


def labels_of(part: Any) -> Iterator[str]:
    """The labels by which a part selects or groups."""
    if matchers := getattr(part, "matchers", None):
        yield from (each.name for each in matchers.matchers)
    modifier = getattr(part, "modifier", None)
    yield from getattr(modifier, "labels", ())

"""A name that is not known is compared with those that are."""

import pytest
from pydantic import BaseModel

from api.catalogue import ROUTES
from api.pipeline.field_names import names_at
from api.pipeline.filters import of_list
from api.pipeline.routes import List, Route
from projections.tables.table import Row
from rim_ledger.admin.admin_role import CreateRole
from rim_ledger.lending.proposed_policy import ProposedPolicy
from rim_ledger.near import did_you_mean, nearest

KNOWN = ["autoApproveMinScore", "autoApproveMaxAmount", "interestRate", "name"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("autoAproveMinScore", "autoApproveMinScore"),
        ("auto_approve_min_score", "autoApproveMinScore"),
        ("AUTOAPPROVEMAXAMOUNT", "autoApproveMaxAmount"),
        ("interst-rate", "interestRate"),
        ("nmae", "name"),
        ("colour", None),
        ("", None),
        ("n" * 100_000, None),
    ],
)
def test_the_nearest_known_name_is_the_one_that_was_meant(name: str, meant: str | None) -> None:
    assert nearest(name, KNOWN) == meant
    assert did_you_mean(name, KNOWN) == (f"; did you mean {meant}?" if meant else "")


def test_fields_have_names_at_any_depth() -> None:
    assert "permissions" in names_at(CreateRole, ())
    assert names_at(CreateRole, ("permissions", 0)) == ["resource", "actions"]
    assert "autoApproveMinScore" in names_at(ProposedPolicy, ("lending",))


FORMS = {route.command for route in ROUTES if isinstance(route, Route)}


@pytest.mark.parametrize("form", sorted(FORMS, key=lambda form: form.__name__))
def test_each_command_knows_the_names_of_its_fields(form: type[BaseModel]) -> None:
    outside = [field.alias or name for name, field in form.model_fields.items()]
    assert names_at(form, ()) == outside


LISTS = {route.row for route in ROUTES if isinstance(route, List)}


@pytest.mark.parametrize("row", sorted(LISTS, key=lambda row: row.TABLE))
def test_each_list_knows_the_names_of_its_parameters(row: type[Row]) -> None:
    assert of_list(row, own=True).keys() <= of_list(row).keys() - {"asOf", *row.RELATED}

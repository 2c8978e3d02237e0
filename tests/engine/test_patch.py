"""Null in a PATCH clears what may be empty, and is refused for all else, in every entity."""

import pytest
from pydantic import ValidationError

from api.catalogue import ROUTES
from api.pipeline.routes import Route
from rim_ledger.admin.admin_commands import EditAdmin
from rim_ledger.admin.admin_role import EditRole
from rim_ledger.approvals.approval_rule_commands import ChangeApprovalRule
from rim_ledger.engine.command import Timed
from rim_ledger.engine.patch import Patch
from rim_ledger.lending.loan_requests import SetLoanMetadata
from rim_ledger.notifications.broadcast_commands import EditBroadcast
from rim_ledger.system.backup_settings import EditBackupSettings
from rim_ledger.system.integration_commands import UpdateIntegration

FORMS = sorted(
    {each.command for each in ROUTES if isinstance(each, Route) and each.method == "PATCH"},
    key=lambda each: each.__name__,
)
OPTIONAL = {
    (ChangeApprovalRule, "threshold"),
    (EditAdmin, "name"),
    (EditAdmin, "phone"),
    (EditRole, "maxAmount"),
    (EditRole, "maxLimit"),
    (EditBroadcast, "customUserIds"),
    (SetLoanMetadata, "metadata"),
    (EditBackupSettings, "cloudProvider"),
    (UpdateIntegration, "apiKey"),
    (UpdateIntegration, "apiSecret"),
}
FIELDS = [
    (form, field.alias or name)
    for form in FORMS
    for name, field in form.model_fields.items()
    if name not in Timed.model_fields
]


def test_every_patch_says_what_null_means() -> None:
    assert len(FORMS) >= 12
    assert all(issubclass(form, Patch) for form in FORMS)


@pytest.mark.parametrize(("form", "field"), FIELDS)
def test_null_clears_what_may_be_empty_and_nothing_else(form: type[Patch], field: str) -> None:
    schema = form.model_json_schema()["properties"][field]
    if (form, field) in OPTIONAL:
        assert {"type": "null"} in schema["anyOf"]
        assert form.model_validate({field: None}).clears(
            next(name for name, each in form.model_fields.items() if each.alias == field)
        )
        return
    assert {"type": "null"} not in schema.get("anyOf", [])
    with pytest.raises(ValidationError) as error:
        form.model_validate({field: None})
    assert [(each["loc"], each["type"]) for each in error.value.errors()] == [
        ((field,), "required")
    ]

"""The routes of the system: its settings, and the integrations with providers outside."""

from typing import TYPE_CHECKING
from uuid import UUID

from api.pipeline.pipeline import look, target
from api.pipeline.routes import AnyRoute, List, One, Parameters, Route, resource
from projections.system import ApiIntegrationRow, SystemConfigRow
from rim_ledger.delivery.egress import Blocked
from rim_ledger.delivery.endpoint import Endpoint, endpoint_of
from rim_ledger.delivery.kill_switch import require_open
from rim_ledger.engine.command import Form
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.system.config import ResetConfig, SetConfig, SystemConfig, config_id
from rim_ledger.system.integration import ApiIntegration, IntegrationTested
from rim_ledger.system.integration_commands import (
    ActivateIntegration,
    ArchiveIntegration,
    CreateIntegration,
    DeactivateIntegration,
    RotateCredentials,
    TestIntegration,
    UpdateIntegration,
)

if TYPE_CHECKING:
    from api.context import Context
    from api.pipeline.routes import CommandRequest

CONFIG = "/v1/system-config"
SETTING = CONFIG + "/{category}/{key}"
READ, WRITE = ("config", "read"), ("config", "write")
INTEGRATIONS, ONE = "/v1/api-integrations", "/v1/api-integrations/{id}"
CONNECT, ARCHIVE = ("integrations", "write"), ("integrations", "delete")


def _stream(parameters: Parameters) -> UUID:
    return config_id(parameters["category"], parameters["key"])


async def call_provider(context: "Context", request: "CommandRequest") -> Form:
    """Call the provider that is to be tested, apart from any decision."""
    command = request.command
    assert isinstance(command, TestIntegration)

    def see(uow: UnitOfWork) -> Endpoint:
        integration = target(uow, request)
        require_open(uow)
        return endpoint_of(uow, uow.read(ApiIntegration, integration.id))

    endpoint = await look(context, request, see)
    found: IntegrationTested | Blocked
    try:
        found = await context.dispatch.providers.test(endpoint)
    except Blocked as blocked:
        found = blocked
    return command.after(endpoint, found)


ROUTES: list[AnyRoute] = [
    List(CONFIG, SystemConfigRow, READ, "List settings"),
    One(SETTING, SystemConfigRow, READ, "One setting"),
    Route("PUT", SETTING, SystemConfig, SetConfig, WRITE, "Set a setting", _stream),
    Route("DELETE", SETTING, SystemConfig, ResetConfig, WRITE, "Back to the default", _stream),
    *resource(INTEGRATIONS, ApiIntegrationRow, "integrations"),
    Route("POST", INTEGRATIONS, ApiIntegration, CreateIntegration, CONNECT, "Add a provider"),
    Route("PATCH", ONE, ApiIntegration, UpdateIntegration, CONNECT, "Change"),
    Route("POST", ONE + "/credentials", ApiIntegration, RotateCredentials, CONNECT, "New secrets"),
    Route(
        "POST",
        ONE + "/test",
        ApiIntegration,
        TestIntegration,
        CONNECT,
        "Call the provider",
        prepare=call_provider,
        approvable=False,
    ),
    Route("POST", ONE + "/activate", ApiIntegration, ActivateIntegration, CONNECT, "Activate"),
    Route("POST", ONE + "/deactivate", ApiIntegration, DeactivateIntegration, CONNECT, "Stop"),
    Route("DELETE", ONE, ApiIntegration, ArchiveIntegration, ARCHIVE, "Archive"),
]

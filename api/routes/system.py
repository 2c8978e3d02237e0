"""The routes of the system: its settings, and the integrations with providers outside."""

from uuid import UUID

from api.context import Context
from api.pipeline.pipeline import look, target
from api.pipeline.routes import AnyRoute, CommandRequest, List, One, Parameters, Resource
from projections.system import ApiIntegrationRow, SystemConfigRow
from rim_ledger.delivery.egress import Blocked
from rim_ledger.delivery.endpoint import Endpoint, endpoint_of
from rim_ledger.delivery.kill_switch import require_open
from rim_ledger.engine.command import Form
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.system import integration_commands as integrations
from rim_ledger.system.config import ResetConfig, SetConfig, config_id
from rim_ledger.system.integration import ApiIntegration, IntegrationTested, TestResult

CONFIG, SETTING = "/v1/system-config", "/v1/system-config/{category}/{key}"
READ = ("config", "read")


def _stream(parameters: Parameters) -> UUID:
    return config_id(parameters["category"], parameters["key"])


async def call_provider(
    context: Context, request: CommandRequest, form: integrations.TestIntegration
) -> Form:
    """Call the provider that is to be tested, apart from any decision. A dry run calls nobody, and
    takes it for a success."""

    def see(uow: UnitOfWork) -> Endpoint:
        integration = target(uow, request)
        require_open(uow)
        return endpoint_of(uow, uow.read(ApiIntegration, integration.id))

    endpoint = await look(context, request, see)
    found: IntegrationTested | Blocked
    if request.dry_run:
        return form.after(endpoint, IntegrationTested(result=TestResult.SUCCESS))
    try:
        found = await context.dispatch.providers.test(endpoint)
    except Blocked as blocked:
        found = blocked
    return form.after(endpoint, found)


of_settings = Resource(SETTING, SystemConfigRow, "config", always={"stream": _stream})
of_integrations = Resource("/v1/api-integrations", ApiIntegrationRow, "integrations")

ROUTES: list[AnyRoute] = [
    List(CONFIG, SystemConfigRow, READ, "List settings"),
    One(SETTING, SystemConfigRow, READ, "One setting"),
    of_settings("PUT", SetConfig, "Set a setting"),
    of_settings("DELETE", ResetConfig, "Back to the default", action="write"),
    *of_integrations.reads,
    of_integrations("POST", integrations.CreateIntegration, "Add a provider"),
    of_integrations("PATCH /{id}", integrations.UpdateIntegration, "Change"),
    of_integrations("POST /{id}/credentials", integrations.RotateCredentials, "New secrets"),
    of_integrations(
        "POST /{id}/test",
        integrations.TestIntegration,
        "Call the provider",
        prepare=call_provider,
        approvable=False,
    ),
    of_integrations("POST /{id}/activate", integrations.ActivateIntegration, "Activate"),
    of_integrations("POST /{id}/deactivate", integrations.DeactivateIntegration, "Stop"),
    of_integrations("DELETE /{id}", integrations.ArchiveIntegration, "Archive"),
]

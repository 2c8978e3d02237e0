"""The routes of the system: its settings, and the integrations with providers outside."""

from uuid import UUID

from api.routes import AnyRoute, List, One, Parameters, Route, resource
from projections.system import ApiIntegrationRow, SystemConfigRow
from rim_ledger.system.config import ResetConfig, SetConfig, SystemConfig, config_id
from rim_ledger.system.integration import (
    ActivateIntegration,
    ApiIntegration,
    CreateIntegration,
    DeactivateIntegration,
    RotateCredentials,
    UpdateIntegration,
)

CONFIG = "/v1/system-config"
SETTING = CONFIG + "/{category}/{key}"
READ, WRITE = ("config", "read"), ("config", "write")
INTEGRATIONS, ONE = "/v1/api-integrations", "/v1/api-integrations/{id}"
CONNECT = ("integrations", "write")


def _stream(parameters: Parameters) -> UUID:
    return config_id(parameters["category"], parameters["key"])


ROUTES: list[AnyRoute] = [
    List(CONFIG, SystemConfigRow, READ, "List settings"),
    One(SETTING, SystemConfigRow, READ, "One setting"),
    Route("PUT", SETTING, SystemConfig, SetConfig, WRITE, "Set a setting", _stream),
    Route("DELETE", SETTING, SystemConfig, ResetConfig, WRITE, "Back to the default", _stream),
    *resource(INTEGRATIONS, ApiIntegrationRow, "integrations"),
    Route("POST", INTEGRATIONS, ApiIntegration, CreateIntegration, CONNECT, "Add a provider"),
    Route("PATCH", ONE, ApiIntegration, UpdateIntegration, CONNECT, "Change"),
    Route("POST", ONE + "/credentials", ApiIntegration, RotateCredentials, CONNECT, "New secrets"),
    Route("POST", ONE + "/activate", ApiIntegration, ActivateIntegration, CONNECT, "Activate"),
    Route("POST", ONE + "/deactivate", ApiIntegration, DeactivateIntegration, CONNECT, "Stop"),
]

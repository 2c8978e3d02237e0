"""The routes of the system: its settings."""

from uuid import UUID

from api.routes import AnyRoute, List, One, Parameters, Route
from projections.system import SystemConfigRow
from rim_ledger.system.config import ResetConfig, SetConfig, SystemConfig, config_id

CONFIG = "/v1/system-config"
SETTING = CONFIG + "/{category}/{key}"
READ, WRITE = ("config", "read"), ("config", "write")


def _stream(parameters: Parameters) -> UUID:
    return config_id(parameters["category"], parameters["key"])


ROUTES: list[AnyRoute] = [
    List(CONFIG, SystemConfigRow, READ, "List settings"),
    One(SETTING, SystemConfigRow, READ, "One setting"),
    Route("PUT", SETTING, SystemConfig, SetConfig, WRITE, "Set a setting", _stream),
    Route("DELETE", SETTING, SystemConfig, ResetConfig, WRITE, "Back to the default", _stream),
]

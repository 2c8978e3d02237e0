"""The routes of the system: its settings, and the integrations with providers outside."""

from typing import TYPE_CHECKING
from uuid import UUID

from api.road.routes import AnyRoute, List, One, Parameters, Route, resource
from projections.system import ApiIntegrationRow, SystemConfigRow
from rim_ledger.book import Book
from rim_ledger.core import Form
from rim_ledger.delivery.egress import Blocked
from rim_ledger.delivery.endpoint import Endpoint, endpoint_of
from rim_ledger.delivery.kill_switch import require_open
from rim_ledger.system.config import ResetConfig, SetConfig, SystemConfig, config_id
from rim_ledger.system.connecting import (
    ActivateIntegration,
    ArchiveIntegration,
    CreateIntegration,
    DeactivateIntegration,
    RotateCredentials,
    TestIntegration,
    UpdateIntegration,
)
from rim_ledger.system.integration import ApiIntegration, IntegrationTested

if TYPE_CHECKING:
    from api.road.desk import Desk
    from api.road.wish import Wish

CONFIG = "/v1/system-config"
SETTING = CONFIG + "/{category}/{key}"
READ, WRITE = ("config", "read"), ("config", "write")
INTEGRATIONS, ONE = "/v1/api-integrations", "/v1/api-integrations/{id}"
CONNECT, ARCHIVE = ("integrations", "write"), ("integrations", "delete")


def _stream(parameters: Parameters) -> UUID:
    return config_id(parameters["category"], parameters["key"])


async def call_provider(desk: "Desk", wish: "Wish") -> Form:
    """Call the provider that is to be tested, apart from any decision."""
    command, lines = wish.command, list[Endpoint]()
    assert isinstance(command, TestIntegration)

    def see(book: Book, stream: UUID) -> None:
        require_open(book)
        lines.append(endpoint_of(book, book.read(ApiIntegration, stream)))

    await wish.look(desk, see)
    line = lines[-1]
    found: IntegrationTested | Blocked
    try:
        found = await desk.dispatch.providers.test(line)
    except Blocked as blocked:
        found = blocked
    return command.after(line, found)


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
    ),
    Route("POST", ONE + "/activate", ApiIntegration, ActivateIntegration, CONNECT, "Activate"),
    Route("POST", ONE + "/deactivate", ApiIntegration, DeactivateIntegration, CONNECT, "Stop"),
    Route("DELETE", ONE, ApiIntegration, ArchiveIntegration, ARCHIVE, "Archive"),
]

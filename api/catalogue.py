"""Every route there is."""

from typing import Final

from api import (
    admin,
    api_keys,
    attachments,
    broadcasts,
    bulk,
    callbacks,
    explain,
    health,
    journal,
    lending,
    payments,
    second_factor,
    statements,
    support,
    system,
    templates,
)
from api.routes import AnyRoute, Table

ROUTES: Final[tuple[AnyRoute, ...]] = (
    *admin.ROUTES,
    *second_factor.ROUTES,
    *api_keys.ROUTES,
    *lending.ROUTES,
    *explain.ROUTES,
    *payments.ROUTES,
    *callbacks.ROUTES,
    *journal.ROUTES,
    *statements.ROUTES,
    *support.ROUTES,
    *attachments.ROUTES,
    *broadcasts.ROUTES,
    *templates.ROUTES,
    *system.ROUTES,
    *bulk.ROUTES,
    *health.ROUTES,
)

TABLE: Final = Table(ROUTES)

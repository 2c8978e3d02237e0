"""Every route there is."""

from typing import Final

from api import (
    activity_proofs,
    admin,
    alerts,
    api_keys,
    attachments,
    backups,
    broadcasts,
    bulk,
    callbacks,
    customer,
    events,
    explain,
    exports,
    journal,
    lending,
    payments,
    proofs,
    refused_requests,
    second_factor,
    simulations,
    statements,
    support,
    system,
    templates,
)
from api.road import health
from api.road.routes import AnyRoute, Table

_OWN: Final[tuple[AnyRoute, ...]] = (
    *admin.ROUTES,
    *second_factor.ROUTES,
    *customer.ROUTES,
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
    *alerts.ROUTES,
    *system.ROUTES,
    *backups.ROUTES,
    *bulk.ROUTES,
    *events.ROUTES,
    *exports.ROUTES,
    *proofs.ROUTES,
    *activity_proofs.ROUTES,
    *refused_requests.ROUTES,
    *simulations.ROUTES,
    *health.ROUTES,
)

ROUTES: Final[tuple[AnyRoute, ...]] = (*_OWN, *events.of_each(_OWN))

TABLE: Final = Table(ROUTES)

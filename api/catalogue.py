"""The table of all routes."""

from collections.abc import Sequence
from itertools import chain
from typing import Final

from api.pipeline import health
from api.pipeline.endpoint import Endpoint, router_of
from api.pipeline.route_index import Table
from api.pipeline.routes import AnyRoute, rights_to_read
from api.routes import (
    account_statements,
    activity_proofs,
    admin,
    alerts,
    api_keys,
    approvals,
    attachments,
    backups,
    broadcasts,
    bulk,
    callbacks,
    customer,
    events,
    explain,
    exports,
    floats,
    journal,
    lending,
    payments,
    proofs,
    second_factor,
    sessions,
    settlements,
    simulations,
    statements,
    support,
    system,
    templates,
)

_OWN: Final[tuple[Sequence[AnyRoute], ...]] = (
    admin.ROUTES,
    sessions.ROUTES,
    second_factor.ROUTES,
    customer.ROUTES,
    api_keys.ROUTES,
    lending.ROUTES,
    explain.ROUTES,
    account_statements.ROUTES,
    floats.ROUTES,
    payments.ROUTES,
    callbacks.ROUTES,
    journal.ROUTES,
    statements.ROUTES,
    settlements.ROUTES,
    support.ROUTES,
    attachments.ROUTES,
    broadcasts.ROUTES,
    templates.ROUTES,
    alerts.ROUTES,
    system.ROUTES,
    approvals.ROUTES,
    backups.ROUTES,
    bulk.ROUTES,
    events.ROUTES,
    exports.ROUTES,
    proofs.ROUTES,
    activity_proofs.ROUTES,
    simulations.ROUTES,
    health.ROUTES,
)

_SLICES: Final = (*_OWN, tuple(events.of_each(chain(*_OWN))))

ROUTES: Final[tuple[AnyRoute, ...]] = tuple(chain(*_SLICES))

ROUTERS: Final = [router_of(each) for each in _SLICES]

TABLE: Final = Table(
    (each for router in ROUTERS for each in router.routes if isinstance(each, Endpoint)),
    *rights_to_read(ROUTES),
)

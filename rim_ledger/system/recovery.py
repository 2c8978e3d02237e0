"""Recovery of a failing integration: calls stop, tests repeat, a success reactivates it."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final
from uuid import UUID

from rim_ledger.delivery.endpoint import Endpoint, endpoint_of
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.unit_of_work import UnitOfWork, decision
from rim_ledger.system.integration import (
    ApiIntegration,
    IntegrationActivated,
    IntegrationBroken,
    IntegrationStatus,
    IntegrationTested,
    TestResult,
)

PROBE: Final = "test-integration"
"""The reminder to test an integration in error again."""
FIRST_PROBE: Final = timedelta(minutes=1)
LAST_WAIT: Final = timedelta(hours=1)


@decision
def open_breaker(uow: UnitOfWork, id: UUID, failures: int) -> None:
    """Stop calling a provider, and schedule a test: the circuit breaker's decision."""
    integration = uow.read(ApiIntegration, id)
    if integration.status is IntegrationStatus.ACTIVE and integration.is_called:
        uow.append(ApiIntegration, id, [IntegrationBroken(failures=failures)])
        uow.remind(PROBE, id, uow.now + FIRST_PROBE)


@decision
def record_test(uow: UnitOfWork, endpoint: Endpoint, found: IntegrationTested) -> None:
    """Record a scheduled test of an integration in error."""
    uow.act_upon(endpoint.id)
    integration = uow.read(ApiIntegration, endpoint.id)
    if integration.status is not IntegrationStatus.ERROR:
        uow.forget(PROBE, endpoint.id)
    elif endpoint == endpoint_of(uow, integration):
        if found.result is TestResult.SUCCESS:
            uow.append(ApiIntegration, endpoint.id, [found])
        uow.append(ApiIntegration, endpoint.id, after_test(integration, found, uow))


def after_test(
    integration: ApiIntegration, found: IntegrationTested, uow: UnitOfWork
) -> Iterable[Event]:
    """Yield what follows from a test in error: it is activated, or the next test is scheduled."""
    if integration.status is not IntegrationStatus.ERROR or integration.broken_at is None:
        return
    if found.result is TestResult.SUCCESS:
        uow.forget(PROBE, integration.id)
        yield IntegrationActivated()
    else:
        waited = uow.now - integration.broken_at
        wait = min(max(FIRST_PROBE, waited), LAST_WAIT)
        uow.remind(PROBE, integration.id, uow.now + wait)

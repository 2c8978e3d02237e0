"""The life of an integration that fails: called no more, tested by and by, active again."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Final
from uuid import UUID

from rim_ledger.book import Book, Work
from rim_ledger.core import Event
from rim_ledger.delivery.endpoint import Endpoint, endpoint_of
from rim_ledger.system.integration import (
    ApiIntegration,
    IntegrationActivated,
    IntegrationBroken,
    IntegrationStatus,
    IntegrationTested,
    TestResult,
)

PROBE: Final = "test-integration"
"""The reminder to test one again that is in error."""
FIRST_PROBE: Final = timedelta(minutes=1)
LAST_WAIT: Final = timedelta(hours=1)


def break_(id: UUID, failures: int) -> Work:
    """The circuit breaker's decision: call a provider no more, and test it by and by."""

    def work(book: Book) -> UUID:
        integration = book.read(ApiIntegration, id)
        if integration.status is IntegrationStatus.ACTIVE and integration.is_called:
            book.append(ApiIntegration, id, [IntegrationBroken(failures=failures)])
            book.remind(PROBE, id, book.now + FIRST_PROBE)
        return id

    return work


def mend(line: Endpoint, found: IntegrationTested) -> Work:
    """The clock's decision on an integration in error that it has tested."""

    def work(book: Book) -> UUID:
        book.act_upon(line.id)
        integration = book.read(ApiIntegration, line.id)
        if integration.status is not IntegrationStatus.ERROR:
            book.forget(PROBE, line.id)
        elif line == endpoint_of(book, integration):
            if found.result is TestResult.SUCCESS:
                book.append(ApiIntegration, line.id, [found])
            book.append(ApiIntegration, line.id, mended(integration, found, book))
        return line.id

    return work


def mended(integration: ApiIntegration, found: IntegrationTested, book: Book) -> Iterable[Event]:
    """What a test leads to for an integration in error: it is active again, or tested later."""
    if integration.status is not IntegrationStatus.ERROR or integration.broken_at is None:
        return
    if found.result is TestResult.SUCCESS:
        book.forget(PROBE, integration.id)
        yield IntegrationActivated()
    else:
        waited = book.now - integration.broken_at
        wait = min(max(FIRST_PROBE, waited), LAST_WAIT)
        book.remind(PROBE, integration.id, book.now + wait)

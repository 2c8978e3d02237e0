"""Trying whether a provider answers: one call, of whose answer only the status counts."""

from typing import Final
from uuid import UUID

from msgspec import Struct
from pydantic import SecretStr

from rim_ledger.book import Book
from rim_ledger.system.credentials import API_KEY, API_SECRET
from rim_ledger.system.integration import (
    ApiIntegration,
    IntegrationTested,
    TestResult,
)
from rim_ledger.system.outside import NoAnswer, Outside, Unreachable

OK: Final = range(200, 300)
ELSEWHERE: Final = range(300, 400)


class Line(Struct, frozen=True):
    """What it takes to call a provider, its secrets in the clear."""

    id: UUID
    name: str
    base_url: str
    key: SecretStr | None
    secret: SecretStr | None

    @property
    def authorization(self) -> dict[str, str]:
        """The header that tells the provider who calls."""
        return {"authorization": f"Bearer {self.key.get_secret_value()}"} if self.key else {}


def line_to(book: Book, integration: ApiIntegration) -> Line:
    """The line to an integration, as a decision knows it."""

    def secret(purpose: str) -> SecretStr | None:
        text = book.unsealed(integration.id, purpose)
        return None if text is None else SecretStr(text)

    return Line(
        id=integration.id,
        name=integration.name,
        base_url=integration.base_url,
        key=secret(API_KEY),
        secret=secret(API_SECRET),
    )


async def probe(outside: Outside, line: Line) -> IntegrationTested:
    """Call a provider once. Raises Blocked for an address where no provider is, also when the
    provider sends us to one."""
    try:
        answer = await outside.call("GET", line.base_url, line.authorization)
    except Unreachable:
        return _failed("unreachable")
    except NoAnswer as error:
        return _failed(error.reason)
    if answer.status in OK:
        return IntegrationTested(result=TestResult.SUCCESS)
    if answer.status in ELSEWHERE and answer.location:
        await outside.require_public(line.base_url, answer.location)
        return _failed("redirect")
    return _failed(f"status-{answer.status}")


def _failed(reason: str) -> IntegrationTested:
    return IntegrationTested(result=TestResult.FAILED, reason=reason)

"""Test of a provider: one call, of whose answer only the status counts."""

from contextlib import suppress
from typing import Final

from aiosmtplib import SMTPException

from rim_ledger.delivery.egress import CALL_TIMEOUT_SECONDS, Egress, NoAnswer, Unreachable
from rim_ledger.delivery.endpoint import Endpoint
from rim_ledger.delivery.smtp import conversation
from rim_ledger.system.integration import IntegrationTested, IntegrationType, TestResult

OK: Final = range(200, 300)
REDIRECTS: Final = range(300, 400)


async def probe(egress: Egress, endpoint: Endpoint) -> IntegrationTested:
    """Call a provider once; at a mail server, log in and out. Raises Blocked if its address, or one
    that it redirects to, is not public."""
    try:
        if endpoint.type is IntegrationType.EMAIL:
            return await _probe_smtp(egress, endpoint)
        answer = await egress.call("GET", endpoint.base_url, endpoint.authorization)
    except Unreachable:
        return _failed("unreachable")
    except NoAnswer as error:
        return _failed(error.reason)
    if answer.status in OK:
        return IntegrationTested(result=TestResult.SUCCESS)
    if answer.status in REDIRECTS and answer.location:
        await egress.require_public(endpoint.base_url, answer.location)
        return _failed("redirect")
    return _failed(f"status-{answer.status}")


async def _probe_smtp(egress: Egress, endpoint: Endpoint) -> IntegrationTested:
    async with conversation(egress, endpoint, CALL_TIMEOUT_SECONDS) as server:
        with suppress(SMTPException, OSError):
            await server.quit()
    return IntegrationTested(result=TestResult.SUCCESS)


def _failed(reason: str) -> IntegrationTested:
    return IntegrationTested(result=TestResult.FAILED, reason=reason)

"""Trying whether a provider answers: one call, of whose answer only the status counts."""

from contextlib import suppress
from typing import Final

from aiosmtplib import SMTPException

from rim_ledger.system import egress as limits
from rim_ledger.system.egress import NoAnswer, Outside, Unreachable
from rim_ledger.system.endpoint import Line
from rim_ledger.system.integration import IntegrationTested, IntegrationType, TestResult
from rim_ledger.system.mail_server import conversation

OK: Final = range(200, 300)
ELSEWHERE: Final = range(300, 400)


async def probe(outside: Outside, line: Line) -> IntegrationTested:
    """Call a provider once; of a mail server, be let in and leave again. Raises Blocked for an
    address where no provider is, also when the provider sends us to one."""
    try:
        if line.type is IntegrationType.EMAIL:
            return await _greet(outside, line)
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


async def _greet(outside: Outside, line: Line) -> IntegrationTested:
    async with conversation(outside, line, limits.PATIENCE) as server:
        with suppress(SMTPException, OSError):
            await server.quit()
    return IntegrationTested(result=TestResult.SUCCESS)


def _failed(reason: str) -> IntegrationTested:
    return IntegrationTested(result=TestResult.FAILED, reason=reason)

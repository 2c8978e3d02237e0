"""The support desk under load: messages posted to tickets, and lists of them."""

import json
from collections.abc import Callable
from itertools import cycle
from uuid import uuid4

from .bodies import user_id
from .load import Report, run
from .scenario import Scenario, Script, request
from .service import Service

TICKETS, USERS, CONNECTIONS = 2_000, 100, 64
QUESTION = {"subject": "No airtime", "description": "It never came.", "priority": "high"}
CATEGORIES = ("technical", "billing", "account", "loan")


def measure_desk(url: str, *, seconds: float) -> dict[str, float]:
    """Messages and lists a second, over tickets that are opened first."""
    service = Service(url)
    try:
        service.begin(USERS)
        return _asked(service, open_tickets(service), seconds)
    finally:
        service.end()


def open_tickets(service: Service) -> list[str]:
    """Tickets of the first users; their ids."""
    tickets = [str(uuid4()) for _ in range(TICKETS)]
    service.bulk(
        {"op": "POST /v1/tickets", "body": _opening(number, id_)}
        for number, id_ in enumerate(tickets)
    )
    service.settle()
    return tickets


def _asked(service: Service, tickets: list[str], seconds: float) -> dict[str, float]:
    body = json.dumps({"message": "We are looking into it, and will come back to you."}).encode()

    def post(nth: int) -> Scenario:
        for ticket in cycle(tickets[nth::CONNECTIONS]):
            yield request("POST", f"/v1/tickets/{ticket}/messages", body, service.headers)

    def look(nth: int) -> Scenario:
        words = [f"category={each}" for each in CATEGORIES[nth % 4 :] + CATEGORIES[: nth % 4]]
        for word in cycle(words):
            path = f"/v1/tickets?status=open&{word}&limit=50"
            yield request("GET", path, b"", service.headers)

    figures = {"messages/s": _report(service, post, seconds)}
    service.settle()
    figures["lists of 50 tickets/s"] = _report(service, look, seconds)
    return {
        name: figure
        for what, report in figures.items()
        for name, figure in ((what, report.rate), (_wait(what), report.p99_ms))
    }


def _opening(number: int, id_: str) -> dict[str, str]:
    asked = {"customerId": str(user_id(number % USERS)), "category": CATEGORIES[number % 4]}
    return QUESTION | asked | {"id": id_}


def _report(service: Service, scenario: Callable[[int], Scenario], seconds: float) -> Report:
    scripts = [Script(scenario(nth)) for nth in range(CONNECTIONS)]
    report = run(service.base_url, scripts, seconds=seconds)
    assert not report.failures, report.first_failure
    return report


def _wait(what: str) -> str:
    return what.removesuffix("/s") + " p99 ms"

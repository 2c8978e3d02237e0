"""Airtime over HTTP: the request of a top-up, and the meaning of a telco's answer."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from msgspec import Struct

from rim_ledger.delivery.egress import Answer, object_in
from rim_ledger.delivery.http import HttpProvider
from rim_ledger.delivery.port import Outcome, Verdict
from rim_ledger.values import Network

SERVER_ERROR: Final = 500
TELCO_REFERENCE: Final = re.compile(r"[!-~]{1,120}")
REASON: Final = re.compile(r"[a-z0-9-]{1,40}")
"""A machine-readable reason. Other text of a telco may be personal."""


class TopUp(Struct, frozen=True):
    """Airtime for a phone (E.164), in naira, under a reference that is used once."""

    reference: str
    phone: str
    network: Network
    amount: Decimal


class HttpTelco(HttpProvider):
    """A telco. Only its own answer about the very reference counts; anything else, such as a
    proxy's error page, leaves the outcome unknown."""

    PATH = "/top-ups"
    BLOCKED = "The telco's address is blocked."
    UNREACHED = "The telco cannot be reached."

    def content(self, order: TopUp) -> dict[str, str]:
        return {
            "reference": order.reference,
            "phone": order.phone,
            "network": order.network,
            "amount": f"{order.amount:.2f}",
        }

    def read(self, method: str, reference: str, answer: Answer) -> tuple[Outcome | None, bool]:
        said = object_in(answer.body) if answer.status < SERVER_ERROR else {}
        outcome = understood(said) if said.get("reference") == reference else None
        return outcome, outcome is not None


def understood(said: Mapping[str, object]) -> Outcome | None:
    """Return the outcome of a telco's answer; None if it has no known meaning."""
    match said.get("status"):
        case "delivered":
            telco_reference = _matching(TELCO_REFERENCE, said.get("telcoReference"))
            return Outcome(Verdict.DELIVERED, reference=telco_reference)
        case "failed":
            word = _matching(REASON, said.get("reason"))
            return Outcome(Verdict.FAILED, f"The telco declined: {word or 'no reason given'}.")
        case "absent":
            return Outcome(Verdict.ABSENT)
        case "pending":
            return Outcome(Verdict.ACCEPTED)
        case _:
            return None


def _matching(pattern: "re.Pattern[str]", text: object) -> str | None:
    return text if isinstance(text, str) and pattern.fullmatch(text) else None

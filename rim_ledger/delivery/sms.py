"""SMS over HTTP: the request, and the meaning of a gateway's answers."""

from typing import Final

from rim_ledger.delivery.egress import Answer, Unreachable, object_in
from rim_ledger.delivery.http import HttpProvider
from rim_ledger.delivery.port import UNKNOWN, Message, Outcome, Verdict

TAKEN: Final = range(200, 300)
REFUSED: Final = range(400, 500)
UNSURE: Final = (408, 409)
"""A timeout at the provider, or a reference that it knows already."""
NOT_FOUND: Final = 404
BUSY: Final = 429
NOT_ABOUT_MESSAGE: Final = (401, 402, 403, NOT_FOUND, 405, 408, BUSY)
"""Not about this message: any other would fail as well."""
NOT_TAKEN: Final = "The SMS provider did not take the message."
DECLINED: Final = "The provider says that it failed."
WORDS: Final = {
    "accepted": Outcome(Verdict.ACCEPTED),
    "sent": Outcome(Verdict.ACCEPTED),
    "delivered": Outcome(Verdict.DELIVERED),
    "failed": Outcome(Verdict.FAILED, DECLINED),
}


class SmsGateway(HttpProvider):
    """A gateway that accepts a message once per reference."""

    PATH = "/messages"
    BLOCKED = UNREACHED = NOT_TAKEN

    def content(self, order: Message) -> dict[str, str]:
        return {
            "to": order.to,
            "from": self._endpoint.sender,
            "body": order.body,
            "reference": order.reference,
        }

    def read(self, method: str, reference: str, answer: Answer) -> tuple[Outcome | None, bool]:
        status, healthy = answer.status, _is_healthy(answer.status)
        if method == "GET":
            if status == NOT_FOUND:
                return Outcome(Verdict.ABSENT), True
            word = str(object_in(answer.body).get("status"))
            return (WORDS.get(word, UNKNOWN) if status in TAKEN else None), healthy
        if status == BUSY:
            raise Unreachable
        if status in REFUSED and status not in UNSURE:
            return Outcome(Verdict.FAILED, NOT_TAKEN), healthy
        return (Outcome(Verdict.ACCEPTED) if status in TAKEN else None), healthy


def _is_healthy(status: int) -> bool:
    return status in (*TAKEN, *REFUSED) and status not in NOT_ABOUT_MESSAGE

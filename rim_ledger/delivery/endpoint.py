"""The endpoint of a provider: its URL, and the secrets that authenticate us."""

from datetime import datetime
from functools import partial
from uuid import UUID

from msgspec import Struct
from pydantic import SecretStr

from rim_ledger.delivery.signature import sign
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.system.credentials import API_KEY, API_SECRET
from rim_ledger.system.integration import ApiIntegration, IntegrationType


class Endpoint(Struct, frozen=True):
    """What a call to a provider needs, with secrets in the clear."""

    id: UUID
    name: str
    type: IntegrationType
    base_url: str
    sender: str
    """The sender of messages."""
    key: SecretStr | None
    secret: SecretStr | None

    @property
    def authorization(self) -> dict[str, str]:
        """The header that authenticates us."""
        return {"authorization": f"Bearer {self.key.get_secret_value()}"} if self.key else {}

    def headers(self, reference: str, body: bytes | None, now: datetime) -> dict[str, str]:
        """Return the headers of a request; signed with the secret, as callbacks are."""
        headers = {"accept": "application/json", "idempotency-key": reference}
        if body is not None:
            headers["content-type"] = "application/json"
        if self.secret:
            time = str(int(now.timestamp()))
            headers |= {
                "webhook-id": reference,
                "webhook-timestamp": time,
                "webhook-signature": sign(
                    self.secret.get_secret_value(), reference, time, body or b""
                ),
            }
        return headers | self.authorization


def endpoint_of(uow: UnitOfWork, integration: ApiIntegration) -> Endpoint:
    """Return the endpoint of an integration, as of this decision."""
    uow.look_ahead(partial(uow.unsealed, integration.id, each) for each in (API_KEY, API_SECRET))

    def secret(purpose: str) -> SecretStr | None:
        text = uow.unsealed(integration.id, purpose)
        return SecretStr(text) if text else None

    return Endpoint(
        id=integration.id,
        name=integration.name,
        type=integration.type,
        base_url=integration.base_url,
        sender=integration.sender,
        key=secret(API_KEY),
        secret=secret(API_SECRET),
    )

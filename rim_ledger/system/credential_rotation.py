"""Rotation of an integration's secrets: replaced, cleared, and the overlap of the former one."""

from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Final
from uuid import UUID

from rim_ledger.delivery.callbacks import MAY_CALL_BACK
from rim_ledger.engine.refusals import require
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.system.config_rules import require_pair
from rim_ledger.system.credentials import API_KEY, API_SECRET, FORMER_SECRET, WithCredentials, keep
from rim_ledger.system.integration import (
    ApiIntegration,
    IntegrationCredentialsRotated,
    IntegrationType,
)

UNKNOWN_CALLBACKS: Final = (
    "Without its apiSecret, nobody could know the callbacks of an active payment gateway."
)


def rotate(
    form: WithCredentials,
    uow: UnitOfWork,
    integration: UUID,
    overlap_hours: int = 0,
    clears: Collection[str] = (),
) -> Iterable[IntegrationCredentialsRotated]:
    """Set the secrets that a form gives, and clear those in `clears`; unchanged ones have no
    effect. Callbacks signed with the former secret are accepted for `overlap_hours` more."""
    known = uow.read(ApiIntegration, integration)
    key_set = form.api_key or ("api_key" not in clears and known.key)
    secret_set = form.api_secret or ("api_secret" not in clears and known.secret)
    require_pair(known.type, key=bool(key_set), secret=bool(secret_set))
    speaks = known.type is IntegrationType.PAYMENT_GATEWAY and known.status in MAY_CALL_BACK
    require(bool(secret_set) or not speaks, "secret-missing", UNKNOWN_CALLBACKS)
    set_before = (("api_key", known.key, API_KEY), ("api_secret", known.secret, API_SECRET))
    cleared = [(field, name) for field, has, name in set_before if has and field in clears]
    for _, name in cleared:
        uow.keep_sealed(integration, name, "")
    key = keep(uow, integration, API_KEY, form.api_key, known.key)
    former = uow.unsealed(integration, API_SECRET) if form.api_secret and known.secret else None
    secret = keep(uow, integration, API_SECRET, form.api_secret, known.secret)
    until = None
    if secret and known.secret:
        if former and overlap_hours and known.type is not IntegrationType.EMAIL:
            until = uow.now + timedelta(hours=overlap_hours)
        uow.keep_sealed(integration, FORMER_SECRET, former if until and former else "")
    if key or secret or cleared:
        gone = tuple(field for field, _ in cleared)
        if "api_secret" in gone:
            uow.keep_sealed(integration, FORMER_SECRET, "")
        yield IntegrationCredentialsRotated(
            api_key=key, api_secret=secret, cleared=gone, former_until=until
        )


def end_former(
    integration: ApiIntegration, hours: int | None, uow: UnitOfWork
) -> Iterable[IntegrationCredentialsRotated]:
    """End the former secret in so many hours, if it would be valid for longer."""
    if hours is None or not integration.former_counts(uow.now):
        return
    until, sooner = integration.former_until, uow.now + timedelta(hours=hours)
    if until and sooner < until:
        if not hours:
            uow.keep_sealed(integration.id, FORMER_SECRET, "")
        yield IntegrationCredentialsRotated(former_until=sooner)

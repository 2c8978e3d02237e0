"""The door for providers that call us: no session, but a signature over every message."""

from abc import abstractmethod
from collections.abc import Container
from datetime import datetime
from typing import Annotated, Any, ClassVar, Final
from uuid import UUID

import msgspec
from pydantic import BeforeValidator, ConfigDict, Field

from rim_ledger.delivery.signature import SignedMessage
from rim_ledger.engine.aggregate import Actor, Aggregate
from rim_ledger.engine.command import Form
from rim_ledger.engine.refusals import Unauthenticated
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.system.credentials import API_SECRET, FORMER_SECRET
from rim_ledger.system.integration import ApiIntegration, IntegrationStatus, IntegrationType
from rim_ledger.values import moment

NOBODYS: Final = "a secret that is tried where there is none, to take the same time"
MAY_SPEAK: Final = (IntegrationStatus.ACTIVE, IntegrationStatus.ERROR)
"""Whoever is called no more, because calls failed, is still heard of what it was asked before."""


class UnknownReference(Exception):
    """There is no such thing, or none yet. No Refused, for a refusal would be kept as the answer
    to this message; when the provider sends it again, the thing may be there."""


class NotOurs(Exception):
    """There is no such thing and never will be, so that nothing is to be sent again."""


def _own_time(value: Any) -> datetime | None:
    return moment(value) if isinstance(value, str) else None


class ProviderForm(Form):
    """What a provider says in its own words: what we do not know is passed over, as providers add
    fields whenever they like. What we need is checked as in any form."""

    model_config = ConfigDict(extra="ignore")


class Callback(ProviderForm):
    """What a provider tells of one thing that was asked of it, or that it did for us."""

    ABOUT: ClassVar[type[Aggregate]]

    timestamp: Annotated[
        datetime | None,
        BeforeValidator(_own_time),
        Field(
            description="When it happened, as the provider has it (Standard Webhooks). It is kept "
            "with the events if it is a time of RFC 3339, and moves nothing."
        ),
    ] = None

    def take(self, uow: UnitOfWork) -> UUID:
        """Decide, with the provider's own time kept beside the events; the id of the thing."""
        uow.stamp = msgspec.structs.replace(uow.stamp, said_at=self.timestamp)
        return self.work(uow)

    @abstractmethod
    def work(self, uow: UnitOfWork) -> UUID:
        """Decide on it, in the name of the provider that was admitted; the id of the thing.

        Raises UnknownReference or NoneOfOurs where there is none.
        """


def stranger() -> Unauthenticated:
    """The one answer to all who may not speak."""
    return Unauthenticated("unauthenticated", "No active integration has signed this.")


def enter(
    uow: UnitOfWork, id: UUID, message: SignedMessage, types: Container[IntegrationType]
) -> ApiIntegration:
    """Admit an integration of one of these types by its signature: the decision is then made in
    its name. While its secret is rotated, the former one counts as well.

    Raises Unauthenticated, in the same words whether the signature, the time, the integration,
    its type or its standing is at fault.
    """
    known = uow.find(ApiIntegration, id)
    secret, former = (uow.unsealed(id, each) for each in (API_SECRET, FORMER_SECRET))
    if known is None or not known.former_counts(uow.now):
        former = None
    signed = [message.is_signed(each or NOBODYS, uow.now) and each for each in (secret, former)]
    if not known or not any(signed) or known.type not in types or known.status not in MAY_SPEAK:
        raise stranger()
    actor = Actor(type="integration", id=known.id, name=known.name)
    uow.stamp = msgspec.structs.replace(uow.stamp, actor=actor)
    uow.rights = frozenset()
    return known


def speaker(uow: UnitOfWork) -> ApiIntegration:
    """The integration that was admitted."""
    admitted = uow.stamp.actor.id
    assert admitted is not None, "whoever speaks was admitted"
    return uow.read(ApiIntegration, admitted)

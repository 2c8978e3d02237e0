"""Callbacks of providers, which are authenticated by a signature over each message."""

from abc import abstractmethod
from collections.abc import Container
from datetime import datetime
from typing import Annotated, ClassVar, Final
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

PLACEHOLDER: Final = "a secret that is tried where there is none, to take the same time"
MAY_CALL_BACK: Final = (IntegrationStatus.ACTIVE, IntegrationStatus.ERROR)
"""An integration in error is not called, but may still report on earlier requests."""


class UnknownReference(Exception):
    """The referenced thing does not exist, or not yet. Not a Refused, which would be stored as the
    answer to this message: when the provider sends it again, the thing may exist."""


class NotOurs(Exception):
    """The referenced thing will never exist here, so the message need not be sent again."""


class ProviderForm(Form):
    """A provider's message. Unknown fields are ignored, since providers add fields at any time;
    known ones are checked as in any form."""

    model_config = ConfigDict(extra="ignore")


class Callback(ProviderForm):
    """A provider's report on one request of ours, or on one payment."""

    ABOUT: ClassVar[type[Aggregate]]

    timestamp: Annotated[
        datetime | None,
        BeforeValidator(lambda value: moment(value) if isinstance(value, str) else None),
        Field(
            description="When it happened, as the provider has it (Standard Webhooks). It is kept "
            "with the events if it is a time of RFC 3339, and moves nothing."
        ),
    ] = None

    def take(self, uow: UnitOfWork) -> UUID:
        """Decide, with the provider's own time stored in the stamp; return the id of the thing."""
        uow.stamp = msgspec.structs.replace(uow.stamp, said_at=self.timestamp)
        return self.work(uow)

    @abstractmethod
    def work(self, uow: UnitOfWork) -> UUID:
        """Decide as the authenticated provider; return the id of the thing.

        Raises UnknownReference or NotOurs if there is none.
        """


def unauthenticated() -> Unauthenticated:
    """Return the one answer to every failed authentication."""
    return Unauthenticated("unauthenticated", "No active integration has signed this.")


def enter(
    uow: UnitOfWork, id: UUID, message: SignedMessage, types: Container[IntegrationType]
) -> ApiIntegration:
    """Authenticate an integration of one of these types by its signature, and make it the actor of
    the decision. While its secret is rotated, the former one counts as well.

    Raises Unauthenticated, with the same message whether signature, time, integration, type or
    status is at fault.
    """
    known = uow.find(ApiIntegration, id)
    secret, former = (uow.unsealed(id, each) for each in (API_SECRET, FORMER_SECRET))
    if known is None or not known.former_counts(uow.now):
        former = None
    signed = [message.is_signed(each or PLACEHOLDER, uow.now) and each for each in (secret, former)]
    if not known or not any(signed) or known.type not in types or known.status not in MAY_CALL_BACK:
        raise unauthenticated()
    actor = Actor(type="integration", id=known.id, name=known.name)
    uow.stamp = msgspec.structs.replace(uow.stamp, actor=actor)
    uow.rights = frozenset()
    return known


def speaker(uow: UnitOfWork) -> ApiIntegration:
    """Return the authenticated integration."""
    admitted = uow.stamp.actor.id
    assert admitted is not None, "the integration was admitted"
    return uow.read(ApiIntegration, admitted)

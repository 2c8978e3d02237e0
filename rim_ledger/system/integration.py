"""An integration: an external provider, its endpoint, and the secrets shared with it."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Self, assert_never
from uuid import UUID

from rim_ledger.delivery.port import Channel
from rim_ledger.engine.aggregate import NOWHERE, Aggregate, Event, Stamp
from rim_ledger.engine.refusals import require
from rim_ledger.system.credentials import Credential, Imprint, shown
from rim_ledger.values import Network, rfc3339

SERVES: Final = "served-by"
"""The kind of claim that reserves a network or channel for one integration."""


class IntegrationType(StrEnum):
    """What a provider is for."""

    TELECOM = "telecom"
    PAYMENT_GATEWAY = "payment_gateway"
    SMS = "sms"
    EMAIL = "email"


class IntegrationStatus(StrEnum):
    """Whether an integration is used."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    ERROR = "error"


class TestResult(StrEnum):
    """The outcome of the last test."""

    __test__ = False

    SUCCESS = "success"
    FAILED = "failed"


LEGAL: Final[Mapping[str, tuple[str, ...]]] = {
    IntegrationStatus.ACTIVE: ("deactivate", "test"),
    IntegrationStatus.INACTIVE: ("activate", "archive", "test"),
    IntegrationStatus.ERROR: ("archive", "deactivate", "test"),
}


def under_way(integration: UUID) -> str:
    """Return the list of loans and messages in progress through an integration."""
    return f"through:{integration}"


class IntegrationCreated(Event):
    name: str
    type: IntegrationType
    provider: str
    base_url: str
    config: dict[str, Any] = {}


class IntegrationChanged(Event):
    """Holds changed fields only."""

    name: str | None = None
    provider: str | None = None
    base_url: str | None = None
    config: dict[str, Any] | None = None


class IntegrationCredentialsRotated(Event):
    """Holds new values only. The secrets are stored encrypted beside the events. Callbacks signed
    with the former secret are accepted until `former_until`, or not at all without it. It may be
    set alone, to an earlier time."""

    api_key: Imprint | None = None
    api_secret: Imprint | None = None
    cleared: tuple[str, ...] = ()
    """Those of the two that are removed."""
    former_until: datetime | None = None


class IntegrationTested(Event):
    """The provider was called once. The reason of a failure is one word of ours."""

    result: TestResult
    reason: str | None = None


class IntegrationActivated(Event):
    """By hand, or by a test that succeeded after an error."""


class IntegrationDeactivated(Event):
    pass


class IntegrationBroken(Event):
    """Too many calls failed in a row; no more are made until a test succeeds."""

    failures: int


class IntegrationArchived(Event):
    """The integration is kept for the record."""


IntegrationEvent = (
    IntegrationChanged
    | IntegrationCredentialsRotated
    | IntegrationTested
    | IntegrationActivated
    | IntegrationDeactivated
    | IntegrationBroken
    | IntegrationArchived
)


class ApiIntegration(Aggregate):
    name: str
    type: IntegrationType
    provider: str
    base_url: str
    config: dict[str, Any]
    created_at: datetime
    status: IntegrationStatus = IntegrationStatus.INACTIVE
    key: Credential | None = None
    secret: Credential | None = None
    former_until: datetime | None = None
    """Until when callbacks signed with the former secret are accepted."""
    last_tested: datetime | None = None
    last_test_result: TestResult | None = None
    last_test_reason: str | None = None
    broken_at: datetime | None = None
    archived: bool = False

    @property
    def claims(self) -> frozenset[tuple[str, str]]:
        if self.status is IntegrationStatus.INACTIVE:
            return NOWHERE
        return frozenset((SERVES, each) for each in self.serves)

    @property
    def is_called(self) -> bool:
        """Whether we call it; a payment gateway calls us."""
        return self.type is not IntegrationType.PAYMENT_GATEWAY

    @property
    def serves(self) -> tuple[Network | Channel, ...]:
        """What this integration serves exclusively while active: the networks whose airtime it
        sends, all unless it names some, or its channel of messages."""
        match self.type:
            case IntegrationType.TELECOM:
                return tuple(Network(each) for each in self.config.get("networks", Network))
            case IntegrationType.SMS:
                return (Channel.SMS,)
            case IntegrationType.EMAIL:
                return (Channel.EMAIL,)
            case IntegrationType.PAYMENT_GATEWAY:
                return ()

    @property
    def sender(self) -> str:
        """The sender of messages through it."""
        return str(self.config.get("from", ""))

    @property
    def per_second(self) -> int | None:
        """Messages per second through it; None if it sets no limit."""
        return self.config.get("perSecond")

    @property
    def api_key(self) -> dict[str, Any]:
        return shown(self.key)

    @property
    def api_secret(self) -> dict[str, Any]:
        until = self.former_until
        return shown(self.secret) | {"formerValidUntil": until and rfc3339(until)}

    def former_counts(self, now: datetime) -> bool:
        """Return whether callbacks signed with the former secret are still accepted."""
        return self.former_until is not None and now < self.former_until

    def require_present(self) -> None:
        require(not self.archived, "already-done", "The integration is archived.")

    def evolve(self, event: IntegrationEvent, stamp: Stamp) -> Self:  # noqa: PLR0911 - a line an event
        match event:
            case IntegrationChanged():
                changed = self.but(**event.changes)
                # Another provider or address is untested, and has none of the former secrets.
                if not (event.provider or event.base_url):
                    return changed
                untested = changed.but(last_tested=None, last_test_result=None)
                return untested.but(last_test_reason=None, former_until=None)
            case IntegrationCredentialsRotated(api_key=key, api_secret=secret, former_until=until):
                has_key = None if "api_key" in event.cleared else self.key
                has_secret = None if "api_secret" in event.cleared else self.secret
                anew = secret or until or not has_secret
                return self.but(
                    key=Credential(imprint=key, set_at=stamp.at) if key else has_key,
                    secret=Credential(imprint=secret, set_at=stamp.at) if secret else has_secret,
                    former_until=until if anew else self.former_until,
                )
            case IntegrationTested():
                return self.but(
                    last_tested=stamp.at,
                    last_test_result=event.result,
                    last_test_reason=event.reason,
                )
            case IntegrationActivated():
                return self.but(status=IntegrationStatus.ACTIVE, broken_at=None)
            case IntegrationDeactivated():
                return self.but(status=IntegrationStatus.INACTIVE, broken_at=None)
            case IntegrationBroken():
                return self.but(status=IntegrationStatus.ERROR, broken_at=stamp.at)
            case IntegrationArchived():
                return self.but(status=IntegrationStatus.INACTIVE, broken_at=None, archived=True)
            case _:
                assert_never(event)

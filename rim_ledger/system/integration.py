"""An integration: a provider outside, how it is reached, and the secrets shared with it."""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any, Final, Self, assert_never
from urllib.parse import urlsplit
from uuid import UUID

from pydantic import AfterValidator, Field, JsonValue
from pydantic_core import PydanticCustomError

from rim_ledger.book import Book
from rim_ledger.core import (
    Aggregate,
    Command,
    Creation,
    Event,
    Invalid,
    Stamp,
    require,
    require_legal,
)
from rim_ledger.system.credentials import (
    API_KEY,
    API_SECRET,
    Credential,
    Imprint,
    WithCredentials,
    keep,
    shown,
)
from rim_ledger.values import LOOPBACK, Name

CONFIG_MAX: Final = 10_000


class IntegrationType(StrEnum):
    """What a provider is for."""

    TELECOM = "telecom"
    PAYMENT_GATEWAY = "payment_gateway"
    SMS = "sms"
    EMAIL = "email"


class IntegrationStatus(StrEnum):
    """Whether an integration may act."""

    ACTIVE = "active"
    INACTIVE = "inactive"
    ERROR = "error"


class TestResult(StrEnum):
    """How the last test went."""

    __test__ = False

    SUCCESS = "success"
    FAILED = "failed"


LEGAL: Final[Mapping[str, tuple[str, ...]]] = {
    IntegrationStatus.ACTIVE: ("deactivate",),
    IntegrationStatus.INACTIVE: ("activate",),
    IntegrationStatus.ERROR: ("deactivate",),
}


# Events: what can happen to an integration.


class IntegrationCreated(Event):
    name: str
    type: IntegrationType
    provider: str
    base_url: str
    config: dict[str, Any] = {}


class IntegrationChanged(Event):
    """Only what changed is set."""

    name: str | None = None
    provider: str | None = None
    base_url: str | None = None
    config: dict[str, Any] | None = None


class IntegrationCredentialsRotated(Event):
    """Only what is new is set. The secrets themselves are kept, encrypted, beside the events."""

    api_key: Imprint | None = None
    api_secret: Imprint | None = None


class IntegrationActivated(Event):
    pass


class IntegrationDeactivated(Event):
    pass


IntegrationEvent = (
    IntegrationChanged
    | IntegrationCredentialsRotated
    | IntegrationActivated
    | IntegrationDeactivated
)


# The aggregate: what those events add up to.


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
    last_tested: datetime | None = None
    last_test_result: TestResult | None = None

    @property
    def api_key(self) -> dict[str, Any]:
        return shown(self.key)

    @property
    def api_secret(self) -> dict[str, Any]:
        return shown(self.secret)

    @classmethod
    def begin(cls, id: UUID, event: IntegrationCreated, stamp: Stamp) -> Self:
        return cls(
            id=id,
            name=event.name,
            type=event.type,
            provider=event.provider,
            base_url=event.base_url,
            config=event.config,
            created_at=stamp.at,
        )

    def evolve(self, event: IntegrationEvent, stamp: Stamp) -> Self:
        match event:
            case IntegrationChanged():
                return self.but(
                    name=event.name or self.name,
                    provider=event.provider or self.provider,
                    base_url=event.base_url or self.base_url,
                    config=self.config if event.config is None else event.config,
                )
            case IntegrationCredentialsRotated(api_key=key, api_secret=secret):
                return self.but(
                    key=Credential(imprint=key, set_at=stamp.at) if key else self.key,
                    secret=Credential(imprint=secret, set_at=stamp.at) if secret else self.secret,
                )
            case IntegrationActivated():
                return self.but(status=IntegrationStatus.ACTIVE)
            case IntegrationDeactivated():
                return self.but(status=IntegrationStatus.INACTIVE)
            case _:
                assert_never(event)


# Commands: what one may ask of an integration, and the rule each must meet.


def _url(text: str) -> str:
    wrong = PydanticCustomError(
        "url", "this is an https address (http on this machine only) without a password or a query"
    )
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    plain = parts.scheme == "http" and host in LOOPBACK
    if not host or not (parts.scheme == "https" or plain) or "@" in parts.netloc:
        raise wrong
    if parts.query or parts.fragment:
        raise wrong
    return text


def _small(config: dict[str, JsonValue]) -> dict[str, JsonValue]:
    if len(json.dumps(config)) > CONFIG_MAX:
        raise PydanticCustomError("too_long", f"this has at most {CONFIG_MAX} characters of JSON")
    return config


Url = Annotated[
    str,
    Field(min_length=1, max_length=500, pattern=r"^[!-~]+$", examples=["https://api.example.com"]),
    AfterValidator(_url),
]
Config = Annotated[dict[str, JsonValue], AfterValidator(_small)]
"""Whatever else the provider wants to be told; no secrets, for it is shown as it is."""


def _rotate(form: WithCredentials, book: Book, integration: UUID) -> Iterable[Event]:
    """Take over the secrets that a form gives; those that are kept already change nothing."""
    known = book.read(ApiIntegration, integration)
    key = keep(book, integration, API_KEY, form.api_key, known.key)
    secret = keep(book, integration, API_SECRET, form.api_secret, known.secret)
    if key or secret:
        yield IntegrationCredentialsRotated(api_key=key, api_secret=secret)


class CreateIntegration(WithCredentials, Creation[ApiIntegration]):
    """Add a provider. It does nothing until it is activated."""

    name: Name
    type: Annotated[IntegrationType, Field(strict=False)]
    provider: Name
    base_url: Url
    config: Config = {}

    def begin(self, id: UUID, book: Book) -> Iterable[Event]:
        yield IntegrationCreated(
            name=self.name,
            type=self.type,
            provider=self.provider,
            base_url=self.base_url,
            config=self.config,
        )
        yield from _rotate(self, book, id)


class UpdateIntegration(WithCredentials, Command[ApiIntegration]):
    """Change what is given; what is left out stays. Secrets are for one provider at one address:
    whoever changes either sends every secret that is set again."""

    name: Name | None = None
    provider: Name | None = None
    base_url: Url | None = None
    config: Config | None = None

    def decide(self, aggregate: ApiIntegration, book: Book) -> Iterable[Event]:
        changes = {
            field: wish
            for field in ("name", "provider", "base_url", "config")
            if (wish := getattr(self, field)) not in (None, getattr(aggregate, field))
        }
        if changes.keys() & {"provider", "base_url"}:
            self._require_secrets_again(aggregate)
        if changes:
            yield IntegrationChanged(**changes)
        yield from _rotate(self, book, aggregate.id)

    def _require_secrets_again(self, integration: ApiIntegration) -> None:
        pairs = ((integration.key, self.api_key), (integration.secret, self.api_secret))
        again = "Another provider or address gets no secret of the former one: send them again."
        complete = all(sent for known, sent in pairs if known)
        require(complete, "secret-reentry-required", again)


class RotateCredentials(WithCredentials, Command[ApiIntegration]):
    """Replace the secrets that are given. The former ones are worth nothing from then on."""

    def decide(self, aggregate: ApiIntegration, book: Book) -> Iterable[Event]:
        if self.api_key is None and self.api_secret is None:
            raise Invalid("missing", "Name an apiKey, an apiSecret or both.", "/apiSecret")
        yield from _rotate(self, book, aggregate.id)


class ActivateIntegration(Command[ApiIntegration]):
    """Let an integration act. A payment gateway needs its secret, by which its callbacks are
    known. The other types cannot be activated yet: each is to pass a test first."""

    def decide(self, aggregate: ApiIntegration, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "activate", LEGAL)
        gateway = aggregate.type is IntegrationType.PAYMENT_GATEWAY
        require(gateway, "not-tested", "Only a payment gateway acts without having been tested.")
        unset = "The integration's apiSecret is not set, so nobody could know its callbacks."
        require(aggregate.secret is not None, "secret-missing", unset)
        yield IntegrationActivated()


class DeactivateIntegration(Command[ApiIntegration]):
    """Let an integration act no more; its callbacks are turned away at once."""

    def decide(self, aggregate: ApiIntegration, book: Book) -> Iterable[Event]:
        require_legal(aggregate.status, "deactivate", LEGAL)
        yield IntegrationDeactivated()

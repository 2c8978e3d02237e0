"""Commands on integrations: configuration, secrets, tests, and recovery after failures."""

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Final, Self
from urllib.parse import urlsplit
from uuid import UUID

from annotated_types import Predicate
from msgspec import Struct
from pydantic import AfterValidator, Field, PrivateAttr, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from rim_ledger.delivery.callbacks import MAY_CALL_BACK
from rim_ledger.delivery.egress import Blocked
from rim_ledger.delivery.endpoint import Endpoint, endpoint_of
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command, Creation
from rim_ledger.engine.patch import Patch
from rim_ledger.engine.refusals import Invalid, Refused, require, require_legal
from rim_ledger.engine.unit_of_work import UnitOfWork, decision
from rim_ledger.free_json import FreeObject
from rim_ledger.system.credentials import (
    API_KEY,
    API_SECRET,
    FORMER_SECRET,
    OVERLAP_HOURS,
    OVERLAP_HOURS_MAX,
    WithCredentials,
    keep,
)
from rim_ledger.system.integration import (
    LEGAL,
    SERVES,
    ApiIntegration,
    IntegrationActivated,
    IntegrationArchived,
    IntegrationBroken,
    IntegrationChanged,
    IntegrationCreated,
    IntegrationCredentialsRotated,
    IntegrationDeactivated,
    IntegrationStatus,
    IntegrationTested,
    IntegrationType,
    TestResult,
    under_way,
)
from rim_ledger.text import fits
from rim_ledger.values import LOOPBACK, Email, Name, Network

WEB: Final = ("https", "http")
MAIL: Final = ("smtps", "smtp")
FROM_MAX: Final = 20
"""Characters of an SMS sender: a phone number, or a name."""
PER_SECOND_MAX: Final = 10_000


SenderName = Annotated[
    str, Predicate(str.isprintable), Predicate(lambda text: text == text.strip())
]


class _Fit(Struct, frozen=True):
    """What a key of the configuration holds, and the refusal of anything else."""

    type: Any
    code: str
    words: str
    required: bool = False


_PER_SECOND: Final = _Fit(
    Annotated[int, Field(strict=True, ge=1, le=PER_SECOND_MAX)],
    "invalid-rate",
    f"This is how many messages go out in a second, from 1 to {PER_SECOND_MAX}.",
)
FIT: Final[Mapping[IntegrationType, Mapping[str, _Fit]]] = {
    IntegrationType.TELECOM: {
        "networks": _Fit(
            Annotated[list[Network], Field(min_length=1)],
            "unknown-network",
            f"This lists one or more of {', '.join(Network)}.",
        )
    },
    IntegrationType.SMS: {
        "from": _Fit(
            Annotated[SenderName, Field(min_length=1, max_length=FROM_MAX)],
            "invalid-sender",
            f"This is whom an SMS is from, in {FROM_MAX} characters at most, such as RIM.",
        ),
        "perSecond": _PER_SECOND,
    },
    IntegrationType.EMAIL: {
        "from": _Fit(
            Annotated[Email, Predicate(str.isascii)],  # Not every server takes more.
            "invalid-sender",
            "This is the address that e-mails are from, such as ledger@example.com, in ASCII.",
            required=True,
        ),
        "perSecond": _PER_SECOND,
    },
}


def require_fit(kind: IntegrationType, base_url: str, config: Mapping[str, Any]) -> None:
    """Refuse (422, with the pointer) a base URL or configuration that does not fit the type."""
    mail = kind is IntegrationType.EMAIL
    if urlsplit(base_url).scheme not in (MAIL if mail else WEB):
        words = "A mail server is at smtps://… or smtp://…" if mail else "This is at https://…"
        raise Invalid("wrong-scheme", words, "/baseUrl")
    for key, fit in FIT.get(kind, {}).items():
        try:
            if key in config or fit.required:
                TypeAdapter(fit.type).validate_python(config.get(key))
        except ValidationError:
            raise Invalid(fit.code, fit.words, f"/config/{key}") from None


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
    if known.type is IntegrationType.EMAIL and bool(key_set) != bool(secret_set):
        words = "Of an e-mail integration, apiKey is the user name and apiSecret the password:"
        place = "/apiSecret" if key_set else "/apiKey"
        raise Invalid("missing", f"{words} name both, or neither.", place)
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


CONFIG_MAX: Final = 10_000


def _url(text: str) -> str:
    wrong = PydanticCustomError(
        "url",
        "this is an https address (http on this machine only), or the smtps or smtp address of a"
        " mail server, without a password or a query",
    )
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise wrong from None
    plain = parts.scheme == "http" and host not in LOOPBACK
    if not host or parts.scheme not in (*WEB, *MAIL) or plain or "@" in parts.netloc:
        raise wrong
    if "?" in text or "#" in text or port == 0 or (parts.scheme in MAIL and parts.path):
        raise wrong
    return text


Url = Annotated[
    str,
    Field(min_length=1, max_length=500, pattern=r"^[!-~]+$", examples=["https://api.example.com"]),
    AfterValidator(_url),
]
Config = Annotated[
    FreeObject,
    fits(
        lambda config: len(json.dumps(config)) <= CONFIG_MAX,
        "too_long",
        f"this has at most {CONFIG_MAX} characters of JSON",
    ),
]
"""Further configuration for the provider, shown in the clear, so without secrets. `networks` lists
those that a telecom integration serves, all if omitted. `from` is the sender of messages, required
for an e-mail integration, and `perSecond` the limit of messages per second."""


class CreateIntegration(WithCredentials, Creation[ApiIntegration]):
    """Add a provider. It is not used until it is activated."""

    name: Name
    type: Annotated[IntegrationType, Field(strict=False)]
    provider: Name
    base_url: Url
    config: Config = {}

    def begin(self, id: UUID, uow: UnitOfWork) -> Iterable[Event]:
        require_fit(self.type, self.base_url, self.config)
        yield IntegrationCreated.of(self)

    def follow(self, id: UUID, uow: UnitOfWork) -> None:
        uow.append(ApiIntegration, id, rotate(self, uow, id))


class UpdateIntegration(WithCredentials, Patch[ApiIntegration]):
    """Change an integration; omitted fields stay as they are. Secrets belong to one provider at one
    address: changing either requires every secret that is set again. It also deactivates an active
    integration, unless a payment gateway, until it is tested again."""

    CLEARS = frozenset({"api_key", "api_secret"})

    name: Name | None = None
    provider: Name | None = None
    base_url: Url | None = None
    config: Config | None = None

    def decide(self, aggregate: ApiIntegration, uow: UnitOfWork) -> Iterable[Event]:
        changes = self.changes(aggregate)
        moved = bool(changes.keys() & {"provider", "base_url"})
        if moved:
            had = ((aggregate.key, "api_key"), (aggregate.secret, "api_secret"))
            again = "Another provider or address gets no secret of the former one: send them again."
            complete = all(field in self.model_fields_set for known, field in had if known)
            require(complete, "secret-reentry-required", again)
            require_nothing_under_way(uow, aggregate)
        config = aggregate.config if self.config is None else self.config
        require_fit(aggregate.type, self.base_url or aggregate.base_url, config)
        events: list[Event] = [IntegrationChanged(**changes)] if changes else []
        clears = [*filter(self.clears, self.CLEARS)]
        events += rotate(self, uow, aggregate.id, 0 if moved else OVERLAP_HOURS, clears)
        if moved and aggregate.is_called and aggregate.status is not IntegrationStatus.INACTIVE:
            events += _stop(aggregate, uow)
        return events

    def follow(self, before: ApiIntegration, uow: UnitOfWork) -> None:
        now = uow.read(ApiIntegration, before.id)
        if now.config != before.config and now.status is not IntegrationStatus.INACTIVE:
            _claim(now, uow)


class RotateCredentials(WithCredentials, Command[ApiIntegration]):
    """Replace the secrets that are given. Callbacks signed with the former secret are accepted for
    `overlapHours` more, so that the provider can change over; use 0 for a secret that leaked. Given
    alone, `overlapHours` ends the former secret sooner."""

    overlap_hours: Annotated[int, Field(ge=0, le=OVERLAP_HOURS_MAX)] | None = None

    def decide(self, aggregate: ApiIntegration, uow: UnitOfWork) -> Iterable[Event]:
        alone = self.api_key is None and self.api_secret is None
        if alone and self.overlap_hours is None:
            raise Invalid("missing", "Name an apiKey, an apiSecret or both.", "/apiSecret")
        hours = OVERLAP_HOURS if self.overlap_hours is None else self.overlap_hours
        rotated = list(rotate(self, uow, aggregate.id, hours))
        same = not any(event.api_secret for event in rotated)
        ends = list(end_former(aggregate, self.overlap_hours, uow)) if same else []
        words = "No former secret is valid for longer than that."
        require(not alone or bool(ends), "already-done", words)
        yield from [*rotated, *ends]


class TestIntegration(Command[ApiIntegration]):
    """Call the provider once, at its base URL and with its key. Any answer of status 2xx within
    five seconds is a success; its content is not shown. At a mail server, log in and out. Success
    reactivates an integration that failures had put out of use. An address inside a private network
    is 422."""

    __test__: ClassVar[bool] = False

    _endpoint: Endpoint | None = PrivateAttr(default=None)
    _found: IntegrationTested | Blocked | None = PrivateAttr(default=None)

    def after(self, endpoint: Endpoint, found: IntegrationTested | Blocked) -> Self:
        """Return a copy of the command with the endpoint that was called, and the outcome."""
        return self.prepared(_endpoint=endpoint, _found=found)

    def decide(self, aggregate: ApiIntegration, uow: UnitOfWork) -> Iterable[Event]:
        assert self._found, "the call is made before the decision"
        if isinstance(self._found, Blocked):
            raise self._found
        same = self._endpoint == endpoint_of(uow, aggregate)
        require(same, "changed-meanwhile", "The integration was changed while it was tested.")
        return [self._found, *after_test(aggregate, self._found, uow)]


class ActivateIntegration(Command[ApiIntegration]):
    """Activate an integration whose last test succeeded. A payment gateway needs no test, but its
    secret, which authenticates its callbacks. One integration is active for each network, one for
    SMS and one for e-mails."""

    def decide(self, aggregate: ApiIntegration, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "activate", LEGAL)
        if aggregate.is_called:
            tested = aggregate.last_test_result is TestResult.SUCCESS
            require(tested, "not-tested", "Its last test must have succeeded: test it first.")
        else:
            require(aggregate.secret is not None, "secret-missing", UNKNOWN_CALLBACKS)
        _claim(aggregate, uow)
        yield IntegrationActivated()


class DeactivateIntegration(Command[ApiIntegration]):
    """Deactivate an integration; its callbacks are rejected at once. Outcomes in progress are still
    queried."""

    def decide(self, aggregate: ApiIntegration, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "deactivate", LEGAL)
        yield from _stop(aggregate, uow)


class ArchiveIntegration(Command[ApiIntegration]):
    """Archive an integration that is not active. It is kept for the record."""

    def decide(self, aggregate: ApiIntegration, uow: UnitOfWork) -> Iterable[Event]:
        require_legal(aggregate.status, "archive", LEGAL)
        require_nothing_under_way(uow, aggregate)
        uow.forget(PROBE, aggregate.id)
        yield IntegrationArchived()


def require_nothing_under_way(uow: UnitOfWork, integration: ApiIntegration) -> None:
    """Refuse while a top-up or message is unsettled: only this provider can tell its outcome."""
    waiting = uow.listed(under_way(integration.id), 1)
    if integration.type is IntegrationType.TELECOM:
        words = "Top-ups through it wait for their outcome; what was asked of it must stay known."
        require(not waiting, "top-ups-under-way", words)
    words = "Messages through it wait for their outcome; what was asked of it must stay known."
    require(not waiting, "messages-under-way", words)


def _stop(integration: ApiIntegration, uow: UnitOfWork) -> Iterable[Event]:
    uow.forget(PROBE, integration.id)
    yield IntegrationDeactivated()


def _claim(integration: ApiIntegration, uow: UnitOfWork) -> None:
    telecom = integration.type is IntegrationType.TELECOM
    for each in integration.serves:
        words = f"Another {integration.type} integration serves {each}: deactivate that first."
        network, channel = Refused("network-taken", words), Refused("channel-taken", words)
        uow.claim(SERVES, each, integration.id, network if telecom else channel)


PROBE: Final = "test-integration"
"""The reminder to test an integration in error again."""
FIRST_PROBE: Final = timedelta(minutes=1)
LAST_WAIT: Final = timedelta(hours=1)


@decision
def open_breaker(uow: UnitOfWork, id: UUID, failures: int) -> None:
    """Stop calling a provider, and schedule a test: the circuit breaker's decision."""
    integration = uow.read(ApiIntegration, id)
    if integration.status is IntegrationStatus.ACTIVE and integration.is_called:
        uow.append(ApiIntegration, id, [IntegrationBroken(failures=failures)])
        uow.remind(PROBE, id, uow.now + FIRST_PROBE)


@decision
def record_test(uow: UnitOfWork, endpoint: Endpoint, found: IntegrationTested) -> None:
    """Record a scheduled test of an integration in error."""
    uow.act_upon(endpoint.id)
    integration = uow.read(ApiIntegration, endpoint.id)
    if integration.status is not IntegrationStatus.ERROR:
        uow.forget(PROBE, endpoint.id)
    elif endpoint == endpoint_of(uow, integration):
        if found.result is TestResult.SUCCESS:
            uow.append(ApiIntegration, endpoint.id, [found])
        uow.append(ApiIntegration, endpoint.id, after_test(integration, found, uow))


def after_test(
    integration: ApiIntegration, found: IntegrationTested, uow: UnitOfWork
) -> Iterable[Event]:
    """Yield what follows from a test in error: it is activated, or the next test is scheduled."""
    if integration.status is not IntegrationStatus.ERROR or integration.broken_at is None:
        return
    if found.result is TestResult.SUCCESS:
        uow.forget(PROBE, integration.id)
        yield IntegrationActivated()
    else:
        waited = uow.now - integration.broken_at
        wait = min(max(FIRST_PROBE, waited), LAST_WAIT)
        uow.remind(PROBE, integration.id, uow.now + wait)

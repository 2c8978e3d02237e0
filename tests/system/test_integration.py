"""Integrations: secrets that nobody reads back, and who may act."""

from datetime import timedelta
from typing import Any

import pytest
from cryptography.exceptions import InvalidTag
from pydantic import SecretStr, ValidationError

from rim_ledger.engine.refusals import Refused
from rim_ledger.system.credentials import Imprint
from rim_ledger.system.integration import (
    ApiIntegration,
    IntegrationActivated,
    IntegrationChanged,
    IntegrationCreated,
    IntegrationCredentialsRotated,
    IntegrationDeactivated,
    IntegrationType,
)
from rim_ledger.system.integration_commands import (
    ActivateIntegration,
    CreateIntegration,
    DeactivateIntegration,
    RotateCredentials,
    UpdateIntegration,
)
from tests.spec import Memory, given, names

SECRET = "a-secret-shared-with-paystack"
PAYSTACK: dict[str, Any] = {
    "name": "Paystack",
    "type": "payment_gateway",
    "provider": "paystack",
    "baseUrl": "https://api.paystack.co",
}
MAIL: dict[str, Any] = {
    "type": "email",
    "baseUrl": "smtps://mail.example.com",
    "config": {"from": "ledger@example.com"},
}


def paystack(**more: Any) -> CreateIntegration:
    return CreateIntegration.model_validate(PAYSTACK | more)


def rotated(secret: str = SECRET, key: str | None = None) -> RotateCredentials:
    return RotateCredentials(
        api_secret=SecretStr(secret), api_key=SecretStr(key) if key is not None else None
    )


def imprint(memory: Memory, secret: str, last4: str | None, purpose: str = "apiSecret") -> Imprint:
    return Imprint(fingerprint=memory.vault.fingerprint(purpose, secret)[:16], last4=last4)


def test_an_integration_begins_inactive_and_may_bring_its_secrets() -> None:
    memory = Memory()
    id_ = memory.environment.new_id()
    wish = paystack(apiSecret=SECRET, config={"country": "NG"})
    events = memory.perform(ApiIntegration, id_, wish)
    created = IntegrationCreated(
        name="Paystack",
        type=IntegrationType.PAYMENT_GATEWAY,
        provider="paystack",
        base_url="https://api.paystack.co",
        config={"country": "NG"},
    )
    mark = imprint(memory, SECRET, "tack")
    assert events == [created, IntegrationCredentialsRotated(api_secret=mark)]
    integration = memory.uow().read(ApiIntegration, id_)
    assert integration.status == "inactive"
    assert integration.api_secret == {
        "set": True,
        "last4": "tack",
        "fingerprint": mark.fingerprint,
        "setAt": "2026-01-05T09:00:00.000000Z",
        "formerValidUntil": None,
    }
    assert integration.api_key["set"] is False


def test_a_secret_is_kept_sealed_for_its_owner_and_purpose_alone() -> None:
    case = given(ApiIntegration, paystack(), rotated())
    memory = case.memory
    sealed = memory.kept_secrets[case.id, "apiSecret"]
    assert memory.uow().unsealed(case.id, "apiSecret") == SECRET
    assert SECRET not in sealed
    assert SECRET not in repr(memory.log)
    for owner, purpose in ((case.id, "apiKey"), (memory.environment.new_id(), "apiSecret")):
        with pytest.raises(InvalidTag):
            memory.vault.unwrap_secret(owner, purpose, sealed)


def test_of_a_short_secret_not_even_the_end_is_told() -> None:
    case = given(ApiIntegration, paystack())
    mark = imprint(case.memory, "8letters", None)
    case.when(rotated("8letters")).then(IntegrationCredentialsRotated(api_secret=mark))


def test_the_secret_that_is_set_already_changes_nothing() -> None:
    given(ApiIntegration, paystack(), rotated()).when(rotated()).then()


def test_rotating_one_secret_leaves_the_other() -> None:
    case = given(ApiIntegration, paystack(), rotated(key="key-number-one"))
    mark = imprint(case.memory, "another-secret-1", "et-1")
    until = case.memory.environment.now() + timedelta(hours=24)
    rotation = IntegrationCredentialsRotated(api_secret=mark, former_until=until)
    case.when(rotated("another-secret-1")).then(rotation)
    assert case.memory.uow().unsealed(case.id, "apiKey") == "key-number-one"


def test_rotating_nothing_cannot_be_meant() -> None:
    given(ApiIntegration, paystack()).when(RotateCredentials()).refused("missing")


@pytest.mark.parametrize(
    "change", [{"baseUrl": "https://elsewhere.example"}, {"provider": "flutterwave"}]
)
def test_another_address_or_provider_gets_no_former_secret(change: dict[str, Any]) -> None:
    history = paystack(), rotated(key="key-number-one")
    wish = UpdateIntegration.model_validate(change)
    given(ApiIntegration, *history).when(wish).refused("secret-reentry-required")
    half = UpdateIntegration.model_validate(change | {"apiSecret": SECRET})
    given(ApiIntegration, *history).when(half).refused("secret-reentry-required")
    whole = change | {"apiSecret": "another-secret-1", "apiKey": "key-number-one"}
    case = given(ApiIntegration, *history).when(UpdateIntegration.model_validate(whole))
    events = case.memory.perform(ApiIntegration, case.id, case.command)
    assert names(events) == ["IntegrationChanged", "IntegrationCredentialsRotated"]


def test_without_secrets_everything_may_change_and_the_same_again_is_no_event() -> None:
    wish = UpdateIntegration(name="Paystack NG", base_url="https://elsewhere.example")
    case = given(ApiIntegration, paystack()).when(wish)
    case.then(IntegrationChanged(name="Paystack NG", base_url="https://elsewhere.example"))
    case.then()


def test_a_payment_gateway_acts_once_its_secret_is_set() -> None:
    given(ApiIntegration, paystack()).when(ActivateIntegration()).refused("secret-missing")
    case = given(ApiIntegration, paystack(), rotated()).when(ActivateIntegration())
    case.then(IntegrationActivated())
    case.refused("invalid-transition")
    case.when(DeactivateIntegration()).then(IntegrationDeactivated())
    case.refused("invalid-transition")


@pytest.mark.parametrize(
    "more",
    [{"type": "telecom"}, {"type": "sms"}, MAIL],
)
def test_nothing_else_acts_without_a_test(more: dict[str, Any]) -> None:
    history = paystack(**more), rotated(key="a-key-or-a-user-name")
    given(ApiIntegration, *history).when(ActivateIntegration()).refused("not-tested")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.paystack.co",
        "ftp://api.paystack.co",
        "https://",
        "https://user:password@api.paystack.co",
        "https://api.paystack.co?key=1",
        "https://api.paystack.co#key",
        "https://[::1",
        "https://host:port",
        "https://an address",
        "smtp://",
        "smtp://user:password@mail.example.com",
        "smtps://mail.example.com/path",
        "smtps://mail.example.com?from=ledger@example.com",
        "smtp://mail.example.com:0",
    ],
)
def test_an_address_is_https_and_holds_no_secret(url: str) -> None:
    with pytest.raises(ValidationError):
        paystack(baseUrl=url)


@pytest.mark.parametrize("url", ["https://api.paystack.co/v2", "http://localhost:8080"])
def test_an_address_may_have_a_path_and_be_on_this_machine(url: str) -> None:
    assert paystack(baseUrl=url).base_url == url


def test_a_configuration_is_bounded() -> None:
    assert paystack(config={"text": "x" * 9000}).config
    with pytest.raises(ValidationError, match="at most 10000 characters"):
        paystack(config={"text": "x" * 10_000})


@pytest.mark.parametrize(
    "secret", ["7letter", "with a space", "naïve-secret", "whsec_%%%%", "whsec_c2hvcnQ=", "x" * 501]
)
def test_what_is_no_secret_is_refused_and_not_repeated(secret: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        paystack(apiSecret=secret)
    shown = refusal.value.errors(include_input=False, include_url=False, include_context=False)
    assert secret not in str(shown)
    assert "items" not in str(shown)


def test_a_refused_change_keeps_the_former_secret() -> None:
    case = given(ApiIntegration, paystack(), rotated())
    wish = UpdateIntegration(provider="flutterwave", api_key=SecretStr("key-number-one"))
    with pytest.raises(Refused):
        case.memory.perform(ApiIntegration, case.id, wish)
    assert case.memory.uow().unsealed(case.id, "apiSecret") == SECRET


def test_a_user_name_of_a_mail_server_may_be_short_and_its_end_is_not_told() -> None:
    case = given(ApiIntegration, paystack(**MAIL), rotated(key="apikey"))
    assert case.memory.uow().unsealed(case.id, "apiKey") == "apikey"
    assert case.memory.uow().read(ApiIntegration, case.id).api_key["last4"] is None
    with pytest.raises(ValidationError):
        rotated(key="")

"""The life of an integration: tested, active, broken, mended, archived; one for each network."""

from typing import Any
from uuid import UUID

import pytest
from pydantic import SecretStr, ValidationError

from rim_ledger.delivery.egress import Blocked
from rim_ledger.delivery.endpoint import Endpoint, endpoint_of
from rim_ledger.delivery.port import Verdict
from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Invalid
from rim_ledger.system.integration import (
    ApiIntegration,
    IntegrationActivated,
    IntegrationArchived,
    IntegrationTested,
    TestResult,
)
from rim_ledger.system.integration_commands import (
    ActivateIntegration,
    ArchiveIntegration,
    CreateIntegration,
    DeactivateIntegration,
    RotateCredentials,
    TestIntegration,
    UpdateIntegration,
    open_breaker,
    record_test,
)
from tests.lending.desk import Desk, refused
from tests.spec import names

GOOD = IntegrationTested(result=TestResult.SUCCESS)
BAD = IntegrationTested(result=TestResult.FAILED, reason="timeout")
TELECOM = {"name": "VTU", "type": "telecom", "provider": "vtu", "baseUrl": "https://vtu.example"}
SMS = {"type": "sms", "baseUrl": "https://sms.example"}
EMAIL: dict[str, Any] = {
    "type": "email",
    "baseUrl": "smtp://mail.example",
    "apiSecret": "the-password",
    "config": {"from": "ledger@rim.example"},
}


class Providers(Desk):
    """A desk with integrations."""

    def add(self, **more: Any) -> UUID:
        id_ = self.environment.new_id()
        wish = CreateIntegration.model_validate(TELECOM | {"apiKey": "key-number-one"} | more)
        self.perform(ApiIntegration, id_, wish)
        return id_

    def wish(self, id: UUID, command: Command[Any]) -> list[str]:
        return names(self.perform(ApiIntegration, id, command))

    def line(self, id: UUID) -> Endpoint:
        return endpoint_of(self.uow(), self.integration(id))

    def integration(self, id: UUID) -> ApiIntegration:
        return self.uow().read(ApiIntegration, id)

    def test(self, id: UUID, found: IntegrationTested | Blocked = GOOD) -> list[str]:
        return self.wish(id, TestIntegration().after(self.line(id), found))

    def active(self, **more: Any) -> UUID:
        id_ = self.add(**more)
        self.test(id_)
        self.wish(id_, ActivateIntegration())
        return id_

    def in_error(self) -> UUID:
        id_ = self.active()
        assert names(self.run(open_breaker(id_, 5))) == ["IntegrationBroken"]
        return id_


def test_who_passed_a_test_may_be_activated() -> None:
    desk = Providers()
    telecom = desk.add()
    assert refused(lambda: desk.wish(telecom, ActivateIntegration())) == "not-tested"
    desk.test(telecom, BAD)
    assert refused(lambda: desk.wish(telecom, ActivateIntegration())) == "not-tested"
    assert desk.integration(telecom).last_test_reason == "timeout"
    desk.test(telecom)
    assert desk.wish(telecom, ActivateIntegration()) == ["IntegrationActivated"]
    tested = desk.integration(telecom)
    assert (
        tested.status,
        tested.last_test_result,
        tested.last_tested,
        tested.last_test_reason,
    ) == (
        "active",
        "success",
        desk.environment.time,
        None,
    )


def test_a_blocked_address_is_refused_and_no_result() -> None:
    desk = Providers()
    telecom = desk.add()
    assert refused(lambda: desk.test(telecom, Blocked())) == "blocked-address"
    assert desk.integration(telecom).last_tested is None


def test_what_was_changed_while_it_was_tested_was_not_tested() -> None:
    desk = Providers()
    telecom = desk.add()
    wish = TestIntegration().after(desk.line(telecom), GOOD)
    desk.wish(telecom, RotateCredentials(api_key=SecretStr("key-number-two")))
    assert refused(lambda: desk.wish(telecom, wish)) == "changed-meanwhile"


def test_another_address_was_never_tested_and_is_not_active() -> None:
    desk = Providers()
    telecom = desk.active()
    moved = UpdateIntegration(
        base_url="https://elsewhere.example", api_key=SecretStr("key-number-one")
    )
    assert desk.wish(telecom, moved) == ["IntegrationChanged", "IntegrationDeactivated"]
    assert desk.integration(telecom).last_test_result is None
    assert refused(lambda: desk.wish(telecom, ActivateIntegration())) == "not-tested"


def test_another_secret_or_name_keeps_an_integration_active() -> None:
    desk = Providers()
    telecom = desk.active()
    desk.wish(telecom, RotateCredentials(api_key=SecretStr("key-number-two")))
    desk.wish(telecom, UpdateIntegration(name="VTU Nigeria"))
    assert desk.integration(telecom).status == "active"


def test_one_telecom_integration_is_active_for_each_network() -> None:
    desk = Providers()
    first = desk.active(config={"networks": ["MTN", "Glo"]})
    other = desk.active(config={"networks": ["Airtel"]})
    third = desk.add(config={"networks": ["9mobile", "Glo"]})
    desk.test(third)
    assert refused(lambda: desk.wish(third, ActivateIntegration())) == "network-taken"
    widened = UpdateIntegration(config={"networks": ["Airtel", "MTN"]})
    assert refused(lambda: desk.wish(other, widened)) == "network-taken"
    desk.wish(first, UpdateIntegration(config={"networks": ["MTN"]}))
    desk.wish(third, ActivateIntegration())
    desk.wish(first, DeactivateIntegration())
    desk.wish(other, widened)
    assert refused(lambda: desk.wish(first, ActivateIntegration())) == "network-taken"


def test_without_a_list_a_telecom_integration_serves_every_network() -> None:
    desk = Providers()
    desk.active()
    glo = desk.add(config={"networks": ["Glo"]})
    desk.test(glo)
    assert refused(lambda: desk.wish(glo, ActivateIntegration())) == "network-taken"


def test_one_integration_is_active_for_each_channel_beside_those_of_networks() -> None:
    desk = Providers()
    desk.active()
    first, mail = desk.active(**SMS), desk.active(**EMAIL)
    second, other = desk.add(**SMS), desk.add(**EMAIL)
    for spare in (second, other):
        desk.test(spare)
        assert refused(lambda one=spare: desk.wish(one, ActivateIntegration())) == "channel-taken"
    desk.run(open_breaker(first, 5))
    assert refused(lambda: desk.wish(second, ActivateIntegration())) == "channel-taken"
    for active, spare in ((first, second), (mail, other)):
        desk.wish(active, DeactivateIntegration())
        assert desk.wish(spare, ActivateIntegration()) == ["IntegrationActivated"]
    desk.wish(second, UpdateIntegration(config={"from": "RIM"}))
    assert refused(lambda: desk.wish(first, ActivateIntegration())) == "channel-taken"


@pytest.mark.parametrize(
    ("more", "url"),
    [
        ({}, "smtps://vtu.example"),
        (SMS, "smtp://sms.example"),
        (EMAIL, "https://mail.example"),
        (EMAIL, "http://localhost:8025"),
        ({"type": "payment_gateway"}, "smtp://pay.example"),
    ],
)
def test_the_type_says_what_an_address_begins_with(more: dict[str, Any], url: str) -> None:
    desk = Providers()
    assert refused(lambda: desk.add(**(more | {"baseUrl": url}))) == "wrong-scheme"
    one, again = desk.add(**more), SecretStr("another-secret")
    moved = UpdateIntegration(base_url=url, api_key=again, api_secret=again)
    assert refused(lambda: desk.wish(one, moved)) == "wrong-scheme"


@pytest.mark.parametrize("end", ["?", "#", "/v1?", "?a=b", "#top"])
def test_an_address_ends_before_a_query_and_a_fragment(end: str) -> None:
    with pytest.raises(ValidationError, match="without a password or a query"):
        UpdateIntegration(base_url=f"https://vtu.example{end}")


@pytest.mark.parametrize(
    "sender", [None, "", "RIM", 7, "ledger@", ["l@rim.example"], "l@bücher.example"]
)
def test_an_email_integration_says_whom_its_messages_are_from(sender: Any) -> None:
    desk = Providers()
    with pytest.raises(Invalid) as error:
        desk.add(**(EMAIL | {"config": {"from": sender}}))
    assert (error.value.code, error.value.more) == ("invalid-sender", {"pointer": "/config/from"})
    assert refused(lambda: desk.add(**(EMAIL | {"config": {}}))) == "invalid-sender"
    mail = desk.add(**EMAIL)
    wish = UpdateIntegration(config={"from": sender})
    assert refused(lambda: desk.wish(mail, wish)) == "invalid-sender"


@pytest.mark.parametrize("sender", [None, "", " ", "x" * 21, "R\nM", 7])
def test_whom_an_sms_is_from_is_short_or_left_to_the_provider(sender: Any) -> None:
    desk = Providers()
    assert refused(lambda: desk.add(**SMS, config={"from": sender})) == "invalid-sender"
    assert desk.integration(desk.add(**SMS)).sender == ""
    assert desk.integration(desk.add(**SMS, config={"from": "RIM"})).sender == "RIM"


@pytest.mark.parametrize("rate", [0, 10_001, "50", 2.5, True, None])
def test_a_rate_of_its_own_is_a_whole_number_of_messages(rate: Any) -> None:
    desk = Providers()
    for more in (SMS, EMAIL):
        config = more.get("config", {}) | {"perSecond": rate}
        with pytest.raises(Invalid) as error:
            desk.add(**(more | {"config": config}))
        assert error.value.code == "invalid-rate"
        assert error.value.more == {"pointer": "/config/perSecond"}
    assert desk.integration(desk.add(**SMS, config={"perSecond": 7})).per_second == 7
    desk.add(config={"perSecond": rate})  # To a telco it means whatever that wants to know.


def test_a_mail_server_knows_a_user_and_a_password_or_nobody() -> None:
    desk = Providers()
    nobody = {"apiKey": None, "apiSecret": None}
    for one, place in (("apiKey", "/apiSecret"), ("apiSecret", "/apiKey")):
        half = EMAIL | nobody | {one: "only-this-one"}
        with pytest.raises(Invalid) as error:
            desk.add(**half)
        assert (error.value.code, error.value.more) == ("missing", {"pointer": place})
    open_ = desk.add(**(EMAIL | nobody))
    alone = RotateCredentials(api_key=SecretStr("ledger"))
    assert refused(lambda: desk.wish(open_, alone)) == "missing"
    both = RotateCredentials(api_key=SecretStr("ledger"), api_secret=SecretStr("a-password"))
    assert desk.wish(open_, both) == ["IntegrationCredentialsRotated"]
    assert desk.wish(open_, alone) == []
    assert desk.wish(open_, RotateCredentials(api_secret=SecretStr("another-one"))) == [
        "IntegrationCredentialsRotated"
    ]


@pytest.mark.parametrize("wish", ["MTN", [], ["Mtn"], [["MTN"]], {"MTN": True}, None])
def test_networks_are_a_list_of_those_there_are(wish: Any) -> None:
    desk = Providers()
    assert refused(lambda: desk.add(config={"networks": wish})) == "unknown-network"
    telecom = desk.add()
    change = UpdateIntegration(config={"networks": wish})
    assert refused(lambda: desk.wish(telecom, change)) == "unknown-network"
    desk.add(type="sms", config={"networks": wish})


def test_who_keeps_failing_is_in_error_until_a_test_succeeds() -> None:
    desk = Providers()
    telecom = desk.in_error()
    assert desk.run(open_breaker(telecom, 6)) == []
    assert desk.integration(telecom).status == "error"
    assert refused(lambda: desk.wish(telecom, ActivateIntegration())) == "invalid-transition"
    assert desk.test(telecom, BAD) == ["IntegrationTested"]
    assert desk.integration(telecom).status == "error"
    assert desk.test(telecom) == ["IntegrationTested", "IntegrationActivated"]
    assert desk.integration(telecom).status == "active"
    assert desk.reminders["test-integration", telecom] is None


def test_an_error_keeps_its_network_until_somebody_gives_it_away() -> None:
    desk = Providers()
    broken = desk.in_error()
    spare = desk.add()
    desk.test(spare)
    assert refused(lambda: desk.wish(spare, ActivateIntegration())) == "network-taken"
    desk.wish(broken, DeactivateIntegration())
    assert desk.wish(spare, ActivateIntegration()) == ["IntegrationActivated"]


def test_the_clock_tests_what_is_in_error_less_and_less_often() -> None:
    desk = Providers()
    telecom = desk.in_error()
    waits = []
    for _ in range(9):
        at = desk.reminders["test-integration", telecom]
        assert at is not None
        waits.append((at - desk.environment.time).total_seconds() / 60)
        desk.environment.time = at
        assert desk.run(record_test(desk.line(telecom), BAD)) == []
    assert waits == [1, 1, 2, 4, 8, 16, 32, 60, 60]
    assert desk.run(record_test(desk.line(telecom), GOOD)) == [GOOD, IntegrationActivated()]
    assert desk.reminders["test-integration", telecom] is None


def test_the_clock_leaves_what_is_no_longer_in_error_alone() -> None:
    desk = Providers()
    telecom = desk.in_error()
    desk.wish(telecom, DeactivateIntegration())
    assert desk.run(record_test(desk.line(telecom), GOOD)) == []
    assert desk.integration(telecom).status == "inactive"


def test_only_what_is_active_and_called_breaks() -> None:
    desk = Providers()
    idle = desk.add()
    gateway = desk.add(type="payment_gateway", apiSecret="a-secret-of-paystack")
    desk.wish(gateway, ActivateIntegration())
    assert desk.run(open_breaker(idle, 5)) == desk.run(open_breaker(gateway, 5)) == []


def test_what_is_archived_is_kept_and_does_nothing_more() -> None:
    desk = Providers()
    telecom = desk.active()
    assert refused(lambda: desk.wish(telecom, ArchiveIntegration())) == "invalid-transition"
    desk.wish(telecom, DeactivateIntegration())
    assert desk.perform(ApiIntegration, telecom, ArchiveIntegration()) == [IntegrationArchived()]
    for command in (
        ArchiveIntegration(),
        ActivateIntegration(),
        DeactivateIntegration(),
        UpdateIntegration(name="VTU"),
        RotateCredentials(api_key=SecretStr("key-number-two")),
        TestIntegration().after(desk.line(telecom), GOOD),
    ):
        assert refused(lambda wish=command: desk.wish(telecom, wish)) == "already-done"


def test_while_a_top_up_is_open_who_was_asked_for_it_stays_known() -> None:
    desk = Providers()
    telecom = desk.active()
    loan = desk.approved()
    reference = desk.ask(loan)
    assert desk.loan(loan).integration == telecom
    moved = UpdateIntegration(provider="other", api_key=SecretStr("key-number-one"))
    assert refused(lambda: desk.wish(telecom, moved)) == "top-ups-under-way"
    desk.wish(telecom, DeactivateIntegration())
    assert refused(lambda: desk.wish(telecom, ArchiveIntegration())) == "top-ups-under-way"
    desk.reply(loan, reference, Verdict.DELIVERED)
    assert desk.wish(telecom, moved) == ["IntegrationChanged"]
    assert desk.wish(telecom, ArchiveIntegration()) == ["IntegrationArchived"]


def test_a_loan_goes_through_whoever_serves_its_network_when_it_is_sent() -> None:
    desk = Providers(limit=5000)
    desk.configure("maxOpenLoans", 9)
    desk.active(config={"networks": ["Glo"]})
    loan = desk.approved()
    desk.ask(loan)
    assert desk.loan(loan).integration is None
    mtn = desk.active(config={"networks": ["MTN"]})
    other = desk.approved()
    desk.ask(other)
    assert desk.loan(other).integration == mtn


def test_the_line_to_a_provider_shows_no_secret() -> None:
    desk = Providers()
    telecom = desk.add(apiSecret="a-secret-of-the-telco")
    line = desk.line(telecom)
    assert line.authorization == {"authorization": "Bearer key-number-one"}
    assert line.secret is not None
    assert line.secret.get_secret_value() == "a-secret-of-the-telco"
    assert "key-number-one" not in repr(line)
    assert "a-secret-of-the-telco" not in repr(line)

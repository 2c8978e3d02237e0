"""The door for providers that call us: who is let in, and as whom."""

from collections.abc import Iterable
from datetime import timedelta
from uuid import UUID

import pytest
from pydantic import SecretStr

from rim_ledger.delivery.callbacks import PLACEHOLDER, enter, speaker
from rim_ledger.delivery.signature import SignedMessage, sign
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.refusals import Unauthenticated
from rim_ledger.lending.user import User
from rim_ledger.system.credentials import FORMER_SECRET
from rim_ledger.system.integration import (
    ApiIntegration,
    IntegrationActivated,
    IntegrationArchived,
    IntegrationBroken,
    IntegrationDeactivated,
    IntegrationStatus,
    IntegrationType,
)
from rim_ledger.system.integration_commands import (
    CreateIntegration,
    RotateCredentials,
    UpdateIntegration,
)
from tests.lending.desk import Desk, refused
from tests.system.test_integration import MAIL, SECRET, paystack, rotated

SPEAKERS = [each for each in IntegrationType if each is not IntegrationType.EMAIL]


class Door:
    """A door with a provider before it."""

    def __init__(
        self, type_: IntegrationType = IntegrationType.SMS, *, secret: bool = True
    ) -> None:
        self.desk = Desk()
        self.id = self.desk.environment.new_id()
        more = MAIL if type_ is IntegrationType.EMAIL else {"type": type_}
        wish: CreateIntegration = paystack(**more)
        self.desk.perform(ApiIntegration, self.id, wish)
        if secret:
            self.desk.perform(ApiIntegration, self.id, rotated(key="a-key-or-a-user-name"))

    def after(self, *events: object) -> "Door":
        def work(uow: object) -> UUID:
            uow.append(ApiIntegration, self.id, events)  # type: ignore[attr-defined]
            return self.id

        self.desk.run(work)
        return self

    def admits(
        self,
        id: UUID | None = None,
        secret: str = SECRET,
        types: Iterable[IntegrationType] = SPEAKERS,
    ) -> bool:
        time, body = str(int(self.desk.environment.now().timestamp())), b"{}"
        message = SignedMessage("m-1", time, sign(secret, "m-1", time, body), body)
        uow = self.desk.uow()
        try:
            known = enter(uow, id or self.id, message, [*types])
        except Unauthenticated:
            assert uow.stamp.actor.type == "system"
            return False
        assert (uow.stamp.actor.type, uow.stamp.actor.id) == ("integration", known.id)
        assert speaker(uow) == known
        assert not uow.may("transactions", "write")
        return True


@pytest.mark.parametrize("type_", IntegrationType)
def test_whoever_is_of_a_type_that_calls_back_is_let_in_by_its_signature(
    type_: IntegrationType,
) -> None:
    door = Door(type_).after(IntegrationActivated())
    assert door.admits() is (type_ in SPEAKERS)
    assert door.admits(types=[type_])
    assert not door.admits(types=set(IntegrationType) - {type_})
    assert not door.admits(secret="another secret")


def test_nobody_is_let_in_who_is_no_integration_or_has_no_secret() -> None:
    door = Door(secret=False).after(IntegrationActivated())
    assert not door.admits()
    assert not door.admits(secret=PLACEHOLDER)
    assert not door.admits(door.desk.ada)
    assert door.desk.uow().find(User, door.desk.ada)
    assert not door.admits(door.desk.environment.new_id())


@pytest.mark.parametrize(
    ("events", "status", "admitted"),
    [
        ([], "inactive", False),
        ([IntegrationActivated()], "active", True),
        ([IntegrationActivated(), IntegrationBroken(failures=5)], "error", True),
        ([IntegrationActivated(), IntegrationDeactivated()], "inactive", False),
        (
            [IntegrationActivated(), IntegrationBroken(failures=5), IntegrationArchived()],
            "inactive",
            False,
        ),
    ],
)
def test_who_is_called_no_more_because_calls_failed_is_heard_and_who_was_stopped_is_not(
    events: list[object], status: IntegrationStatus, admitted: bool
) -> None:
    door = Door().after(*events)
    assert door.desk.uow().read(ApiIntegration, door.id).status == status
    assert door.admits() is admitted


NEXT = "another-secret-of-the-tests"


def _rotate(door: Door, secret: str | None = NEXT, hours: int | None = None) -> list[Event]:
    wish = RotateCredentials(api_secret=SecretStr(secret) if secret else None, overlap_hours=hours)
    return door.desk.perform(ApiIntegration, door.id, wish)


@pytest.mark.parametrize(("hours", "lasts"), [(None, 24), (1, 1), (168, 168)])
def test_while_a_secret_is_rotated_two_are_valid(hours: int | None, lasts: int) -> None:
    door = Door().after(IntegrationActivated())
    _rotate(door, hours=hours)
    assert door.admits()
    assert door.admits(secret=NEXT)
    row = door.desk.uow().read(ApiIntegration, door.id).api_secret
    until = door.desk.environment.now() + timedelta(hours=lasts)
    assert row["formerValidUntil"] == f"{until:%Y-%m-%dT%H:%M:%S.%fZ}"
    door.desk.environment.time = until - timedelta(microseconds=1)
    assert door.admits()
    door.desk.environment.time = until
    assert not door.admits()
    assert door.admits(secret=NEXT)


def test_the_former_secret_ends_at_once_when_that_is_asked_for() -> None:
    door = Door().after(IntegrationActivated())
    _rotate(door, hours=0)
    assert not door.admits()
    assert not door.admits(secret="")
    _rotate(door, SECRET)
    assert door.admits(secret=NEXT)
    _rotate(door, None, hours=2)
    door.desk.environment.time += timedelta(hours=2)
    assert not door.admits(secret=NEXT)
    assert door.admits()


@pytest.mark.parametrize("again", [None, NEXT])
@pytest.mark.parametrize("hours", [0, 23])
def test_the_former_secret_can_be_ended_sooner_and_never_later(
    hours: int, again: str | None
) -> None:
    door = Door().after(IntegrationActivated())
    assert refused(lambda: _rotate(door, None, hours=hours)) == "already-done"
    _rotate(door)
    assert refused(lambda: _rotate(door, None, hours=25)) == "already-done"
    _rotate(door, again, hours=hours)
    assert door.admits() is (hours > 0)
    assert door.admits(secret=NEXT)


def test_no_more_than_two_secrets_are_valid() -> None:
    door = Door().after(IntegrationActivated())
    _rotate(door)
    _rotate(door, "a-third-secret-of-the-tests")
    assert not door.admits()
    assert door.admits(secret=NEXT)
    assert door.admits(secret="a-third-secret-of-the-tests")
    assert _rotate(door, "a-third-secret-of-the-tests") == [], "it is set already"
    assert door.admits(secret=NEXT)


@pytest.mark.parametrize("again", [NEXT, "a-third-secret-of-the-tests"])
def test_what_is_another_provider_now_has_no_secret_of_the_one_before(again: str) -> None:
    door = Door().after(IntegrationActivated())
    _rotate(door)
    moved = {"provider": "flutterwave", "apiSecret": again, "apiKey": "a-key-or-a-user-name"}
    door.desk.perform(ApiIntegration, door.id, UpdateIntegration.model_validate(moved))
    door.after(IntegrationActivated())
    assert door.admits(secret=again)
    assert not door.admits()
    assert door.admits(secret=NEXT) is (again == NEXT)


def test_a_mail_server_is_told_one_password() -> None:
    door = Door(IntegrationType.EMAIL)
    _rotate(door)
    assert door.desk.uow().read(ApiIntegration, door.id).former_until is None
    assert not door.desk.uow().unsealed(door.id, FORMER_SECRET)

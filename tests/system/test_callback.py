"""The door for providers that call us: who is let in, and as whom."""

from collections.abc import Iterable
from uuid import UUID

import pytest

from rim_ledger.core import Unauthenticated
from rim_ledger.lending.user import User
from rim_ledger.system.callback import NOBODYS, enter, speaker
from rim_ledger.system.connecting import CreateIntegration
from rim_ledger.system.integration import (
    ApiIntegration,
    IntegrationActivated,
    IntegrationArchived,
    IntegrationBroken,
    IntegrationDeactivated,
    IntegrationStatus,
    IntegrationType,
)
from rim_ledger.system.signature import Message, sign
from tests.lending.desk import Desk
from tests.system.test_integration import MAIL, SECRET, paystack, rotated

SPEAKERS = [each for each in IntegrationType if each is not IntegrationType.EMAIL]


class Door:
    """A door with a provider before it."""

    def __init__(
        self, type_: IntegrationType = IntegrationType.SMS, *, secret: bool = True
    ) -> None:
        self.desk = Desk()
        self.id = self.desk.world.new_id()
        more = MAIL if type_ is IntegrationType.EMAIL else {"type": type_}
        wish: CreateIntegration = paystack(**more)
        self.desk.perform(ApiIntegration, self.id, wish)
        if secret:
            self.desk.perform(ApiIntegration, self.id, rotated(key="a-key-or-a-user-name"))

    def after(self, *events: object) -> "Door":
        def work(book: object) -> UUID:
            book.append(ApiIntegration, self.id, events)  # type: ignore[attr-defined]
            return self.id

        self.desk.run(work)
        return self

    def admits(
        self,
        id: UUID | None = None,
        secret: str = SECRET,
        types: Iterable[IntegrationType] = SPEAKERS,
    ) -> bool:
        time, body = str(int(self.desk.world.now().timestamp())), b"{}"
        message = Message("m-1", time, sign(secret, "m-1", time, body), body)
        book = self.desk.book()
        try:
            known = enter(book, id or self.id, message, [*types])
        except Unauthenticated:
            assert book.stamp.actor.type == "system"
            return False
        assert (book.stamp.actor.type, book.stamp.actor.id) == ("integration", known.id)
        assert speaker(book) == known
        assert not book.may("transactions", "write")
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
    assert not door.admits(secret=NOBODYS)
    assert not door.admits(door.desk.ada)
    assert door.desk.book().find(User, door.desk.ada)
    assert not door.admits(door.desk.world.new_id())


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
    assert door.desk.book().read(ApiIntegration, door.id).status == status
    assert door.admits() is admitted

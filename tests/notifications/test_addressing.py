"""The variables of a broadcast: filled in for each recipient, or refused."""

from datetime import timedelta
from uuid import UUID

import pytest

from rim_ledger.engine.command import Command
from rim_ledger.engine.refusals import Invalid
from rim_ledger.lending.user import User
from rim_ledger.notifications.broadcast import (
    BroadcastDrafted,
    BroadcastMessage,
    BroadcastScheduled,
)
from rim_ledger.notifications.broadcast_commands import (
    UNFILLED,
    CloneBroadcast,
    DraftBroadcast,
    EditBroadcast,
    ScheduleBroadcast,
    SendBroadcast,
    begin_due,
)
from tests.notifications.desk import DRAFT, MessageDesk
from tests.spec import START

HOUR = timedelta(hours=1)


def test_each_recipient_is_called_by_name() -> None:
    desk = MessageDesk(2)
    words = {"title": "For {{name}}", "message": "Dear {{ name }},\n{{name}}!"}
    broadcast = desk.sending(type="email", **words)
    intake = desk.take(broadcast)
    for delivery, user in zip(intake.deliveries, desk.users, strict=True):
        known = desk.uow().read(User, user)
        name = desk.uow().reveal(user, known.name)
        order = delivery.order
        assert (order.subject, order.body) == (f"For {name}", f"Dear {name},\n{name}!")


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Hi {{first_name}}", "unknown-variable"),
        ("Hi {{Name}}", "unknown-variable"),
        ("Hi {{name}} and {{phone}}", "unknown-variable"),
        ("Hi {{user.name}}", "not-a-variable"),
        ("Hi {{name", "not-a-variable"),
        ("{% if name %}Hi", "not-a-variable"),
    ],
)
@pytest.mark.parametrize("field", ["title", "message"])
def test_what_cannot_be_filled_in_is_refused(field: str, text: str, code: str) -> None:
    desk = MessageDesk(1)
    draft, edit = DRAFT | {field: text}, EditBroadcast.model_validate({field: text})
    for attempt in (
        lambda: desk.perform(
            BroadcastMessage, desk.environment.new_id(), DraftBroadcast.model_validate(draft)
        ),
        lambda: desk.perform(BroadcastMessage, desk.draft(), edit),
    ):
        with pytest.raises(Invalid) as refusal:
            attempt()
        assert (refusal.value.code, refusal.value.more["pointer"]) == (code, f"/{field}")


def _old_draft(desk: MessageDesk) -> UUID:
    """A draft of a release that took any variable."""
    known = desk.broadcast(desk.draft())
    drafted = BroadcastDrafted(
        title=known.title,
        message="Hi {{first_name}}",
        type=known.type,
        target_audience=known.target_audience,
        purpose=known.purpose,
        custom_user_ids=known.user_ids,
    )
    old = desk.environment.new_id()
    uow = desk.uow()
    uow.open_stream(BroadcastMessage, old, [drafted])
    desk.keep(uow)
    return old


def test_an_old_draft_is_mended_before_it_goes_out() -> None:
    desk = MessageDesk(1)
    old = _old_draft(desk)
    frozen = desk.frozen(old)
    wishes: list[Command[BroadcastMessage]] = [
        EditBroadcast(title="Other"),
        ScheduleBroadcast(scheduled_for=START + HOUR),
        SendBroadcast().among(frozen),
    ]
    for wish in wishes:
        with pytest.raises(Invalid) as refusal:
            desk.perform(BroadcastMessage, old, wish)
        assert refusal.value.code == "unknown-variable"
    with pytest.raises(Invalid):
        desk.perform(BroadcastMessage, desk.environment.new_id(), CloneBroadcast(source=old))
    desk.perform(BroadcastMessage, old, EditBroadcast(message="Hi {{name}}"))
    desk.perform(BroadcastMessage, old, SendBroadcast().among(frozen))


def test_an_old_one_that_is_due_fails_and_says_why() -> None:
    desk = MessageDesk(1)
    old = _old_draft(desk)
    uow = desk.uow()
    uow.append(BroadcastMessage, old, [BroadcastScheduled(scheduled_for=START + HOUR)])
    desk.keep(uow)
    desk.environment.time += HOUR
    desk.run(begin_due(old, desk.frozen(old)))
    assert (desk.broadcast(old).phase, desk.broadcast(old).reason) == ("failed", UNFILLED)

"""The routes of messages: broadcasts, whom they reached, and every single notification."""

from functools import partial

from api.context import Context
from api.pipeline.pipeline import look, target
from api.pipeline.routes import AnyRoute, CommandRequest, Resource
from api.routes.lending import of_users
from projections.audience import find_audience, find_users
from projections.notifications import BroadcastRow, NotificationRow
from rim_ledger.delivery.port import Channel
from rim_ledger.engine.command import Form
from rim_ledger.engine.refusals import Invalid
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications import broadcast_commands as broadcasts
from rim_ledger.notifications.broadcast import BroadcastMessage, Target
from rim_ledger.notifications.broadcast_commands import DraftBroadcast, EditBroadcast
from rim_ledger.notifications.contact import OptIn, OptOut
from rim_ledger.notifications.notification import RetryNotification

SEND = "broadcasts.send"
AUDIENCE_BODY: int = 5 * 1024 * 1024
"""Bytes of a body that may name 100,000 users."""


async def name_users(
    context: Context, request: CommandRequest, form: DraftBroadcast | EditBroadcast
) -> Form:
    """Look up the users whom a draft names."""
    await look(context, request, lambda _: None)
    wanted = form.custom_user_ids
    if wanted is None:
        return form
    found = await find_users(context.url, wanted)
    for nth, each in enumerate(wanted):
        if each not in found:
            raise Invalid("unknown-user", "There is no such user.", f"/customUserIds/{nth}")
    return form.to(tuple(sorted({*found.values()})))


async def count_users(
    context: Context, request: CommandRequest, form: broadcasts.SendBroadcast
) -> Form:
    """Find the audience of a broadcast that is to be sent."""

    def see(uow: UnitOfWork) -> Target:
        broadcast = uow.read(BroadcastMessage, target(uow, request).id)
        for channel in broadcast.channels:
            context.sender.require(Channel(channel), uow)
        return broadcast.target

    return form.among(await find_audience(context.url, await look(context, request, see)))


of_broadcasts = Resource("/v1/broadcasts", BroadcastRow, "broadcasts")
drafts = partial(of_broadcasts, prepare=name_users, reads_tables=True, body_max=AUDIENCE_BODY)
of_notifications = Resource("/v1/notifications", NotificationRow, "notifications")

ROUTES: list[AnyRoute] = [
    *of_broadcasts.reads,
    of_broadcasts.lists(
        "/recipients", NotificationRow, "Whom a broadcast reached", "broadcast_id", "notifications"
    ),
    drafts("POST", DraftBroadcast, "Write a broadcast"),
    drafts("PATCH /{id}", EditBroadcast, "Change a draft"),
    of_broadcasts("POST /{id}/schedule", broadcasts.ScheduleBroadcast, "Schedule", SEND),
    of_broadcasts("POST /{id}/unschedule", broadcasts.UnscheduleBroadcast, "Unschedule"),
    of_broadcasts(
        "POST /{id}/send",
        broadcasts.SendBroadcast,
        "Send",
        SEND,
        prepare=count_users,
        reads_tables=True,
    ),
    of_broadcasts("POST /{id}/pause", broadcasts.PauseBroadcast, "Pause"),
    of_broadcasts("POST /{id}/resume", broadcasts.ResumeBroadcast, "Go on", SEND),
    of_broadcasts("POST /{id}/cancel", broadcasts.CancelBroadcast, "Write to nobody else"),
    of_broadcasts("POST /{source}/clone", broadcasts.CloneBroadcast, "Draft the same again"),
    of_users("POST /{id}/opt-out", OptOut, "Send no more marketing"),
    of_users("POST /{id}/opt-in", OptIn, "Send marketing again"),
    *of_notifications.reads,
    of_notifications("POST /{parent}/retry", RetryNotification, "Send again what failed"),
]

"""The routes of messages: broadcasts, whom they reached, and every single notification."""

from typing import TYPE_CHECKING

from api.pipeline.pipeline import look, target
from api.pipeline.routes import AnyRoute, List, Route, resource
from api.routes.lending import ONE_USER
from projections.audience import find_audience, find_users
from projections.notifications import BroadcastRow, NotificationRow
from rim_ledger.delivery.port import Channel
from rim_ledger.engine.command import Form
from rim_ledger.engine.refusals import Invalid
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.user import User
from rim_ledger.notifications.broadcast import BroadcastMessage, Target
from rim_ledger.notifications.broadcast_commands import (
    CancelBroadcast,
    CloneBroadcast,
    DraftBroadcast,
    EditBroadcast,
    PauseBroadcast,
    ResumeBroadcast,
    ScheduleBroadcast,
    SendBroadcast,
    UnscheduleBroadcast,
)
from rim_ledger.notifications.contact import OptIn, OptOut
from rim_ledger.notifications.notification import NotificationHistory, RetryNotification

if TYPE_CHECKING:
    from api.context import Context
    from api.pipeline.routes import CommandRequest

BROADCASTS, ONE = "/v1/broadcasts", "/v1/broadcasts/{id}"
NOTIFICATIONS = "/v1/notifications"
WRITE, SEND = ("broadcasts", "write"), ("broadcasts.send", "write")
TELL, USERS = ("notifications", "write"), ("users", "write")
AUDIENCE_BODY: int = 5 * 1024 * 1024
"""Bytes of a body that may name 100,000 users."""


async def name_users(context: "Context", request: "CommandRequest") -> Form:
    """Look up the users whom a draft names."""
    form = request.command
    assert isinstance(form, DraftBroadcast | EditBroadcast)
    await look(context, request, lambda _: None)
    wanted = form.custom_user_ids
    if wanted is None:
        return form
    found = await find_users(context.url, wanted)
    for nth, each in enumerate(wanted):
        if each not in found:
            raise Invalid("unknown-user", "There is no such user.", f"/customUserIds/{nth}")
    return form.to(tuple(sorted({*found.values()})))


async def count_users(context: "Context", request: "CommandRequest") -> Form:
    """Find out who is meant by a broadcast, now that it is to go out."""
    form = request.command
    assert isinstance(form, SendBroadcast)

    def see(uow: UnitOfWork) -> "Target":
        broadcast = uow.read(BroadcastMessage, target(uow, request).id)
        for channel in broadcast.channels:
            context.sender.require(Channel(channel), uow)
        return broadcast.target

    return form.among(await find_audience(context.url, await look(context, request, see)))


ROUTES: list[AnyRoute] = [
    *resource(BROADCASTS, BroadcastRow, "broadcasts"),
    List(
        ONE + "/recipients",
        NotificationRow,
        ("notifications", "read"),
        "Whom a broadcast reached",
        ("broadcast_id", BroadcastRow),
    ),
    Route(
        "POST",
        BROADCASTS,
        BroadcastMessage,
        DraftBroadcast,
        WRITE,
        "Write a broadcast",
        prepare=name_users,
        body_max=AUDIENCE_BODY,
    ),
    Route(
        "PATCH",
        ONE,
        BroadcastMessage,
        EditBroadcast,
        WRITE,
        "Change a draft",
        prepare=name_users,
        body_max=AUDIENCE_BODY,
    ),
    Route("POST", ONE + "/schedule", BroadcastMessage, ScheduleBroadcast, SEND, "Schedule"),
    Route("POST", ONE + "/unschedule", BroadcastMessage, UnscheduleBroadcast, WRITE, "Unschedule"),
    Route(
        "POST", ONE + "/send", BroadcastMessage, SendBroadcast, SEND, "Send", prepare=count_users
    ),
    Route("POST", ONE + "/pause", BroadcastMessage, PauseBroadcast, WRITE, "Pause"),
    Route("POST", ONE + "/resume", BroadcastMessage, ResumeBroadcast, SEND, "Go on"),
    Route(
        "POST", ONE + "/cancel", BroadcastMessage, CancelBroadcast, WRITE, "Write to nobody else"
    ),
    Route(
        "POST",
        BROADCASTS + "/{source}/clone",
        BroadcastMessage,
        CloneBroadcast,
        WRITE,
        "Draft the same again",
    ),
    Route("POST", ONE_USER + "/opt-out", User, OptOut, USERS, "Send no more marketing"),
    Route("POST", ONE_USER + "/opt-in", User, OptIn, USERS, "Send marketing again"),
    *resource(NOTIFICATIONS, NotificationRow, "notifications"),
    Route(
        "POST",
        NOTIFICATIONS + "/{parent}/retry",
        NotificationHistory,
        RetryNotification,
        TELL,
        "Send again what failed",
    ),
]

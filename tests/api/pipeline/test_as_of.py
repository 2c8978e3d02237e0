"""Every entity as it was, at every kind of moment, for every role: shown, denied or not there."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest

from api.catalogue import ROUTES
from api.pipeline.filters import has_past
from api.pipeline.routes import List, One
from rim_ledger.catalogue import ENTITIES
from rim_ledger.engine.aggregate import SYSTEM, Stamp
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.notifications.notification import (
    Notice,
    NotificationChannel,
    NotificationHistory,
    NotificationQueued,
    NotificationType,
    RecipientType,
)
from tests.api.conftest import PASSWORD, Client
from tests.api.routes.test_alerts import OVERDUE
from tests.api.routes.test_broadcasts import DRAFT
from tests.api.routes.test_callbacks import PAYSTACK
from tests.api.routes.test_float import FLOAT, top_up
from tests.api.routes.test_journal import lend_and_repay
from tests.api.routes.test_products import PRODUCTS, TERMS
from tests.api.routes.test_settlements import SETTLEMENTS, settle
from tests.api.routes.test_statements import file, line, pay, upload
from tests.api.routes.test_support import QUESTION
from tests.api.routes.test_templates import EMAIL, SMS

READABLE = [route for route in ROUTES if isinstance(route, One) and route.row.OF in ENTITIES]
LISTED = [
    route for route in ROUTES if isinstance(route, List) and has_past(route.row) and not route.of
]


async def _notify(admin: Client, user: str, kind: RecipientType) -> str:
    """A message to a person that waits to be handed over."""
    context = admin.app.state.context
    id_ = context.environment.new_id()
    notice = Notice(
        type=NotificationType.ALERT,
        channel=NotificationChannel.SMS,
        recipient=UUID(user),
        recipient_type=kind,
        cause=id_,
    )

    def work(uow: UnitOfWork) -> UUID:
        queued = NotificationQueued(notice=notice, title="A title", message="Some words")
        uow.open_stream(NotificationHistory, id_, [queued])
        return id_

    await context.ledger.submit(work, Stamp(at=context.environment.now(), actor=SYSTEM))
    return str(id_)


async def one_of_each(admin: Client) -> dict[str, list[str]]:
    """The paths of objects, by the path of their route: each has at least one event by now."""
    made = await lend_and_repay(admin)
    user = made["user"]["id"]
    me = (await admin.get("/v1/auth/me")).json()["id"]

    async def new(path: str, body: Any, **more: Any) -> str:
        answer = await admin.post(path, body, **more)
        assert answer.status_code == 201, answer.text
        return f"{path}/{answer.json()['id']}"

    role = await new("/v1/admin-roles", {"name": "nothing", "permissions": []})
    person = {"username": "eve", "email": "eve@example.com", "phone": "08039990001"}
    person["password"] = PASSWORD
    eve = await new("/v1/admin-users", person | {"roleId": role.rsplit("/", 1)[1]})
    department = await new("/v1/departments", {"name": "Billing"})
    agent = {"id": eve.rsplit("/", 1)[1], "department": department.rsplit("/", 1)[1], "tier": 1}
    key = {"name": "key", "permissions": [{"resource": "users", "actions": ["read"]}]}
    lines = b"date,reference,amount,provider,narration\n2026-01-01,R-1,5,x,y\n"
    csv = {"Content-Type": "text/csv"}
    await admin.ask("PATCH", "/v1/security-settings", {"maxLoginAttempts": 9})
    await admin.ask("PATCH", "/v1/backup-settings", {"enabled": False})
    await admin.post("/v1/outbound", {"stopped": True, "reason": "a trial"})
    await admin.ask("PUT", "/v1/system-config/lending/interestRate", {"value": 12.5})
    notices = [
        await _notify(admin, who, kind)
        for who, kind in ((user, RecipientType.USER), (me, RecipientType.ADMIN))
    ]
    await pay(admin, user, ["R-9"])
    assert (await upload(admin, file(line("R-9")))).json()["matched"] == 1
    settled = (await settle(admin, gross=100)).json()["id"]
    assert (await top_up(admin, "Glo")).is_success
    rule = await new("/v1/approval-rules", {"command": "AdjustFloat"})
    adjusted = await admin.post(f"{FLOAT}/Glo/adjust", {"amount": 5, "reason": "counted"})
    return {
        "/v1/loan-products/{id}": [await new(PRODUCTS, TERMS)],
        "/v1/settlements/{id}": [f"{SETTLEMENTS}/{settled}"],
        "/v1/float/{network}": [f"{FLOAT}/Glo"],
        "/v1/approval-rules/{id}": [rule],
        "/v1/proposals/{id}": [f"/v1/proposals/{adjusted.json()['proposalId']}"],
        "/v1/users/{id}": [f"/v1/users/{user}"],
        "/v1/loans/{id}": [f"/v1/loans/{made['loan']['id']}"],
        "/v1/transactions/{id}": [f"/v1/transactions/{made['payment']['id']}"],
        "/v1/tickets/{id}": [await new("/v1/tickets", QUESTION | {"customerId": user})],
        "/v1/admin-users/{id}": [eve],
        "/v1/admin-roles/{id}": [role],
        "/v1/departments/{id}": [department],
        "/v1/support-agents/{id}": [await new("/v1/support-agents", agent)],
        "/v1/api-keys/{id}": [await new("/v1/api-keys", key)],
        "/v1/security-settings": ["/v1/security-settings"],
        "/v1/backup-settings": ["/v1/backup-settings"],
        "/v1/outbound": ["/v1/outbound"],
        "/v1/system-config/{category}/{key}": ["/v1/system-config/lending/interestRate"],
        "/v1/backups/{id}": [await new("/v1/backups", {"type": "full"})],
        "/v1/email-templates/{id}": [await new("/v1/email-templates", EMAIL)],
        "/v1/sms-templates/{id}": [await new("/v1/sms-templates", SMS)],
        "/v1/system-alerts/{id}": [await new("/v1/system-alerts", OVERDUE)],
        "/v1/broadcasts/{id}": [await new("/v1/broadcasts", DRAFT)],
        "/v1/api-integrations/{id}": [await new("/v1/api-integrations", PAYSTACK)],
        "/v1/notifications/{id}": [f"/v1/notifications/{each}" for each in notices],
        "/v1/statements": [await new("/v1/statements", None, content=lines, headers=csv)],
    }


async def _everybody(admin: Client) -> dict[str, Client]:
    """Somebody of every built-in role, and one who reads everything but who persons are."""
    roles = (await admin.get("/v1/admin-roles", headers=await admin.caught_up())).json()["items"]
    found = {"superadmin": admin}
    for role in roles:
        if role["name"] in ("superadmin", "nothing"):
            continue
        name = f"one-{role['name']}"
        person = {"username": name, "email": f"{name}@example.com", "password": PASSWORD}
        made = await admin.post("/v1/admin-users", person | {"roleId": role["id"]})
        assert made.status_code == 201, made.text
        found[role["name"]] = await admin.as_(name)
    resources = sorted({route.needs[0] for route in READABLE} | {"tickets.all"})
    reads = [{"resource": each, "actions": ["read"]} for each in resources]
    found["masked"] = await admin.take_on("masked", *reads)
    return found


async def test_every_entity_is_shown_as_it_was_to_whoever_may_see_it(admin: Client) -> None:
    paths = await one_of_each(admin)
    assert {route.path for route in READABLE} <= paths.keys()
    head = admin.app.state.context.ledger.head
    people = await _everybody(admin)
    asked = {"Ledger-Position": str(head)}
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    for route in READABLE:
        for path in paths[route.path]:
            for name, person in people.items():
                today = await person.get(path, headers=asked)
                assert today.status_code in (200, 403, 404), today.text
                then = await person.get(f"{path}?asOf={head}")
                assert then.status_code == today.status_code, f"{name} {path} {then.text}"
                for moment in (0, 1, now, "2020-01-01T00:00:00Z"):
                    past = await person.get(f"{path}?asOf={moment}")
                    assert past.status_code in (200, 403, 404), f"{name} {path} {past.text}"
                if name in ("superadmin", "masked"):
                    assert today.status_code == 200, f"{name} {path}"
                if name == "superadmin":
                    assert then.json() == today.json(), path


@pytest.mark.parametrize("query", ["", "&limit=1", "&sort=createdAt"])
async def test_every_list_is_shown_as_it_was_to_whoever_may_see_it(
    admin: Client, query: str
) -> None:
    await one_of_each(admin)
    head = admin.app.state.context.ledger.head
    people = await _everybody(admin)
    for route in LISTED:
        for name, person in people.items():
            then = await person.get(f"{route.path}?asOf={head}{query}")
            assert then.status_code in (200, 403), f"{name} {route.path} {then.text}"
            if name == "superadmin":
                assert then.json()["items"], route.path

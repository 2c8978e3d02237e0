"""What one person may add in a day, by every way in and in all API processes together."""

import asyncio
import json
from collections import Counter
from typing import Any

import httpx
import psycopg
import pytest

from rim_ledger.retention import drop_expired
from tests.api.conftest import Client, running, serving
from tests.api.routes.borrowers import logged_in
from tests.api.routes.factors import Clock

PDF = b"%PDF-1.7\n" + b"x" * 1_000
TEXT = {"subject": "A", "description": "B", "category": "loan"}
NDJSON = {"content-type": "application/x-ndjson"}
SETTINGS = {
    "TicketsPerDay": 3,
    "FilesPerDay": 3,
    "MessagesPerTicketPerDay": 3,
    "MebibytesPerDay": 1,
}


async def limit(admin: Client, side: str, *names: str) -> None:
    """Give a side small quotas, of a day that does not end."""
    Clock(admin)
    for name in names:
        path = f"/v1/system-config/quotas/{side}{name}"
        answer = await admin.ask("PUT", path, {"value": SETTINGS[name]})
        assert answer.status_code == 200, answer.text


async def open_ticket(client: Client, user: str, **more: Any) -> httpx.Response:
    return await client.post("/v1/tickets", {"customerId": user} | TEXT, **more)


async def whose(client: Client) -> str:
    return str((await client.get("/v1/auth/customer/me")).json()["id"])


async def attach(client: Client, ticket: str, content: bytes = PDF, **more: Any) -> httpx.Response:
    return await client.post(
        f"/v1/tickets/{ticket}/attachments", files={"file": ("a.pdf", content)}, **more
    )


def require_exceeded(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"]) == (429, "quota-exceeded")
    assert 0 < int(answer.headers["retry-after"]) <= 24 * 3600


async def test_all_processes_count_a_borrower_together(database: str) -> None:
    async with running(database) as admin, serving(database) as process:
        await limit(admin, "borrower", "TicketsPerDay", "FilesPerDay")
        Clock(admin, process)
        here = await logged_in(admin)
        both, user = (here, here.at(process)), await whose(here)
        asking = [open_ticket(both[n % 2], user) for n in range(10)]
        opened = await asyncio.gather(*asking)
        assert Counter(each.status_code for each in opened) == {201: 3, 429: 7}
        ticket = next(each.json()["id"] for each in opened if each.status_code == 201)
        files = await asyncio.gather(*[attach(both[n % 2], ticket) for n in range(8)])
        assert Counter(each.status_code for each in files) == {201: 3, 429: 5}
        homes = [admin_home(each) / "attachments" for each in (admin, process)]
        assert sum(len(list(home.glob("*"))) for home in homes) == 3
        for answer in (await open_ticket(here, user), await attach(here, ticket)):
            require_exceeded(answer)
        other = await logged_in(admin, 1)
        assert (await open_ticket(other, await whose(other))).status_code == 201
        assert (await open_ticket(admin, user)).status_code == 201, "staff have their own"


def admin_home(client: Client) -> Any:
    return client.app.state.settings.home


async def test_bytes_and_messages_are_bounded_for_a_borrower(admin: Client) -> None:
    await limit(admin, "borrower", "MebibytesPerDay", "MessagesPerTicketPerDay")
    here = await logged_in(admin)
    user = await whose(here)
    ticket, second = [(await open_ticket(here, user)).json()["id"] for _ in range(2)]
    large = b"%PDF-1.7\n" + b"x" * 700_000
    assert (await attach(here, ticket, large)).status_code == 201
    require_exceeded(await attach(here, second, large))
    assert (await attach(here, second)).status_code == 201, "a small one fits"
    path = f"/v1/tickets/{ticket}/messages"
    said = [await here.post(path, {"message": "A"}) for _ in range(4)]
    assert [each.status_code for each in said] == [200, 200, 200, 429]
    require_exceeded(said[-1])
    assert (await admin.post(path, {"message": "B"})).status_code == 200
    again = await here.post(f"/v1/tickets/{second}/messages", {"message": "A"})
    assert again.status_code == 200


@pytest.mark.parametrize("way", ["session", "key", "bulk", "atomic"])
async def test_a_member_of_staff_has_one_quota_by_every_way_in(way: str, admin: Client) -> None:
    await limit(admin, "staff", "TicketsPerDay")
    user = (await admin.user())["id"]
    assert (await open_ticket(admin, user)).status_code == 201
    if way == "key":
        right = {"resource": "tickets", "actions": ["write"]}
        made = await admin.post("/v1/api-keys", {"name": "key", "permissions": [right]})
        machine = admin.with_token(made.json()["key"])
        statuses = [(await open_ticket(machine, user)).status_code for _ in range(3)]
    elif way == "session":
        again = await admin.as_("admin")
        statuses = [(await open_ticket(again, user)).status_code for _ in range(3)]
    else:
        line = {"op": "POST /v1/tickets", "body": {"customerId": user} | TEXT}
        text = (json.dumps(line) + "\n").encode() * 3
        query = "?atomic=true" if way == "atomic" else ""
        answer = await admin.post(f"/v1/bulk{query}", content=text, headers=NDJSON)
        statuses = [json.loads(each)["status"] for each in answer.text.splitlines()]
    assert statuses == ([409, 409, 429] if way == "atomic" else [201, 201, 429])
    left = [(await open_ticket(admin, user)).status_code for _ in range(3)]
    assert left == ([201, 201, 429] if way == "atomic" else [429] * 3)


async def test_a_key_is_answered_the_same_and_what_was_refused_may_come_again(
    admin: Client, database: str
) -> None:
    await limit(admin, "borrower", "TicketsPerDay", "FilesPerDay")
    here = await logged_in(admin)
    user = await whose(here)
    keys, names = (
        [{"headers": {"Idempotency-Key": f"{what}{n}"}} for n in range(4)] for what in "kf"
    )
    first = [await open_ticket(here, user, **keys[n]) for n in range(3)]
    again = [await open_ticket(here, user, **keys[n]) for n in range(3)]
    assert [each.json() for each in again] == [each.json() for each in first]
    ticket = first[0].json()["id"]
    files = [await attach(here, ticket, **names[n]) for n in range(3)]
    assert (await attach(here, ticket, **names[0])).json() == files[0].json()
    require_exceeded(await open_ticket(here, user, **keys[3]))
    require_exceeded(await attach(here, ticket, **names[3]))
    with psycopg.connect(database) as connection:  # The next day.
        connection.execute("UPDATE ledger.counts SET day = day - 1")
    assert (await open_ticket(here, user, **keys[3])).status_code == 201
    assert (await attach(here, ticket, **names[3])).status_code == 201


async def test_counts_of_past_days_do_not_stay(admin: Client, database: str) -> None:
    clock = Clock(admin)
    user = (await admin.user())["id"]
    query = "SELECT count(*)::int FROM ledger.counts"
    with psycopg.connect(database, autocommit=True) as connection:
        await open_ticket(admin, user)
        connection.execute("UPDATE ledger.counts SET day = day - 9")
        await open_ticket(admin, user)
        assert connection.execute(query).fetchone() == (2,)
        await drop_expired(database, clock.moment)
        assert connection.execute(query).fetchone() == (1,)

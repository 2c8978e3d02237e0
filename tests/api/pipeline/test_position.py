"""Every read reflects at least the position that it is asked for, and says which it reflects."""

import re
from collections.abc import Iterator
from uuid import uuid4

import pytest

from api.catalogue import ROUTES
from api.pipeline import position
from api.pipeline.routes import Other
from rim_ledger.customers.access import OWN_SESSION
from tests.api.conftest import Client
from tests.api.routes.borrowers import logged_in
from tests.api.routes.test_proofs import sealed


def _reads() -> Iterator[str]:
    for route in ROUTES:
        public = isinstance(route, Other) and route.public
        if route.method == "GET" and not public and route.needs != OWN_SESSION:
            yield re.sub(r"\{\w+\}", str(uuid4()), route.path)


async def test_no_read_reflects_what_has_not_happened(admin: Client) -> None:
    ahead = {"Ledger-Position": str(admin.app.state.context.ledger.head + 1_000)}
    for path in _reads():
        answer = await admin.get(path, headers=ahead)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-position"), path
    borrower = await logged_in(admin)
    answer = await borrower.get("/v1/auth/customer/me", headers=ahead)
    assert answer.json()["code"] == "invalid-position"
    assert (await admin.with_token("").get("/v1/auth/me", headers=ahead)).status_code == 401


@pytest.mark.unfollowed
async def test_every_read_waits_for_the_read_tables(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(position, "READ_TIMEOUT_SECONDS", 0.01)
    for path in _reads():
        answer = await admin.get(path, headers=await admin.caught_up())
        assert (answer.status_code, answer.json()["code"]) == (503, "projection-lagging"), path
        assert answer.headers["retry-after"]


async def test_what_is_computed_says_how_far_the_log_was(admin: Client) -> None:
    user = (await admin.user())["id"]
    loan = await admin.post("/v1/loans", {"userId": user, "amount": 400, "network": "MTN"})
    await admin.user(1)
    asked = await admin.caught_up()
    head = int(asked["Ledger-Position"])
    for path in (
        f"/v1/loans/{loan.json()['id']}/explain",
        f"/v1/users/{user}/timeline",
        "/v1/trial-balance",
        "/v1/trial-balance.csv",
        "/v1/journal",
        "/v1/journal.csv",
        "/v1/events?limit=1",
        "/v1/auth/me",
    ):
        answer = await admin.get(path, headers=asked)
        assert answer.status_code == 200, path
        assert int(answer.headers["ledger-position"]) >= head, path
    explained = (await admin.get(f"/v1/loans/{loan.json()['id']}/explain", headers=asked)).json()
    assert explained["position"] >= head
    then = await admin.get(f"/v1/users/{user}?asOf={head - 1}", headers=asked)
    assert then.headers["ledger-position"] == str(head - 1), "what was known then is of then"


async def test_proofs_wait_for_the_seal(
    admin: Client, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = ("/v1/checkpoint", "/v1/checkpoint/origins", "/v1/events/1/proof",
             "/v1/consistency?from=1")  # fmt: skip
    await sealed(database)
    before = int((await admin.get("/v1/checkpoint")).headers["ledger-position"])
    await admin.user()
    asked = await admin.caught_up()
    await admin.app.state.context.tables.require(int(asked["Ledger-Position"]))
    monkeypatch.setattr(position, "READ_TIMEOUT_SECONDS", 0.3)
    for path in paths:
        answer = await admin.get(path, headers=asked)
        assert (answer.status_code, answer.json()["code"]) == (503, "projection-lagging"), path
        answer = await admin.get(path, headers={"Ledger-Position": str(before)})
        assert answer.headers["ledger-position"] == str(before), path
    await sealed(database)
    for path in paths:
        answer = await admin.get(path, headers=asked)
        assert answer.headers["ledger-position"] == asked["Ledger-Position"], path

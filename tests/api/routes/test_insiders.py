"""What one insider alone gets away with: nothing, in whichever process, by whichever way."""

import asyncio
from typing import Any

import pytest

from tests.api.conftest import PASSWORD, Client, serving
from tests.api.routes.borrowers import log_in
from tests.api.routes.test_broadcasts import courier
from tests.api.routes.test_bulk import send

SEPARATED = (403, "separation-of-duties")


def answer(response: Any) -> tuple[int, str]:
    body = response.json()
    return response.status_code, body.get("code", "")


async def hired(admin: Client, username: str, role: str, **more: Any) -> Client:
    """A new admin with a built-in role, logged in."""
    found = await admin.get(f"/v1/admin-roles?name={role}", headers=await admin.caught_up())
    body = {"username": username, "email": f"{username}@example.com", "password": PASSWORD, **more}
    made = await admin.post("/v1/admin-users", body | {"roleId": found.json()["items"][0]["id"]})
    assert made.status_code == 201, made.text
    return await admin.as_(username)


async def requested(client: Client, user: str, amount: int = 100) -> str:
    wish = {"userId": user, "amount": amount, "network": "MTN"}
    made = await client.post("/v1/loans", wish)
    assert made.status_code == 201, made.text
    return f"/v1/loans/{made.json()['id']}"


async def machine(officer: Client, admin: Client) -> Client:
    """A machine of an officer's, whose role may have keys for this."""
    roles = await admin.get("/v1/admin-roles?name=loan_officer", headers=await admin.caught_up())
    role = roles.json()["items"][0]
    more = [*role["permissions"], {"resource": "api_keys", "actions": ["write"]}]
    changed = await admin.ask("PATCH", f"/v1/admin-roles/{role['id']}", {"permissions": more})
    assert changed.status_code == 200, changed.text
    made = await officer.post("/v1/api-keys", {"name": "own", "permissions": role["permissions"]})
    assert made.status_code == 201, made.text
    return officer.with_token(made.json()["key"])


async def test_one_officer_alone_does_not_turn_the_float_into_airtime(
    admin: Client, database: str
) -> None:
    officer = await hired(admin, "bisi", "loan_officer", phone="08039990001")
    twin = await hired(admin, "twin", "loan_officer", phone="08039990001")
    other = await hired(admin, "chi", "loan_officer", phone="08039990002")
    sim = await officer.user(7, creditLimit=20_000)
    for limit in (999_999_999.99, 20_000.01):
        wish = {"limit": limit, "reason": "a good customer"}
        raised = await officer.post(f"/v1/users/{sim['id']}/credit-limit", wish)
        assert answer(raised) == (403, "above-role-limit")
    loan = await requested(await log_in(admin, 7), sim["id"])
    async with serving(database) as process:
        ways = [officer, officer.at(process), twin, await machine(officer, admin)]
        for way in ways:
            assert answer(await way.post(f"{loan}/approve")) == SEPARATED
        op = {"op": f"POST {loan}/approve", "body": {}}
        for query in ("", "?atomic=true"):
            (line,) = await send(officer, [op], query)
            assert (line["status"], line["problem"]["code"]) == SEPARATED
        assert (await other.post(f"{loan}/approve")).status_code == 200
        for way in ways:
            assert answer(await way.post(f"{loan}/disburse")) == SEPARATED
    moved = await officer.ask("PATCH", f"/v1/users/{sim['id']}", {"phone": "08039998888"})
    assert answer(moved) == (409, "contact-frozen")
    assert (await other.post(f"{loan}/disburse")).status_code == 200
    big = await requested(admin, (await admin.user(8, creditLimit=50_000))["id"], 20_001)
    assert answer(await other.post(f"{big}/approve")) == (403, "above-role-limit")


async def test_registering_and_approving_in_one_atomic_file_is_one_person_too(
    admin: Client,
) -> None:
    officer = await hired(admin, "bisi", "loan_officer")
    user = (await admin.user(1))["id"]
    loan = await requested(admin, user)
    score = {"op": f"POST /v1/users/{user}/credit-score", "body": {"score": 9, "reason": "so"}}
    lines = [score, {"op": f"POST {loan}/approve", "body": {}}]
    told = await send(officer, lines, "?atomic=true")
    assert [each["problem"]["code"] for each in told] == ["aborted", "separation-of-duties"]
    assert (await officer.post(f"{loan}/approve")).status_code == 200


async def test_a_phone_does_not_move_under_an_approved_loan_in_two_processes(
    admin: Client, database: str
) -> None:
    chief, officer = (
        await admin.take_on_superadmin("chief"),
        await admin.take_on_superadmin("chidi"),
    )
    async with serving(database) as process:
        for number in range(8):
            user = (await admin.user(number))["id"]
            loan = await requested(admin, user)
            move = {"phone": f"0805{number:07}"}
            approved, moved = await asyncio.gather(
                officer.post(f"{loan}/approve"),
                chief.at(process).ask("PATCH", f"/v1/users/{user}", move),
            )
            assert approved.status_code == 200, approved.text
            if moved.status_code == 200:
                assert moved.json()["position"] < approved.json()["position"]
            else:
                assert answer(moved) == (409, "contact-frozen")


async def test_the_former_phone_is_told_by_sms_wherever_the_borrower_is_reached_now(
    admin: Client,
) -> None:
    user = (await admin.user(1))["id"]
    moved = await admin.ask("PATCH", f"/v1/users/{user}", {"phone": "08051112222"})
    assert moved.status_code == 200, moved.text
    await courier(admin).deliver_due()
    told = [each for each in admin.outbox() if "was changed" in each["body"]]
    assert [each["to"] for each in told] == ["+2348030000001"]
    query = "SELECT body FROM ledger.events WHERE name = 'NotificationQueued'"
    bodies = str(await admin.app.state.context.pool.rows(query, []))
    assert "8030000001" not in bodies
    assert '"to"' in bodies


@pytest.mark.parametrize("how", ["suspend", "revoke-sessions", "reset-password", "password"])
async def test_a_stolen_key_ends_with_the_alarm_in_every_process(
    admin: Client, database: str, how: str
) -> None:
    ada = await admin.take_on_superadmin("ada")
    reads = [{"resource": "users", "actions": ["read"]}]
    made = await ada.post("/v1/api-keys", {"name": "old", "permissions": reads})
    key = admin.with_token(made.json()["key"])
    async with serving(database) as process:
        assert (await key.at(process).get("/v1/users")).status_code == 200
        me = (await ada.get("/v1/auth/me")).json()["id"]
        body = {"reason": "lost"} if how == "suspend" else {}
        if how == "password":
            words = {"currentPassword": PASSWORD, "newPassword": "another slow horse"}
            done = await ada.post("/v1/auth/password", words)
        else:
            done = await admin.post(f"/v1/admin-users/{me}/{how}", body)
        assert done.status_code in (200, 204), done.text
        if how == "suspend":
            back = await admin.post(f"/v1/admin-users/{me}/reinstate")
            assert back.status_code == 200, back.text
        for place in (key, key.at(process)):
            assert (await place.get("/v1/users")).status_code == 401


async def test_accounts_and_roles_that_are_made_are_shown_as_alerts(admin: Client) -> None:
    await admin.take_on("clerk", {"resource": "users", "actions": ["read"]})
    query = "/v1/notifications?channel=dashboard"
    found = await admin.get(query, headers=await admin.caught_up())
    assert {each["message"] for each in found.json()["items"]} == {
        "admin made the role clerk.",
        "admin made the account clerk, with the role clerk.",
    }
    rows = (await admin.get("/v1/admin-roles?name=loan_officer")).json()["items"]
    assert [(each["maxAmount"], each["maxLimit"]) for each in rows] == [(20_000, 20_000)]

"""Who saw a person: what the log of activities keeps of each look, and how it came out."""

import json
from typing import Any

import pytest

from tests.api.conftest import ADA, Client
from tests.api.routes.test_activity import LOG, lines

NDJSON = {"Accept": "application/x-ndjson"}


async def newest(client: Client, **filters: str) -> dict[str, Any]:
    return (await lines(client, **filters))[0]


@pytest.mark.parametrize("way", ["userId", "id", "upper"])
async def test_each_look_at_a_person_is_found_by_that_person(admin: Client, way: str) -> None:
    user, other = await admin.user(), await admin.user(1)
    body = {"userId": user["id"], "amount": 400, "network": "MTN"}
    loan = (await admin.post("/v1/loans", body)).json()
    name = user["id"].upper() if way == "upper" else user[way]
    loan_name = loan["loanId"] if way == "userId" else loan["id"]
    seen = await admin.caught_up()
    looks = [
        ("Read", f"/v1/users/{name}", user["id"]),
        ("Read", f"/v1/users/{name}?asOf={seen['Ledger-Position']}", user["id"]),
        ("Read", f"/v1/loans/{loan_name}", loan["id"]),
        ("Read", f"/v1/loans/{loan_name}/explain", loan["id"]),
        ("List", f"/v1/users/{name}/timeline", user["id"]),
        ("List", f"/v1/users/{name}/loans", user["id"]),
        ("List", f"/v1/users/{name}/tickets", user["id"]),
        ("List", f"/v1/loans?userId={name}", None),
        ("List", f"/v1/loans?userId={name}&asOf={seen['Ledger-Position']}", None),
        ("List", f"/v1/audit-logs?entityId={user['id']}", None),
        ("List", f"/v1/events?entityId={name}", None),
        ("List", f"/v1/users/{name}/events", user["id"]),
    ]
    for number, (action, path, about) in enumerate(looks, 1):
        assert (await admin.get(path, headers=seen)).status_code == 200, path
        for spelling in (user["id"], user["userId"]):
            found = await lines(admin, persons=spelling)
            assert len(found) == number, path
        line = found[0]
        assert (line["action"], line["resourceId"]) == (action, about), path
        assert line["persons"] == [user["id"]]
        assert line["details"]["outcome"] == "done"
    assert (await admin.get(f"/v1/events?entityId={name}", headers=NDJSON)).status_code == 200
    line = await newest(admin, persons=user["id"])
    assert (line["action"], line["persons"]) == ("Export", [user["id"]])
    assert not await lines(admin, persons=other["id"])
    wrong = await admin.get(f"{LOG}?persons=Ada")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid-parameter")


async def test_a_list_says_how_many_rows_it_had_and_which_were_asked_for(admin: Client) -> None:
    users = [(await admin.user(number))["id"] for number in range(3)]
    seen = await admin.caught_up()
    query = "status=active&phone=%2B2348030000001&phone=%2B2348030000002&limit=10"
    for _ in range(2):
        assert (await admin.get(f"/v1/users?{query}", headers=seen)).status_code == 200
    one, two = (await lines(admin, resource="users", action="List"))[:2]
    assert one["persons"] == sorted(users[1:])
    assert one["details"] == two["details"]
    assert one["details"]["count"] == 2
    filters = one["details"]["filters"]
    assert filters.keys() == {"status", "phone"}
    assert filters["status"] == ["active"]
    assert len(set(filters["phone"])) == 2
    assert "803000000" not in json.dumps(one)
    everybody = await admin.get("/v1/users", headers=seen)
    assert everybody.status_code == 200
    line = await newest(admin, resource="users", action="List")
    assert (line["persons"], line["details"]["count"]) == (sorted(users), 3)


@pytest.mark.parametrize(
    ("path", "action", "outcome", "status"),
    [
        ("/v1/users/USR-2026-999999", "Read", "not-found", 404),
        ("/v1/users/Ada", "Read", "not-found", 404),
        ("/v1/users?limit=1000", "List", "invalid-parameter", 422),
        ("/v1/users?name=Ada", "List", "unknown-parameter", 422),
        ("/v1/users/USR-2026-999999/timeline", "List", "not-found", 404),
        ("/v1/loans/LOAN-2026-999999/explain", "Read", "not-found", 404),
        ("/v1/events?limit=0", "List", "invalid-parameter", 422),
        ("/v1/users/USR-2026-999999/events", "List", "not-found", 404),
        ("/v1/journal.csv?loanId=Ada", "Export", "invalid-parameter", 422),
        ("/v1/trial-balance.csv?asOf=soon", "Export", "invalid-parameter", 422),
        ("/v1/trial-balance.csv?nothing=1", "Export", "unknown-parameter", 422),
    ],
)
async def test_what_came_to_nothing_is_not_called_done(
    admin: Client, path: str, action: str, outcome: str, status: int
) -> None:
    answer = await admin.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, outcome)
    line = await newest(admin)
    assert (line["action"], line["details"]["outcome"]) == (action, outcome)
    assert line["persons"] == []
    assert "Ada" not in json.dumps(line)


async def test_a_command_names_what_it_is_about_by_its_uuid(admin: Client) -> None:
    user = await admin.user()
    for name in (user["userId"], user["id"].upper()):
        await admin.post(f"/v1/users/{name}/reinstate", {})
        line = await newest(admin, action="ReinstateUser")
        assert (line["resourceId"], line["details"]["outcome"]) == (
            user["id"],
            "invalid-transition",
        )
    clerk = await admin.take_on("clerk", {"resource": "config", "actions": ["read"]})
    assert (await clerk.get(f"/v1/users/{user['userId']}")).status_code == 403
    assert (await newest(admin))["resourceId"] == user["id"]


async def test_a_row_in_place_of_a_receipt_is_a_look_at_its_person(admin: Client) -> None:
    prefer = {"Prefer": "return=representation"}
    user = (await admin.post("/v1/users", ADA, headers=prefer)).json()
    line = await newest(admin, persons=user["id"])
    assert (line["action"], line["resourceId"]) == ("Read", user["id"])

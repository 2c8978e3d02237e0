"""A filter's text is read as its field's values are, in every list; nonsense is 422."""

import re
from urllib.parse import quote

import pytest

from api.catalogue import ROUTES
from api.http.problem import InvalidFields
from api.pipeline.conditions import condition, is_filter
from api.pipeline.filters import of_list, read_query
from api.pipeline.routes import List
from projections.lending import LoanRow
from projections.tables.table import Row
from tests.api.conftest import ADA, Client

ROWS = sorted({each.row for each in ROUTES if isinstance(each, List)}, key=lambda row: row.TABLE)
FILTERS = [
    (row, column.wire) for row in ROWS for column in row.COLUMNS.values() if is_filter(row, column)
] + [(row, name) for row in ROWS for name in row.RELATED]
NONSENSE = ["", "\u200b", "no such thing!", "{0198c1a2-7e5b-7cc3-98c4-dc0c0c07398f}"]
FREE = {("api_integrations", "provider"), ("settlements", "provider")} | {
    (table, "name")
    for table in (
        "departments",
        "admin_roles",
        "email_templates",
        "sms_templates",
        "loan_products",
    )
}
"""Filters by names, which may be anything that is visible."""


@pytest.mark.parametrize(("row", "name"), FILTERS)
def test_every_filter_refuses_nonsense(row: type[Row], name: str) -> None:
    free = (row.TABLE, name) in FREE
    for text in NONSENSE[:2] if free else NONSENSE[:3] if name == "reference" else NONSENSE:
        with pytest.raises(ValueError, match=r"."):
            condition(row, name, [text], sees=True, own=False)


FROM = "From=2026-01-01T00:00:00Z"


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("", "-createdAt"),
        ("status=approved", "-createdAt"),
        (f"disbursedAt{FROM}", "-disbursedAt"),
        (f"status=disbursed&dueDate{FROM}", "-dueDate"),
        (f"dueDate{FROM}&createdAt{FROM}", "-createdAt"),
        (f"dueDate{FROM}&sort=loanId", "loanId"),
        (f"dueDate{FROM}&asOf=5", "-createdAt"),
    ],
)
def test_what_is_filtered_by_a_time_is_in_the_order_of_that_time(query: str, order: str) -> None:
    found = read_query(LoanRow, query.encode(), b"", "", sees=True).order
    assert f"{'-' * found.descending}{found.column.wire}" == order


@pytest.mark.parametrize("row", ROWS)
def test_an_order_that_is_not_offered_is_refused_with_those_that_are(row: type[Row]) -> None:
    offered = of_list(row)["sort"]["enum"]
    with pytest.raises(InvalidFields) as refused:
        read_query(row, b"sort=version", b"", "", sees=True)
    said = refused.value.more["errors"][0]["detail"].removeprefix("this list is sorted by ")
    assert sorted(re.split(", | or ", said)) == sorted(o for o in offered if o[0] != "-")


async def test_persons_are_found_however_their_phone_and_email_are_written(admin: Client) -> None:
    form = ADA | {"phone": "08031234567", "email": "Ada.Obi@example.com"}
    user = (await admin.post("/v1/users", form)).json()
    fresh = await admin.caught_up()
    for query in (
        "phone=08031234567",
        "phone=%2B234 803 123 4567",
        "phone=(0803) 123-4567",
        "email=ada.obi@EXAMPLE.com",
        "email=ADA.OBI@example.com&email=no@example.com",
        f"userId={user['userId']}",
        f"userId={user['id'].upper()}",
        f"userId={user['userId']}&userId={user['id']}",
        f"id={user['userId']}",
    ):
        answer = await admin.get(f"/v1/users?{query}", headers=fresh)
        assert [row["id"] for row in answer.json()["items"]] == [user["id"]], query
    for query in ("phone=123", "email=nobody", "userId=USR", "id=LOAN", "status=ACTIVE"):
        answer = await admin.get(f"/v1/users?{query}")
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-parameter"), query
    wrong = (await admin.get("/v1/users?phone=0803999")).text
    assert "0803999" not in wrong


async def same_name_is_found(admin: Client) -> None:
    """Whoever is told that a name is taken finds the one that has it, by the same spelling."""
    made = (await admin.post("/v1/departments", {"name": "Große Κόσμος"})).json()["id"]
    fresh = await admin.caught_up()
    for name in ("Große Κόσμος", "GROSSE ΚΌΣΜΟΣ", "grosse  κόσμοσ", "Ｇroße\u2003Κόσμος"):
        taken = await admin.post("/v1/departments", {"name": name})
        assert (taken.status_code, taken.json()["code"]) == (409, "department-name-taken"), name
        found = await admin.get(f"/v1/departments?name={quote(name)}", headers=fresh)
        assert [row["id"] for row in found.json()["items"]] == [made], name


async def test_names_and_tags_are_found_in_all_their_spellings(admin: Client) -> None:
    made = (await admin.post("/v1/departments", {"name": "Café"})).json()["id"]
    fresh = await admin.caught_up()
    for name in ("Café", "CAFÉ", "Cafe%CC%81", " café "):
        answer = await admin.get(f"/v1/departments?name={name}", headers=fresh)
        assert [row["id"] for row in answer.json()["items"]] == [made], name
    await same_name_is_found(admin)
    user = (await admin.post("/v1/users", ADA)).json()["id"]
    ticket = {"subject": "Hi", "description": "Hi", "category": "general", "tags": ["VIP"]}
    asked = (await admin.post("/v1/tickets", ticket | {"customerId": user})).json()["id"]
    fresh = await admin.caught_up()
    for query in ("tag=vip", "tag=VIP", "tags=Vip"):
        answer = await admin.get(f"/v1/tickets?{query}", headers=fresh)
        assert [row["id"] for row in answer.json()["items"]] == [asked], query
    admins = (await admin.get("/v1/admin-users?username=ADMIN", headers=fresh)).json()["items"]
    assert [row["username"] for row in admins] == ["admin"]
    assert (await admin.get("/v1/tickets?assignedTo=USR-2026-000001")).status_code == 422

"""Rescheduling through HTTP: rows, figures explained, the past, the audit, rights."""

from datetime import datetime, timedelta
from typing import Any

from rim_ledger.values import LAGOS
from tests.api.conftest import Client
from tests.api.routes.test_charges import lent

WHY = {"reason": "her shop burned down"}


async def days(admin: Client, path: str, **query: Any) -> tuple[Any, ...]:
    answer = await admin.get(path, params=query, headers=await admin.caught_up())
    row = answer.json()
    return row["dueDate"], row["originalDueDate"], row["rescheduledCount"]


def time(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_a_loan_is_rescheduled_and_every_figure_says_why(admin: Client) -> None:
    path = await lent(admin)
    due, first, times = await days(admin, path)
    assert (due, times) == (first, 0)
    day = datetime.fromisoformat(due).astimezone(LAGOS).date() + timedelta(days=10)
    moved = {"dueDate": f"{day}"}
    for wrong, code in (("tomorrow", "invalid-fields"), (f"{day.year + 9}-01-01", None)):
        answer = await admin.post(f"{path}/reschedule", WHY | {"dueDate": wrong})
        assert (answer.status_code, answer.json()["code"]) == (
            (422, code) if code else (409, "due-date-too-late")
        )
    done = await admin.post(f"{path}/reschedule", WHY | moved)
    assert done.status_code == 200, done.text
    later, still, times = await days(admin, path)
    assert (still, times) == (first, 1)
    moment = datetime.fromisoformat(later).astimezone(LAGOS)
    assert (moment.date(), moment.strftime("%H:%M:%S")) == (day, "23:59:59")
    before = done.json()["position"] - 2
    assert await days(admin, path, asOf=before) == (due, first, 0)
    told = (await admin.get(f"{path}/explain")).json()["figures"]
    lent_, moved_ = told["dueDate"]["events"]
    assert (lent_["event"], moved_["event"]) == ("LoanDisbursed", "LoanRescheduled")
    assert [time(each["to"]) for each in (lent_, moved_)] == [time(due), time(later)]
    assert time(moved_["because"]["formerDueDate"]) == time(due)
    assert moved_["because"]["reason"] == WHY["reason"]
    assert [each["event"] for each in told["originalDueDate"]["events"]] == ["LoanDisbursed"]
    (line,) = (await admin.get("/v1/audit-logs?action=LoanRescheduled")).json()["items"]
    assert time(line["changes"]["dueDate"]["new"]) == time(later)
    again = await admin.post(f"{path}/reschedule", WHY | moved)
    assert (again.status_code, again.json()["code"]) == (409, "too-many-reschedules")


async def test_it_needs_a_right_of_its_own(admin: Client) -> None:
    path = await lent(admin)
    due, _, _ = await days(admin, path)
    day = datetime.fromisoformat(due) + timedelta(days=1)
    wish = WHY | {"dueDate": day.isoformat()}
    clerk = await admin.take_on("clerk", {"resource": "loans.fees", "actions": ["write"]})
    assert (await clerk.post(f"{path}/reschedule", wish)).status_code == 403
    may = {"resource": "loans.reschedule", "actions": ["write"]}
    done = await (await admin.take_on("officer_2", may)).post(f"{path}/reschedule", wish)
    assert done.status_code == 200, done.text

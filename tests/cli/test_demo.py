"""The example book: from a seed, over months, with everything that an analyst looks for."""

from collections import Counter
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.account_statements import Ledger, require_statements
from tests.cli.service import Service
from tests.demo import Refused, Size, Story, day, fill
from tests.demo_people import PREFIXES
from tests.real_loans import log_in

PASSWORD = "a book of examples"
SMALL = Size(seed=3, borrowers=60, months=8)
LAST = day("2026-06-30")


def lines(size: Size) -> list[dict[str, Any]]:
    story = Story(size)
    asked = [line for _, some in story.lending.in_order() for line in some]
    return [*story.borrowers(), *asked, *story.tickets()]


def test_the_same_seed_makes_the_same_book() -> None:
    size = Size(seed=7, borrowers=50, until=LAST)
    assert lines(size) == lines(size)
    assert lines(size) != lines(size._replace(seed=8))
    keys = Counter(line["key"] for line in lines(size))
    assert keys.most_common(1)[0][1] == 1


def test_borrowers_are_all_different_and_their_phones_are_of_their_networks() -> None:
    found = Story(Size(seed=7, borrowers=500, until=LAST)).people
    assert len({each.phone for each in found}) == len({each.name for each in found}) == 500
    assert all(each.phone.startswith(PREFIXES[each.network]) for each in found)
    assert {each.network for each in found} == PREFIXES.keys()


def test_nothing_is_dated_after_the_end_but_what_follows_within_hours() -> None:
    size = Size(seed=7, borrowers=80, until=LAST)
    times = sorted(line["body"]["occurredAt"] for line in lines(size))
    assert times[0] >= (LAST - timedelta(days=366)).isoformat()
    assert times[-1] <= (LAST + timedelta(days=4)).isoformat()


def test_a_book_has_all_that_curves_show_and_stands_beside_others(service: Service) -> None:
    _, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
    done, refused = fill(url, PASSWORD, SMALL)
    assert (done > 500, refused) == (True, [])
    with pytest.raises(Refused, match=r"(?s)--beside.*RIM_HOME=.*make run"):
        fill(url, PASSWORD, SMALL._replace(seed=4))
    with pytest.raises(Refused, match="is there already"):
        fill(url, PASSWORD, SMALL, beside=True)
    _, refused = fill(url, PASSWORD, SMALL._replace(seed=5, borrowers=20), beside=True)
    assert refused == []
    with httpx.Client(base_url=url, timeout=60) as client:
        head = log_in(client, "admin", PASSWORD)
        ledger = Ledger.at_head(client, head)
        loans = [*ledger.rows("/v1/loans")]
        assert {"completed", "defaulted", "disbursed", "rejected"} <= {
            loan["status"] for loan in loans
        }
        late = [
            loan for loan in loans if loan["completedAt"] and loan["dueDate"] < loan["completedAt"]
        ]
        assert len(late) > 5
        assert len({loan["createdAt"][:7] for loan in loans}) >= 8
        assert {"completed", "failed", "refunded"} <= {
            each["status"] for each in ledger.rows("/v1/transactions")
        }
        reversals = client.get("/v1/events?type=TransactionReversed&limit=1", headers=head).json()
        assert reversals["items"]
        assert {"closed", "open"} <= {each["status"] for each in ledger.rows("/v1/tickets")}
        assert require_statements(ledger, [each["id"] for each in ledger.rows("/v1/users")]) > 500

"""What a command costs, in what can be counted: codes, fingerprints and statements."""

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from typing import Any
from uuid import UUID

import pytest
from psycopg import AsyncConnection

from rim_ledger.engine import draft, store
from rim_ledger.engine.batch import Batch
from rim_ledger.engine.event_mac import KeyedHash
from rim_ledger.engine.view import Wanted
from rim_ledger.vault.personal_keys import Vault
from tests.api.conftest import Client

STATEMENTS = {
    store.CLAIMS: "names",
    store.OUTCOMES: "outcomes",
    store.SECRETS: "secrets",
    store.NUMBERS: "numbers",
    draft.WRITE: "write",
    draft.WRITE_OFTEN: "write what is often written",
}


@pytest.fixture(name="counted")
def _counted(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each of these is done."""
    counted = Counter[str]()

    def count(of: type, name: str, what: str) -> None:
        done = getattr(of, name)

        def counting(self: Any, *arguments: Any) -> Any:
            counted[what] += 1
            return done(self, *arguments)

        monkeypatch.setattr(of, name, counting)

    count(KeyedHash, "digest", "codes")
    count(Vault, "short_print", "prints")
    execute = AsyncConnection.execute

    async def executing(self: Any, query: Any, *arguments: Any, **more: Any) -> Any:
        if query in STATEMENTS:
            counted[STATEMENTS[query]] += 1
        elif isinstance(query, str) and query.startswith(store.EVENTS):
            counted["events"] += "stream_id = ANY" in query
        return await execute(self, query, *arguments, **more)

    monkeypatch.setattr(AsyncConnection, "execute", executing)
    return counted


@pytest.mark.unfollowed
async def test_what_commands_cost(admin: Client, counted: Counter[str]) -> None:
    numbers = iter(range(9))

    async def cost(ask: Callable[[], Awaitable[Any]]) -> dict[str, int]:
        """Of the second time: nothing needs to be learned by then but what is new."""
        await ask()
        counted.clear()
        await ask()
        return dict(counted)

    async def register() -> None:
        await admin.user(next(numbers))

    user = (await admin.user(next(numbers)))["id"]
    loan = {"userId": user, "amount": 100, "network": "MTN"}
    cash = {"type": "repayment", "userId": user, "amount": 1, "paymentMethod": "cash"}
    often = "write what is often written"
    # Phone and e-mail, as events hold them, before and after these names are looked for, which
    # is done once for both; the event and the line of activity. Three names are taken.
    assert await cost(register) == {"codes": 4 + 2, "prints": 2 + 3, "names": 1, often: 1}
    # LoanRequested, CreditReserved and the line; the business id.
    asked = await cost(lambda: admin.post("/v1/loans", loan))
    assert asked == {"codes": 2 + 1, "prints": 1, often: 1}
    # TransactionRecorded, TransactionCompleted, RepaymentAllocated and the line.
    paid = await cost(lambda: admin.post("/v1/transactions", cash))
    assert paid == {"codes": 3 + 1, "prints": 1, often: 1}


async def test_a_command_about_who_was_not_seen_for_long_is_decided_once(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache, missed, load = admin.app.state.context.ledger.cache, list[object](), Batch.load
    users = [await admin.user(number) for number in range(2)]
    colleague, loans = await admin.colleague(), list[dict[str, str]]()

    async def loading(batch: Batch, missing: Iterable[Wanted], reads: store.Store) -> None:
        missed.extend(found := [*missing])
        await load(batch, found, reads)

    async def send(caller: Client, path: str, body: Any = None) -> dict[str, str]:
        """Send a command whose borrower and loan are not in memory."""
        for own, known in (("userId", users), ("loanId", loans)):
            for each in known:
                cache.streams.forget(UUID(each["id"]))
                cache.claims.forget(("business-id", each[own]))
        answer = await caller.post(path, body or {})
        assert answer.is_success, answer.text
        return dict(answer.json())

    monkeypatch.setattr(Batch, "load", loading)
    for number, user in enumerate(users):
        asked = {"userId": user["userId"], "amount": 100, "network": "MTN"}
        paid = {"type": "repayment", "userId": user["id"], "amount": 1}
        named = {"paymentMethod": "bank_transfer", "reference": f"R{number}"}
        missed.clear()
        loans.append(await send(admin, "/v1/loans", asked))
        await send(colleague, f"/v1/loans/{loans[number]['loanId']}/approve")
        await send(admin, "/v1/transactions", paid | named)
        await admin.user(number + 10)
    assert missed == [], "settings and staff are known by the second time"

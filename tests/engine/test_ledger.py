"""The ledger on real PostgreSQL: groups, races, lost connections, keys and names."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import psycopg
import pytest
from psycopg._queries import MAX_CACHED_STATEMENT_LENGTH

from rim_ledger.engine.draft import WRITE, Draft
from rim_ledger.engine.environment import SystemEnvironment
from rim_ledger.engine.idempotency import Idempotency, Receipt
from rim_ledger.engine.ledger import Ledger, Work
from rim_ledger.engine.refusals import NotFound, Refused, Unavailable
from rim_ledger.engine.store import Line, Loaded, Store
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.values import lagos_day
from rim_ledger.vault.key_ring import derived
from rim_ledger.vault.personal_keys import Vault, opened
from tests.sample import JARS, STAMP, Jar, add_coin, erase_owner, open_jar

T = TypeVar("T")
WORLD = SystemEnvironment()
VAULT = Vault(derived(b"a secret of the tests"), WORLD)


def a_ledger(url: str) -> Ledger:
    return Ledger(url, JARS, VAULT, WORLD)


async def on_ledger(url: str, story: Callable[[Ledger], Awaitable[T]]) -> T:
    async with a_ledger(url) as opened:
        return await story(opened)


def rows(url: str, query: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(query).fetchall()  # type: ignore[call-overload,no-any-return]


def end_sessions(url: str) -> None:
    rows(
        url,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )


def coins(url: str, id: UUID) -> int:
    (total,) = rows(
        url,
        "SELECT coalesce(sum(coalesce((body::json #>> '{data,coins}')::int, 1)), 0)"
        f" FROM ledger.events WHERE name = 'CoinAdded' AND stream_id = '{id}'",
    )[0]
    return int(total)


def positions_are_dense(url: str) -> bool:
    ((count, head),) = rows(url, "SELECT count(*), coalesce(max(position), 0) FROM ledger.events")
    return bool(count == head)


async def test_a_receipt_names_stream_number_version_and_position(database: str) -> None:
    jar = WORLD.new_id()
    async with a_ledger(database) as ledger:
        (opened_at, added) = (
            await ledger.submit(open_jar(jar), STAMP),
            await ledger.submit(add_coin(jar), STAMP),
        )
    year = lagos_day(WORLD.now()).year
    assert opened_at == Receipt(jar, f"JAR-{year}-000001", 1, 1)
    assert added == Receipt(jar, f"JAR-{year}-000001", 2, 2)


def test_the_statement_of_a_group_is_read_by_psycopg_once() -> None:
    assert len(WRITE) <= MAX_CACHED_STATEMENT_LENGTH


async def test_a_decision_gives_a_value_which_its_key_keeps_if_it_is_asked_to(
    database: str,
) -> None:
    jar = WORLD.new_id()

    def add(uow: UnitOfWork) -> tuple[UUID, int]:
        return add_coin(jar)(uow), uow.read(Jar, jar).coins

    async with a_ledger(database) as ledger:
        await ledger.submit(open_jar(jar), STAMP)
        asked = [
            await ledger.decide(add, STAMP, Idempotency("ann", key, key), keeps_value=key == "kept")
            for key in ("kept", "kept", "let go", "let go")
        ]
        told = [(value, receipt.replayed) for receipt, value in asked]
    assert told == [(1, False), (1, True), (2, False), (None, True)]
    assert coins(database, jar) == 2


async def test_a_read_finds_what_is_committed_and_writes_nothing(database: str) -> None:
    jar = WORLD.new_id()

    def refuse(uow: UnitOfWork) -> int:
        raise Refused("full", f"There are {uow.read(Jar, jar).coins} coins.")

    async with a_ledger(database) as ledger:
        await ledger.submit(open_jar(jar), STAMP)
        await ledger.submit(add_coin(jar), STAMP)
        with pytest.raises(Refused, match="There are 1 coins"):
            await ledger.read(refuse, STAMP)
        answer = await ledger.read(lambda uow: uow.read(Jar, jar).coins, STAMP)
    assert answer == 1
    assert rows(database, "SELECT count(*) FROM ledger.events") == [(2,)]


async def test_a_group_is_decided_in_order_of_arrival_and_each_sees_the_one_before(
    database: str,
) -> None:
    jar = WORLD.new_id()
    async with a_ledger(database) as ledger:
        works = [open_jar(jar), *(add_coin(jar) for _ in range(Jar.ROOM + 5))]
        answers = (ledger.submit(work, STAMP) for work in works)
        answers = await asyncio.gather(*answers, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Receipt] * 11 + [Refused] * 5
    assert coins(database, jar) == Jar.ROOM
    assert positions_are_dense(database)


async def test_what_a_decision_looks_at_ahead_is_loaded_together(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jars = [WORLD.new_id() for _ in range(50)]
    loads: list[int] = []
    streams = Store.streams

    async def counted(store: Store, ids: Iterable[UUID], folds: Iterable[str]) -> list[Loaded]:
        loads.append(len(ids := list(ids)))
        return await streams(store, ids, folds)

    def look(uow: UnitOfWork) -> UUID:
        uow.look_ahead(partial(uow.read, Jar, jar) for jar in jars)
        return jars[0]

    async def fill(ledger: Ledger) -> None:
        await asyncio.gather(*(ledger.submit(open_jar(jar), STAMP) for jar in jars))

    await on_ledger(database, fill)
    monkeypatch.setattr(Store, "streams", counted)
    await on_ledger(database, lambda ledger: ledger.submit(look, STAMP))
    assert loads == [50]


async def test_what_a_decision_surely_reads_is_loaded_before_with_the_persons_it_is_about(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jar, owner, decided = WORLD.new_id(), WORLD.new_id(), list[UUID]()
    for each in (jar, owner):
        await on_ledger(database, lambda ledger, each=each: ledger.submit(open_jar(each), STAMP))
    number = f"JAR-{lagos_day(WORLD.now()).year}-000001"

    def work(uow: UnitOfWork) -> tuple[UUID, int]:
        decided.append(jar)
        assert uow.holder("label", "sweets") is None
        return jar, uow.read(Jar, number).coins + uow.read(Jar, owner).coins

    monkeypatch.setattr(Jar, "person", property(lambda _: owner))
    label, own = ("claim", ("label", "sweets")), ("claim", ("business-id", number))
    for reads, rounds in (
        ([label, own], 1),
        ([label, ("stream", jar), ("stream", WORLD.new_id())], 2),
        ([], 4),
    ):
        decided.clear()
        await on_ledger(
            database, lambda ledger, reads=reads: ledger.decide(work, STAMP, reads=reads)
        )
        assert len(decided) == rounds, f"{reads}: it is decided again after each load"


async def test_two_processes_never_overfill_and_leave_no_hole(database: str) -> None:
    jar, others = WORLD.new_id(), [WORLD.new_id() for _ in range(20)]

    async def story() -> list[Receipt | BaseException]:
        async with a_ledger(database) as one, a_ledger(database) as two:
            await one.submit(open_jar(jar), STAMP)
            works = [each for other in others for each in (add_coin(jar), open_jar(other))]
            answers = []
            for index, work in enumerate(works):
                answers.append(asyncio.ensure_future((one, two)[index % 2].submit(work, STAMP)))
                answers.append(
                    asyncio.ensure_future((two, one)[index % 2].submit(add_coin(jar), STAMP))
                )
                await asyncio.sleep(0)
            return await asyncio.gather(*answers, return_exceptions=True)

    answers = await story()
    accepted = sum(isinstance(answer, Receipt) for answer in answers)
    assert accepted == Jar.ROOM + len(others)
    assert all(isinstance(answer, Receipt | Refused) for answer in answers)
    assert coins(database, jar) == Jar.ROOM
    assert positions_are_dense(database)


async def test_a_refusal_is_decided_on_what_another_process_has_committed(database: str) -> None:
    jar = WORLD.new_id()

    async def story() -> Receipt:
        async with a_ledger(database) as one, a_ledger(database) as two:
            await one.submit(open_jar(jar), STAMP)
            with pytest.raises(Refused, match="full"):
                await one.submit(add_coin(jar, Jar.ROOM + 1), STAMP)
            missing = WORLD.new_id()
            with pytest.raises(NotFound):
                await one.submit(add_coin(missing), STAMP)
            await two.submit(open_jar(missing), STAMP)
            return await one.submit(add_coin(missing), STAMP)

    assert (await story()).version == 2


async def test_the_same_key_twenty_times_at_once_acts_once(database: str) -> None:
    jar = WORLD.new_id()
    key = Idempotency("admin", "only once", "hash")

    async def story() -> list[Receipt]:
        async with a_ledger(database) as one, a_ledger(database) as two:
            await one.submit(open_jar(jar), STAMP)
            answers = [(one, two)[n % 2].submit(add_coin(jar), STAMP, key) for n in range(20)]
            return await asyncio.gather(*answers)

    answers = await story()
    assert coins(database, jar) == 1
    assert {(answer.version, answer.position) for answer in answers} == {(2, 2)}
    assert sum(not answer.replayed for answer in answers) == 1


async def test_a_refusal_is_replayed_and_a_key_belongs_to_one_request(database: str) -> None:
    jar = WORLD.new_id()
    async with a_ledger(database) as ledger:
        key = Idempotency("admin", "k", "hash")
        with pytest.raises(NotFound) as first:
            await ledger.submit(add_coin(jar), STAMP, key)
        await ledger.submit(open_jar(jar), STAMP)
        with pytest.raises(NotFound) as second:
            await ledger.submit(add_coin(jar), STAMP, key)
        assert (first.value.replayed, second.value.replayed) == (False, True)
        assert first.value.detail == second.value.detail
        with pytest.raises(Refused) as reused:
            await ledger.submit(add_coin(jar), STAMP, Idempotency("admin", "k", "other"))
        assert reused.value.code == "idempotency-key-reused"
    assert coins(database, jar) == 0


async def test_a_name_is_held_by_one_stream(database: str) -> None:
    jars = [WORLD.new_id() for _ in range(20)]

    async def story() -> list[Receipt | BaseException]:
        async with a_ledger(database) as one, a_ledger(database) as two:
            answers = [
                (one, two)[n % 2].submit(open_jar(jar, label="salt"), STAMP)
                for n, jar in enumerate(jars)
            ]
            return await asyncio.gather(*answers, return_exceptions=True)

    answers = await story()
    assert sum(isinstance(answer, Receipt) for answer in answers) == 1
    assert rows(database, "SELECT count(*) FROM ledger.claims WHERE kind = 'label'") == [(1,)]
    assert rows(database, "SELECT count(*) FROM ledger.events") == [(1,)]


@pytest.mark.parametrize("committed", [True, False])
async def test_a_commit_whose_answer_was_lost_is_looked_up_and_never_repeated(
    database: str, monkeypatch: pytest.MonkeyPatch, committed: bool
) -> None:
    jar = WORLD.new_id()
    write = Store.write

    async def lose_the_answer(self: Store, draft: Draft) -> None:
        monkeypatch.setattr(Store, "write", write)
        if committed:
            await write(self, draft)
        await self.connection.close()
        raise psycopg.OperationalError("the connection was lost")

    async with a_ledger(database) as ledger:
        await ledger.submit(open_jar(jar), STAMP)
        monkeypatch.setattr(Store, "write", lose_the_answer)
        receipt = await ledger.submit(add_coin(jar), STAMP)
        await ledger.submit(add_coin(jar), STAMP)
        answer = receipt
    assert answer.position == 2
    assert coins(database, jar) == 2
    assert positions_are_dense(database)


async def test_an_unanswered_commit_is_known_together_with_what_another_process_wrote_on_it(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jar = WORLD.new_id()
    write = Store.write

    async def lose_the_answer(self: Store, draft: Draft) -> None:
        monkeypatch.setattr(Store, "write", write)
        await write(self, draft)
        async with a_ledger(database) as other:
            await other.submit(add_coin(jar), STAMP)
        await self.connection.close()
        raise psycopg.OperationalError("the connection was lost")

    async with a_ledger(database) as ledger:
        await ledger.submit(open_jar(jar), STAMP)
        monkeypatch.setattr(Store, "write", lose_the_answer)
        answer = [(await ledger.submit(add_coin(jar), STAMP)).version for _ in range(2)]
    assert answer == [2, 4]
    assert coins(database, jar) == 3


async def test_an_unanswered_commit_is_not_forgotten_when_the_connection_breaks_again(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jar = WORLD.new_id()
    write, after = Store.write, Store.after

    async def lose_the_answer(self: Store, draft: Draft) -> None:
        monkeypatch.setattr(Store, "write", write)
        monkeypatch.setattr(Store, "after", break_on_the_second_page)
        await write(self, draft)
        await self.connection.close()
        raise psycopg.OperationalError("the connection was lost")

    async def break_on_the_second_page(self: Store, position: int) -> list[Line]:
        if not (lines := await after(self, position)):
            monkeypatch.setattr(Store, "after", after)
            await self.connection.close()
            raise psycopg.OperationalError("the connection was lost again")
        return lines

    async with a_ledger(database) as ledger:
        await ledger.submit(open_jar(jar), STAMP)
        monkeypatch.setattr(Store, "write", lose_the_answer)
        answer = await ledger.submit(add_coin(jar), STAMP)
    assert answer.version == 2
    assert coins(database, jar) == 1


async def test_a_session_killed_between_commands_goes_unnoticed(database: str) -> None:
    jar = WORLD.new_id()
    async with a_ledger(database) as ledger:
        await ledger.submit(open_jar(jar), STAMP)
        end_sessions(database)
        answer = await ledger.submit(add_coin(jar), STAMP)
    assert answer.version == 2


async def test_a_fault_in_one_decision_fails_that_command_alone(database: str) -> None:
    jar = WORLD.new_id()

    def faulty(_: object) -> UUID:
        raise ZeroDivisionError

    async with a_ledger(database) as ledger:
        works = [open_jar(jar), faulty, add_coin(jar)]
        answers = (ledger.submit(work, STAMP) for work in works)
        answers = await asyncio.gather(*answers, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Receipt, ZeroDivisionError, Receipt]


async def test_what_postgresql_cannot_store_fails_its_own_command_alone(database: str) -> None:
    jar, bad = WORLD.new_id(), WORLD.new_id()
    async with a_ledger(database) as ledger:
        works = [open_jar(jar), open_jar(bad, label="nul \0 byte"), add_coin(jar)]
        answers = (ledger.submit(work, STAMP) for work in works)
        answers = await asyncio.gather(*answers, return_exceptions=True)
    assert [isinstance(answer, Receipt) for answer in answers] == [True, False, True]
    assert positions_are_dense(database)


async def test_personal_words_are_sealed_in_the_log_and_erased_with_their_key(
    database: str,
) -> None:
    jar = WORLD.new_id()
    seen: list[str | None] = []
    async with a_ledger(database) as ledger:
        await ledger.submit(open_jar(jar, owner="Ada Obi"), STAMP)

        def look(uow: Any) -> UUID:
            seen.append(uow.reveal(jar, uow.read(Jar, jar).owner))
            return jar

        await ledger.submit(look, STAMP)
        await ledger.submit(erase_owner(jar), STAMP)
    assert seen == ["Ada Obi"]
    ((body,),) = rows(database, "SELECT body FROM ledger.events WHERE name = 'JarOpened'")
    assert "Ada" not in body
    token = rows(database, "SELECT data ->> 'owner' FROM ledger.event_log WHERE position = 1")[0][0]
    ((wrapped, erased_at),) = rows(database, "SELECT wrapped, erased_at FROM ledger.personal_keys")
    assert wrapped is None
    assert erased_at is not None
    assert opened(token, {jar: VAULT.unwrap(jar, wrapped)}) is None


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE ledger.events SET body = '{}'",
        "DELETE FROM ledger.events",
        "TRUNCATE ledger.events",
    ],
)
async def test_the_database_refuses_to_change_history(database: str, change: str) -> None:
    await on_ledger(database, lambda ledger: ledger.submit(open_jar(WORLD.new_id()), STAMP))
    with (
        psycopg.connect(database) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(change)  # type: ignore[call-overload]


async def test_a_database_that_stays_away_is_said_so(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rim_ledger.engine.connection.RECONNECT_TIMEOUT_SECONDS", 0.0)
    async with a_ledger(database) as ledger:
        await ledger.connection.close()
        with monkeypatch.context() as gone:
            gone.setattr(
                ledger.connection, "_url", "postgresql://nobody@/nowhere?host=/nonexistent"
            )
            with pytest.raises(Unavailable) as away:
                await ledger.submit(open_jar(WORLD.new_id()), STAMP)
        assert (await ledger.submit(open_jar(WORLD.new_id()), STAMP)).version == 1
        answer = away.value.code
    assert answer == "store-unavailable"


async def test_the_service_may_add_to_the_log_and_nothing_else(database: str) -> None:
    async with a_ledger(database) as one:
        await one.submit(open_jar(WORLD.new_id(), label="salt"), STAMP)
        connection = one.connection.store.connection
        for statement in (
            "UPDATE ledger.events SET name = 'x'",
            "DELETE FROM ledger.events",
            "TRUNCATE ledger.events",
            "ALTER TABLE ledger.events DISABLE TRIGGER ALL",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(statement)


async def test_who_is_erased_in_the_group_that_made_them_leaves_no_key(database: str) -> None:
    jar = WORLD.new_id()
    async with a_ledger(database) as ledger:
        works = [open_jar(jar, owner="Ada Obi"), erase_owner(jar)]
        await asyncio.gather(*(ledger.submit(work, STAMP) for work in works))
    ((wrapped, erased_at),) = rows(database, "SELECT wrapped, erased_at FROM ledger.personal_keys")
    assert (wrapped, erased_at is None) == (None, False)


async def test_a_commit_that_was_looked_up_does_not_hide_what_came_after_it(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jar = WORLD.new_id()
    write = Store.write

    async def story() -> list[int]:
        async with a_ledger(database) as one, a_ledger(database) as two:

            async def lose_the_answer(self: Store, draft: Draft) -> None:
                monkeypatch.setattr(Store, "write", write)
                await write(self, draft)
                await two.submit(add_coin(jar), STAMP)
                await self.connection.close()
                raise psycopg.OperationalError("the connection was lost")

            await one.submit(open_jar(jar), STAMP)
            monkeypatch.setattr(Store, "write", lose_the_answer)
            first = await one.submit(add_coin(jar), STAMP)
            return [first.version, (await one.submit(add_coin(jar), STAMP)).version]

    assert await story() == [2, 4]


async def test_a_fault_of_the_store_fails_its_own_command_alone(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    jars = [WORLD.new_id() for _ in range(3)]
    write = Store.write

    async def break_on_kaputt(self: Store, draft: Draft) -> None:
        if len(draft.streams) == 1 and ("label", "kaputt") in draft.claims:
            raise ZeroDivisionError
        await write(self, draft)

    async with a_ledger(database) as ledger:
        monkeypatch.setattr(Store, "write", break_on_kaputt)
        labels = [None, "nul \0 byte", "kaputt"]
        works = [open_jar(jar, label=label) for jar, label in zip(jars, labels, strict=True)]
        answers = (ledger.submit(work, STAMP) for work in works)
        answers = await asyncio.gather(*answers, return_exceptions=True)
    kinds = (Receipt, psycopg.DataError, ZeroDivisionError)
    assert all(isinstance(*each) for each in zip(answers, kinds, strict=True))
    assert rows(database, "SELECT count(*) FROM ledger.events") == [(1,)]


def numbers(receipts: Iterable[Receipt]) -> list[int]:
    return [int((receipt.business_id or "").rsplit("-", 1)[1]) for receipt in receipts]


async def test_numbers_are_taken_by_what_is_committed_alone(database: str) -> None:
    def fail(id: UUID) -> Work:
        return open_jar(id, label="nul \0 byte")

    def look(uow: UnitOfWork) -> UUID:
        uow.number("JAR")
        return jar

    async def story(ledger: Ledger) -> list[Receipt]:
        receipts = []
        for turn in range(10):
            if turn:
                await ledger.submit(look, STAMP)
                with pytest.raises(psycopg.DataError):
                    await ledger.submit(fail(WORLD.new_id()), STAMP)
                end_sessions(database)
            receipts.append(
                await ledger.submit(open_jar(jar if not turn else WORLD.new_id()), STAMP)
            )
        return receipts

    jar = WORLD.new_id()
    receipts = await on_ledger(database, story)
    after_a_restart = await on_ledger(
        database, lambda it: it.submit(open_jar(WORLD.new_id()), STAMP)
    )
    assert numbers([*receipts, after_a_restart]) == [*range(1, 12)]


async def test_a_lost_answer_takes_a_number_once(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Store.write

    async def lose_the_answer(self: Store, draft: Draft) -> None:
        monkeypatch.setattr(Store, "write", write)
        await write(self, draft)
        await self.connection.close()
        raise psycopg.OperationalError("the connection was lost")

    async with a_ledger(database) as ledger:
        receipts = [await ledger.submit(open_jar(WORLD.new_id()), STAMP)]
        monkeypatch.setattr(Store, "write", lose_the_answer)
        answer = receipts + [await ledger.submit(open_jar(WORLD.new_id()), STAMP) for _ in range(2)]
    assert numbers(answer) == [1, 2, 3]


async def test_three_processes_take_each_number_once_and_leave_none_out(database: str) -> None:
    async def story() -> list[Receipt]:
        async with (
            a_ledger(database) as one,
            a_ledger(database) as two,
            a_ledger(database) as three,
        ):
            receipts: list[Receipt] = []
            for _ in range(10):
                works = [
                    each.submit(open_jar(WORLD.new_id()), STAMP)
                    for each in (one, two, three)
                    for _ in range(4)
                ]
                receipts += await asyncio.gather(*works)
            return receipts

    assert sorted(numbers(await story())) == [*range(1, 121)]
    assert rows(database, "SELECT last FROM ledger.numbers") == [(120,)]


@pytest.mark.parametrize("question", ["streams", "claims"])
async def test_a_question_that_went_unanswered_teaches_nothing(
    database: str, monkeypatch: pytest.MonkeyPatch, question: str
) -> None:
    jar, other = WORLD.new_id(), WORLD.new_id()
    ask = getattr(Store, question)

    async def lose_the_answer(self: Store, *asked: Any) -> Any:
        monkeypatch.setattr(Store, question, ask)
        await self.connection.close()
        raise psycopg.OperationalError("the connection was lost")

    await on_ledger(database, lambda ledger: ledger.submit(open_jar(jar, label="salt"), STAMP))
    monkeypatch.setattr(Store, question, lose_the_answer)
    if question == "streams":
        receipt = await on_ledger(database, lambda ledger: ledger.submit(add_coin(jar), STAMP))
        assert receipt.version == 2
    else:
        with pytest.raises(Refused):
            await on_ledger(
                database, lambda ledger: ledger.submit(open_jar(other, label="salt"), STAMP)
            )


async def test_a_lock_that_somebody_holds_is_said_and_not_waited_for_in_silence(
    database: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("rim_ledger.engine.store.IMPATIENT", "SET lock_timeout = '100ms'")
    async with a_ledger(database) as ledger:
        with psycopg.connect(database) as holder:
            holder.execute("LOCK TABLE ledger.events IN ACCESS EXCLUSIVE MODE")
            with pytest.raises(Unavailable) as held:
                await ledger.submit(open_jar(WORLD.new_id()), STAMP)
        receipt = await ledger.submit(open_jar(WORLD.new_id()), STAMP)
        assert numbers([receipt]) == [1]
        answer = held.value.code
    assert answer == "busy"
    lines = [each.message for each in caplog.records if "waiting" in each.message]
    assert len(lines) == 1
    assert "busy: Somebody holds a lock of the ledger." in lines[0]

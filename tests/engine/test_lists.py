"""Lists on the writing side: right within a group, after it, and from another process."""

import asyncio
from collections.abc import Awaitable, Callable
from uuid import UUID

from rim_ledger.engine.ledger import Ledger, Work
from rim_ledger.engine.unit_of_work import UnitOfWork
from tests.engine.test_ledger import WORLD, a_ledger, rows
from tests.sample import EMPTY, STAMP, Jar, add_coin, open_jar

Listing = Callable[[int], Awaitable[list[UUID]]]


def take_first(taken: list[UUID]) -> Work:
    """Put a coin in the first empty jar, and tell which that was."""

    def work(uow: UnitOfWork) -> UUID:
        (first,) = uow.listed(EMPTY, 1)
        jar = uow.read(Jar, first).id
        add_coin(jar)(uow)
        taken.append(jar)
        return jar

    return work


def looked(ledger: Ledger, root: UUID) -> Listing:
    async def look(count: int) -> list[UUID]:
        found: list[UUID] = []

        def work(uow: UnitOfWork) -> UUID:
            found[:] = uow.listed(EMPTY, count)
            return root

        await ledger.submit(work, STAMP)
        return found

    return look


async def opened(ledger: Ledger, count: int) -> list[UUID]:
    jars = [WORLD.new_id() for _ in range(count)]
    await asyncio.gather(*(ledger.submit(open_jar(each), STAMP) for each in jars))
    return jars


async def test_a_list_is_in_the_order_of_its_names_and_follows_the_streams(database: str) -> None:
    async with a_ledger(database) as ledger:
        jars = await opened(ledger, 5)
        listed = looked(ledger, jars[0])
        assert await listed(3) == jars[:3]
        await ledger.submit(add_coin(jars[1]), STAMP)
        assert await listed(3) == [jars[0], jars[2], jars[3]]
        assert await listed(99) == [jars[0], *jars[2:]]
    found = rows(database, f"SELECT count(*) FROM ledger.claims WHERE kind = '{EMPTY}'")
    assert found == [(4,)]


async def test_forty_who_take_the_first_at_once_take_forty(database: str) -> None:
    """In one group, each sees what those before it left, however many they took."""

    async with a_ledger(database) as ledger:
        jars = await opened(ledger, 50)
        taken: dict[int, list[UUID]] = {n: [] for n in range(40)}
        await asyncio.gather(*(ledger.submit(take_first(taken[n]), STAMP) for n in range(40)))
        last = [each[-1] for each in taken.values()]  # A decision may run more than once.
        assert last == jars[:40]
        assert await looked(ledger, jars[0])(99) == jars[40:]


async def test_what_is_made_and_taken_in_one_group_is_on_no_list(database: str) -> None:
    async with a_ledger(database) as ledger:
        jar, other = WORLD.new_id(), WORLD.new_id()

        def work(uow: UnitOfWork) -> UUID:
            open_jar(jar)(uow)
            add_coin(jar)(uow)
            return open_jar(other)(uow)

        await ledger.submit(work, STAMP)
        assert await looked(ledger, jar)(99) == [other]


async def test_two_processes_take_each_once(database: str) -> None:
    async with a_ledger(database) as one, a_ledger(database) as two:
        jars = await opened(one, 30)
        taken: list[list[UUID]] = [[] for _ in range(30)]
        await asyncio.gather(
            *((one, two)[n % 2].submit(take_first(each), STAMP) for n, each in enumerate(taken))
        )
        assert sorted(each[-1] for each in taken) == sorted(jars)
        assert await looked(two, jars[0])(1) == []

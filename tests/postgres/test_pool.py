"""A pool on a database that goes away: its callers get connections that live, and soon."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg_pool import PoolTimeout

from rim_ledger.postgres.pool import Pool

SIZE = 4


class Door:
    """The way to a database, which can be closed: the socket's directory by another name."""

    def __init__(self, database: str, place: Path) -> None:
        self._database, self._way = database, place / "way"
        self._sockets = Path(str(conninfo_to_dict(database)["host"]))
        self.url = make_conninfo(database, host=str(self._way))
        self.open()

    def open(self) -> None:
        self._way.symlink_to(self._sockets)

    def close(self) -> None:
        """End every session, and let none begin."""
        self._way.unlink()
        self.end_sessions()

    def end_sessions(self) -> None:
        with psycopg.connect(self._database) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )


@pytest.fixture
def door(database: str, tmp_path: Path) -> Door:
    return Door(database, tmp_path)


@asynccontextmanager
async def a_full_pool(door: Door, **more: float) -> AsyncIterator[Pool]:
    """A pool all of whose connections were used, and are idle."""
    async with Pool(
        door.url, min_size=1, max_size=SIZE, timeout=30, autocommit=True, **more
    ) as pool:
        every = asyncio.Barrier(SIZE)

        async def use() -> None:
            async with pool.connection():
                await every.wait()

        await asyncio.gather(*(use() for _ in range(SIZE)))
        yield pool


async def ask(pool: Pool) -> Any:
    async with pool.connection() as connection:
        return await (await connection.execute("SELECT 1")).fetchone()


async def test_nobody_is_handed_a_connection_that_the_server_has_ended(door: Door) -> None:
    async def story() -> list[Any]:
        async with a_full_pool(door) as pool:
            door.end_sessions()
            begun = time.monotonic()
            answers = [await ask(pool) for _ in range(2 * SIZE)]
            assert time.monotonic() - begun < 5, "the pool paused between two dead connections"
            return answers

    assert await story() == [(1,)] * (2 * SIZE)


async def test_who_waits_is_served_within_seconds_of_the_databases_return(door: Door) -> None:
    async with a_full_pool(door, retry_seconds=0.2) as pool:
        door.close()
        impatient = [pool.connection(timeout=0.5) for _ in range(3)]
        for each in impatient:
            with pytest.raises(PoolTimeout):
                async with each:
                    pass
        waiting = asyncio.create_task(ask(pool))
        await asyncio.sleep(3)  # By itself the pool would try again after 1, 2, 4, … seconds.
        assert not waiting.done()
        door.open()
        begun = time.monotonic()
        answer = await waiting
        assert time.monotonic() - begun < 2
    assert answer == (1,)


async def test_a_connection_that_was_told_something_and_lives_is_kept(door: Door) -> None:
    async def story() -> tuple[Any, Any]:
        async with a_full_pool(door) as pool:
            pid = "SELECT pg_backend_pid()"
            for _ in range(SIZE):
                async with pool.connection() as connection:
                    await connection.execute("LISTEN news")
                    before = await (await connection.execute(pid)).fetchone()
            async with pool.connection() as connection:
                await connection.execute("NOTIFY news")
            await asyncio.sleep(0.2)
            pids = set()
            for _ in range(SIZE):
                async with pool.connection() as connection:
                    pids.add(await (await connection.execute(pid)).fetchone())
            return before, pids

    before, pids = await story()
    assert before in pids
    assert len(pids) == SIZE

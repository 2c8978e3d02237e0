"""Whose decision is next, while many wait: callers take turns, nobody takes all the time."""

import asyncio

import pytest

from rim_ledger.engine import deciding
from rim_ledger.engine.turns import CALLER, Turns
from tests.engine.test_ledger import WORLD, a_ledger, coins, positions_are_dense
from tests.sample import STAMP, Jar, add_coin, open_jar


def waiting(*arrived: str) -> Turns[str]:
    """Things that arrived in an order: each is its caller and a number."""
    turns = Turns[str]()
    for each in arrived:
        token = CALLER.set(each[0])
        turns.add(each)
        CALLER.reset(token)
    return turns


def test_callers_take_turns_and_each_keeps_their_own_order() -> None:
    turns = waiting("a1", "a2", "a3", "b1", "a4", "c1", "b2")
    assert turns.take(4) == ["a1", "b1", "c1", "a2"]
    turns.leave(4)
    assert turns.take(9) == ["b2", "a3", "a4"]
    turns.leave(3)
    assert not turns
    assert turns.take(9) == []


def test_what_there_was_no_time_for_still_waits_and_comes_before_who_took_the_time() -> None:
    turns = waiting("a1", "a2", "b1", "c1", "b2")
    assert turns.take(3) == ["a1", "b1", "c1"]
    assert list(turns) == ["a1", "b1", "c1", "a2", "b2"]
    turns.leave(1)
    assert turns.take(9) == ["b1", "c1"]
    turns.leave(2)
    assert turns.take(9) == ["a2", "b2"]
    turns.leave(2)
    assert not turns


def test_who_took_all_the_time_has_whole_batches_while_nobody_else_waits() -> None:
    turns = waiting("a1", "a2", "a3", "a4", "a5")
    turns.take(9)
    turns.leave(2)
    assert turns.take(9) == ["a3", "a4", "a5"]
    turns.leave(1)
    token = CALLER.set("b")
    turns.add("b1")
    turns.add("b2")
    CALLER.reset(token)
    assert turns.take(9) == ["a4", "b1"]
    turns.leave(2)
    assert turns.take(9) == ["a5", "b2"]


async def test_somebody_with_much_to_decide_keeps_nobody_else_waiting(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "SECONDS_MAX", 0)
    jars, other = [WORLD.new_id() for _ in range(30)], WORLD.new_id()
    async with a_ledger(database) as ledger:
        CALLER.set("many")
        many = [asyncio.create_task(ledger.submit(open_jar(jar), STAMP)) for jar in jars]
        await many[0]
        CALLER.set("other")
        await ledger.submit(open_jar(other), STAMP)
        before = sum(each.done() for each in many)
        await asyncio.gather(*many)
        answer = before
    assert answer <= 3
    assert positions_are_dense(database)


async def test_groups_that_are_cut_short_decide_everything_once(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deciding, "SECONDS_MAX", 0)
    jar = WORLD.new_id()
    async with a_ledger(database) as ledger:
        works = [open_jar(jar), *(add_coin(jar) for _ in range(Jar.ROOM + 5))]
        answers = (ledger.submit(work, STAMP) for work in works)
        answers = await asyncio.gather(*answers, return_exceptions=True)
    assert [isinstance(each, Exception) for each in answers] == [False] * 11 + [True] * 5
    assert coins(database, jar) == Jar.ROOM
    assert positions_are_dense(database)

"""Settings: known ones have types and ranges, others keep the type they began with."""

from decimal import Decimal
from typing import Any

import pytest

from rim_ledger.engine.refusals import Refused
from rim_ledger.lending.user import User
from rim_ledger.lending.user_commands import RegisterUser
from rim_ledger.system.config import (
    KNOWN,
    ResetConfig,
    SetConfig,
    SystemConfig,
    config_id,
    setting,
)
from tests.spec import Memory, names


def put(memory: Memory, key: str, value: Any, category: str = "lending") -> list[str]:
    uow = memory.uow()
    SetConfig(category=category, key=key, value=value).work(uow)
    return names(memory.keep(uow))


@pytest.mark.parametrize(("category", "key"), KNOWN)
def test_a_setting_that_nobody_set_has_its_default(category: str, key: str) -> None:
    assert setting(Memory().uow(), category, key) == KNOWN[category, key].default


def test_a_setting_acts_from_its_next_reading_until_it_is_reset() -> None:
    memory = Memory()
    assert put(memory, "interestRate", 12.5) == ["SystemConfigSet"]
    assert setting(memory.uow(), "lending", "interestRate") == Decimal("12.5")
    assert put(memory, "interestRate", 12.5) == []
    stream = config_id("lending", "interestRate")
    assert names(memory.perform(SystemConfig, stream, ResetConfig())) == ["SystemConfigReset"]
    assert setting(memory.uow(), "lending", "interestRate") == 15
    with pytest.raises(Refused, match="at its default"):
        memory.perform(SystemConfig, stream, ResetConfig())


@pytest.mark.parametrize(
    ("key", "bad", "code"),
    [
        ("autoApprove", "true", "wrong-type"),
        ("autoApprove", 1, "wrong-type"),
        ("maxOpenLoans", True, "wrong-type"),
        ("maxOpenLoans", 2.5, "wrong-type"),
        ("maxOpenLoans", 0, "out-of-range"),
        ("interestRate", 1001, "out-of-range"),
        ("interestRate", "15", "wrong-type"),
        ("interestRate", 1e-7, "decimals"),
        ("autoApproveMaxAmount", 0.005, "decimals"),
    ],
)
def test_a_known_setting_refuses_what_it_cannot_be(key: str, bad: Any, code: str) -> None:
    memory = Memory()
    with pytest.raises(Refused) as refusal:
        put(memory, key, bad)
    assert refusal.value.code == code
    assert memory.streams == {}


def test_another_setting_keeps_its_type() -> None:
    memory = Memory()
    assert put(memory, "colour", "green", "panel") == ["SystemConfigSet"]
    with pytest.raises(Refused, match="colour is of the type string, not number"):
        put(memory, "colour", 3, "panel")
    memory.perform(SystemConfig, config_id("panel", "colour"), ResetConfig())
    with pytest.raises(Refused, match="colour is of the type string, not json"):
        put(memory, "colour", ["green"], "panel")
    assert put(memory, "colour", "blue", "panel") == ["SystemConfigSet"]


@pytest.mark.parametrize(
    ("category", "key", "meant"),
    [
        ("lending", "autoAproveMinScore", "lending/autoApproveMinScore"),
        ("lending", "interest_rate", "lending/interestRate"),
        ("lendng", "interestRate", "lending/interestRate"),
        ("Support", "firstResponseHour", "support/firstResponseHours"),
    ],
)
def test_a_new_setting_is_not_named_like_a_known_one(category: str, key: str, meant: str) -> None:
    memory = Memory()
    with pytest.raises(Refused, match=f"did you mean {meant}?") as refusal:
        put(memory, key, 700, category)
    assert refusal.value.code == "unknown-setting"
    assert memory.streams == {}


def test_another_setting_has_a_name_of_its_own() -> None:
    memory = Memory()
    for category, key in [("panel", "interestRate"), ("lending", "colour"), ("lendng", "colour")]:
        assert put(memory, key, 3, category) == ["SystemConfigSet"]


def test_a_setting_of_json_takes_whatever_has_parts() -> None:
    memory = Memory()
    for value in ({"a": 1}, [1, 2]):
        assert put(memory, "shape", value, "panel") == ["SystemConfigSet"]
    with pytest.raises(Refused, match="shape is of the type json, not string"):
        put(memory, "shape", "round", "panel")


def test_a_refusal_does_not_repeat_a_long_value() -> None:
    with pytest.raises(Refused) as refusal:
        put(Memory(), "interestRate", "x" * 1000)
    assert len(refusal.value.detail) < 100


def test_dots_in_names_never_make_two_settings_one() -> None:
    assert config_id("a.b", "c") != config_id("a", "b.c")


def test_a_setting_never_lands_in_the_stream_of_something_else() -> None:
    memory = Memory()
    ada = RegisterUser(phone="08031234567", email="ada@example.com", name="Ada")
    memory.perform(User, config_id("panel", "colour"), ada)
    with pytest.raises(Refused, match="is taken"):
        put(memory, "colour", "green", "panel")

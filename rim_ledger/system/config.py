"""The settings that rules read: each known key has a type, a range and a default."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any, Final, Self, assert_never
from uuid import UUID

from pydantic import JsonValue

from rim_ledger.engine.aggregate import Aggregate, Event, Stamp
from rim_ledger.engine.command import Command, Timed
from rim_ledger.engine.refusals import Invalid, require
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.free_json import FreeJson
from rim_ledger.near import nearest
from rim_ledger.system.config_keys import KNOWN, Known
from rim_ledger.values import Description, Word, derived_id

LOOK_AGAIN: Final = "look-again"
"""The reminder that a setting was changed on which other reminders depend."""
LIST_MAX: Final = 50
"""Numbers in a list."""
TYPO_SIMILARITY: Final = 0.85
"""How similar a new name may be to a known one: see `nearest`."""


@cache
def config_id(category: str, key: str) -> UUID:
    """Return the stream id of a setting, derived from its name."""
    return derived_id("setting", category, key)


class DataType(StrEnum):
    """The type of a setting's value."""

    STRING = "string"
    NUMBER = "number"
    BOOLEAN = "boolean"
    JSON = "json"


class SystemConfigSet(Event):
    category: str
    key: str
    value: Any
    description: str


class SystemConfigReset(Event):
    """The setting is back at its default, or gone if it has none."""


class SystemConfig(Aggregate):
    category: str
    key: str
    description: str
    data_type: DataType
    value: Any = None
    updated_by: UUID | None = None
    lapsing: tuple[tuple[int, datetime], ...] = ()
    """Former values in days, each with the time of recording until which it still applies."""

    @property
    def shown(self) -> Any:
        """The value for clients: exact numbers, which events store as text, are numbers; a known
        setting that was reset shows its default."""
        if self.value is None and (known := KNOWN.get((self.category, self.key))):
            return known.default
        text = isinstance(self.value, str) and self.data_type is DataType.NUMBER
        return Decimal(self.value) if text else self.value

    @classmethod
    def begin(cls, id: UUID, event: SystemConfigSet, stamp: Stamp) -> Self:
        return cls.made(id, event, data_type=_data_type(event), value=None).evolve(event, stamp)

    def evolve(self, event: SystemConfigSet | SystemConfigReset, stamp: Stamp) -> Self:
        match event:
            case SystemConfigSet():
                return self.but(
                    value=event.value,
                    description=event.description,
                    data_type=_data_type(event),
                    updated_by=stamp.admin,
                    lapsing=self._lapsing(stamp),
                )
            case SystemConfigReset():
                return self.but(value=None, updated_by=stamp.admin, lapsing=self._lapsing(stamp))
            case _:
                assert_never(event)

    def _lapsing(self, stamp: Stamp) -> tuple[tuple[int, datetime], ...]:
        known = KNOWN.get((self.category, self.key))
        if not known or not known.lapses:
            return ()
        days = value_of(self.category, self.key, self)
        left = (each for each in self.lapsing if stamp.noted_at < each[1])
        return (*left, (days, stamp.noted_at + timedelta(days=days)))


def _data_type(event: SystemConfigSet) -> DataType:
    known = KNOWN.get((event.category, event.key))
    return _type_of(known.default if known else event.value)


def _type_of(value: Any) -> DataType:
    match value:
        case bool():
            return DataType.BOOLEAN
        case int() | float() | Decimal():
            return DataType.NUMBER
        case str():
            return DataType.STRING
        case _:
            return DataType.JSON


class SetConfig(Timed):
    """Set a value; the first time, this creates the setting, which keeps the type of that value."""

    category: Word
    key: Word
    value: FreeJson
    description: Description = ""

    def work(self, uow: UnitOfWork) -> UUID:
        """Decide on the setting's stream, and return its id."""
        stream = config_id(self.category, self.key)
        with uow.dated(stream, self.occurred_at):
            before = uow.find(SystemConfig, stream)
            known = KNOWN.get((self.category, self.key))
            if not (before or known):
                _require_no_typo(self.category, self.key)
            value = _checked(known, self.value) if known else _same_type(before, self.value)
            words = self.description or (known.description if known else "")
            if before is None or (before.value, before.description) != (value, words):
                event = SystemConfigSet.of(self, value=value, description=words)
                uow.append(SystemConfig, stream, [event])
                if known and known.looks:
                    uow.remind(LOOK_AGAIN, stream, uow.now)
        return stream


def _require_no_typo(category: str, key: str) -> None:
    """Refuse a new setting with a name similar to a known one: it is probably a typo."""
    if near_category := nearest(category, {name for name, _ in KNOWN}, TYPO_SIMILARITY):
        keys = [name for each, name in KNOWN if each == near_category]
        if near_key := nearest(key, keys, TYPO_SIMILARITY):
            words = f"There is no setting {category}/{key}"
            meant = f"did you mean {near_category}/{near_key}?"
            raise Invalid("unknown-setting", f"{words}; {meant}", "/key")


def set_defaults(uow: UnitOfWork) -> None:
    """Create every known setting that is missing, at its default, so that lists show it."""
    for (category, key), known in KNOWN.items():
        if uow.find(SystemConfig, config_id(category, key)) is None:
            value = known.default
            plain = str(value) if isinstance(value, Decimal) else value
            event = SystemConfigSet(
                category=category, key=key, value=plain, description=known.description
            )
            uow.append(SystemConfig, config_id(category, key), [event])


class ResetConfig(Command[SystemConfig]):
    """Reset a setting to its default."""

    @property
    def ruled_as(self) -> tuple[str, ...]:
        return (*super().ruled_as, SetConfig.__name__)

    def decide(self, aggregate: SystemConfig, uow: UnitOfWork) -> Iterable[Event]:
        require(aggregate.value is not None, "already-done", "The setting is at its default.")
        yield SystemConfigReset()


def setting(uow: UnitOfWork, category: str, key: str) -> Any:
    """Return the value of a known setting as of this decision, in its own type."""
    return value_of(category, key, uow.find(SystemConfig, config_id(category, key)))


def value_of(category: str, key: str, config: SystemConfig | None) -> Any:
    """Return the value of a known setting, in its own type."""
    known = KNOWN[category, key]
    if config is None or config.value is None:
        return known.default
    return type(known.default)(config.value)


def span(uow: UnitOfWork, category: str, key: str) -> timedelta:
    """Return a setting in days as of this decision: the longest of the current value and the former
    ones that still apply."""
    config = uow.find(SystemConfig, config_id(category, key))
    former = (days for days, until in config.lapsing if uow.now < until) if config else ()
    return timedelta(days=max(value_of(category, key, config), *former, 0))


def _same_type(before: SystemConfig | None, value: JsonValue) -> JsonValue:
    if before and (given := _type_of(value)) is not before.data_type:
        words = f"{before.key} is of the type {before.data_type}, not {given}."
        raise Invalid("wrong-type", words, "/value")
    return value


def _list(known: Known, value: JsonValue) -> list[JsonValue]:
    if not isinstance(value, list) or not all(type(each) is int for each in value):
        raise Invalid("wrong-type", "The value is a list of whole numbers.", "/value")
    numbers = sorted({each for each in value if type(each) is int})
    if len(numbers) != len(value) or len(numbers) > LIST_MAX:
        words = f"The value has each number once, and {LIST_MAX} at most."
        raise Invalid("out-of-range", words, "/value")
    if numbers and not known.least <= numbers[0] <= numbers[-1] <= known.most:
        words = f"Each number is from {known.least} to {known.most}."
        raise Invalid("out-of-range", words, "/value")
    return [*numbers]


def _checked(known: Known, value: JsonValue) -> JsonValue:
    if isinstance(known.default, bool):
        if not isinstance(value, bool):
            raise Invalid("wrong-type", "The value is true or false.", "/value")
        return value
    if isinstance(known.default, tuple):
        return _list(known, value)
    whole = isinstance(known.default, int)
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        kind = "a whole number" if whole else "a number"
        raise Invalid("wrong-type", f"The value is {kind}.", "/value")
    if not known.least <= value <= known.most:
        span = f"from {known.least} to {known.most}"
        raise Invalid("out-of-range", f"The value is {span}, not {value}.", "/value")
    if round(exact := Decimal(str(value)), known.places) != exact:
        raise Invalid(
            "decimals", f"The value has at most {known.places} decimals, not {value}.", "/value"
        )
    return value if whole else str(value)

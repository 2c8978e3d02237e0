"""Commands that change some fields: given, omitted or cleared."""

from collections.abc import Callable
from typing import Any, ClassVar

from pydantic import GetJsonSchemaHandler, ValidationInfo, field_validator
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from rim_ledger.engine.aggregate import A
from rim_ledger.engine.command import Command, Timed


class Patch(Command[A]):
    """Changes the given fields; omitted fields stay as they are. `null` clears a field that may be
    empty."""

    CLEARS: ClassVar[frozenset[str]] = frozenset()
    """The fields that may be empty."""

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: Any, info: ValidationInfo) -> Any:
        name = info.field_name
        if value is None and name in cls._required():
            raise PydanticCustomError("required", "this cannot be empty; leave it out to keep it")
        return value

    @classmethod
    def _required(cls) -> frozenset[str]:
        return frozenset(cls.model_fields) - cls.CLEARS - frozenset(Timed.model_fields)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Return the form's schema, with null only for fields that accept it."""
        found = handler(schema)
        for name in cls._required():
            field = handler.resolve_ref_schema(found)["properties"][to_camel(name)]
            field.pop("default", None)
            arms = [arm for arm in field.pop("anyOf", []) if arm != {"type": "null"}]
            field |= arms[0] if len(arms) == 1 else {"anyOf": arms} if arms else {}
        return found

    def clears(self, field: str) -> bool:
        """Return whether a field is given as null."""
        return field in self.model_fields_set and getattr(self, field) is None

    def changes(
        self, aggregate: A, reveal: Callable[[Any], Any] = lambda value: value
    ) -> dict[str, Any]:
        """Return the given fields that differ from the aggregate; None clears one. `reveal` returns
        a value of the aggregate in the clear."""
        given = self.model_fields_set & {*aggregate.__struct_fields__}
        wanted = {field: getattr(self, field) for field in given}
        return {
            field: value
            for field, value in wanted.items()
            if value != reveal(getattr(aggregate, field))
        }

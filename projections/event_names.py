"""Validation of event and entity names in filters."""

from collections.abc import Callable, Collection
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from rim_ledger.catalogue import ENTITIES, EVENTS
from rim_ledger.near import did_you_mean


def one_of(known: Collection[str], words: str) -> Callable[[str], str]:
    """A validator for one of the known names; `words` describes them in the error, which suggests
    the nearest one."""

    def check(text: str) -> str:
        if text not in known:
            raise PydanticCustomError("unknown", f"{words}{did_you_mean(text, known)}")
        return text

    return check


EventName = Annotated[
    str, AfterValidator(one_of(EVENTS, "there is no such event; /v1/events/schemas lists them"))
]
ENTITY_NAMES = [kind.__name__ for kind in ENTITIES]
EntityName = Annotated[
    str, AfterValidator(one_of(ENTITY_NAMES, f"this is one of {', '.join(ENTITY_NAMES)}"))
]

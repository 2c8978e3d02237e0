"""The names of events and entities, as filters read them."""

from collections.abc import Callable, Container
from typing import Annotated

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError

from rim_ledger.catalogue import ENTITIES, EVENTS


def among(known: Container[str], words: str) -> Callable[[str], str]:
    """A check that a text is one of the known ones; `words` says what would be right."""

    def check(text: str) -> str:
        if text not in known:
            raise PydanticCustomError("unknown", words)
        return text

    return check


EventName = Annotated[
    str, AfterValidator(among(EVENTS, "there is no such event; /v1/events/schemas lists them"))
]
ENTITY_NAMES = [kind.__name__ for kind in ENTITIES]
EntityName = Annotated[
    str, AfterValidator(among(ENTITY_NAMES, f"this is one of {', '.join(ENTITY_NAMES)}"))
]

"""Everything the ledger remembers: each entity, and every event that can happen to it."""

from typing import Any, Final, get_args

from rim_ledger.core import Aggregate, Event
from rim_ledger.lending.user import User, UserEvent, UserRegistered

ENTITIES: Final[dict[type[Aggregate], Any]] = {
    User: UserRegistered | UserEvent,
}

ENTITY_OF: Final[dict[type[Event], type[Aggregate]]] = {
    event: entity for entity, events in ENTITIES.items() for event in get_args(events)
}

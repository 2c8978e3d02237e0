"""Variables of broadcasts, which are filled in for each recipient."""

from typing import Final
from uuid import UUID

from rim_ledger.engine.refusals import Invalid
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.user import User
from rim_ledger.notifications.broadcast import BroadcastMessage
from rim_ledger.notifications.sms_text import on_one_line
from rim_ledger.notifications.template_text import substitute, variables_in

VARIABLES: Final = ("name",)
SAMPLE_NAME: Final = "n" * 40
"""Placeholder for a name of usual length, to estimate SMS segments."""


def require_known(title: str, message: str) -> None:
    """Refuse (422, with the pointer) a text with a variable that cannot be filled in."""
    for field, text in (("title", title), ("message", message)):
        for found in variables_in(field, text):
            if found[1] not in VARIABLES:
                known = " and ".join(f"{{{{{name}}}}}" for name in VARIABLES)
                place = f"{{{{{found[1]}}}}} at character {found.start() + 1}"
                words = f"{place} cannot be filled in; a broadcast knows {known}."
                raise Invalid("unknown-variable", words, f"/{field}")


def is_known(broadcast: BroadcastMessage) -> bool:
    """Return whether every variable of a broadcast can be filled in."""
    try:
        require_known(broadcast.title, broadcast.message)
    except Invalid:
        return False
    return True


def sample(text: str) -> str:
    """Return a text of a broadcast at about the length that recipients get."""
    return substitute(text, dict.fromkeys(VARIABLES, SAMPLE_NAME))


def addressed(broadcast: BroadcastMessage, user: UUID, uow: UnitOfWork) -> tuple[str, str]:
    """Return title and message of a broadcast for one user."""
    name = uow.reveal(user, uow.read(User, user).name) or ""
    values = {"name": on_one_line(name)}
    return substitute(broadcast.title, values), substitute(broadcast.message, values)

"""Two people for one sum of money: who let it in does not let it out, nor confirm it alone."""

from uuid import UUID

from rim_ledger.admin.same_person import is_caller
from rim_ledger.engine.core import Forbidden
from rim_ledger.engine.unit_of_work import UnitOfWork


def require_second_person(uow: UnitOfWork, words: str, *earlier: UUID | None) -> None:
    """Raise Forbidden (`separation-of-duties`, with these words) when the caller is one of the
    admins who acted earlier; None stands for a step that no admin took.
    """
    if any(is_caller(uow, each) for each in earlier):
        raise Forbidden("separation-of-duties", words)

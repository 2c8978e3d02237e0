"""Airtime taken back by the telco: its return reference counts once, and who may report it."""

import msgspec

from rim_ledger.admin.same_person import require_second_person
from rim_ledger.engine.refusals import Refused
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.lending.airtime_float import FloatMoved, move
from rim_ledger.lending.attempt import Attempt
from rim_ledger.lending.disbursement import FAILED, provider_of
from rim_ledger.lending.loan import Loan
from rim_ledger.payments.transaction import Transaction
from rim_ledger.text import folded, folded_source


def claim_return(uow: UnitOfWork, loan: Loan, attempt: Attempt, reference: str) -> None:
    """Claim the telco's reference of this top-up's return, in any spelling.

    Raises Refused (`reference-taken`) if it is the reference of a top-up or delivery of the loan,
    or of another top-up's return.
    """
    name = folded(reference)
    others = [each for each in loan.attempts if each.reference != attempt.reference]
    known = [each.reference for each in loan.attempts]
    known += [each.telco_reference for each in loan.attempts if each.telco_reference]
    known += [each.return_reference for each in others if each.return_reference]
    words = f"The reference {reference} is not the telco's own of this return: it is taken."
    taken = Refused("reference-taken", words)
    if name in map(folded, known):
        raise taken
    claim = msgspec.json.encode([folded_source(provider_of(uow, attempt)), name])
    uow.claim("telco-return", claim.decode(), loan.id, taken)


def take_in(uow: UnitOfWork, loan: Loan, attempt: Attempt) -> None:
    """Return a top-up's airtime to the tracked float of its network, if it had left it."""
    if not attempt.earlier:
        move(uow, loan.network, FloatMoved(amount=loan.airtime, loan_id=loan.id))


def require_another_than_sender(uow: UnitOfWork, loan: Loan, attempt: Attempt, words: str) -> None:
    """Refuse who had this airtime sent, or made it a debt, unless the telco itself has reported its
    failure.

    Raises Forbidden (`separation-of-duties`, with these words).
    """
    if not _telco_said_so(uow, loan, attempt):
        require_second_person(uow, words, attempt.requested_by, attempt.taken_up_by)


def _telco_said_so(uow: UnitOfWork, loan: Loan, attempt: Attempt) -> bool:
    claim = uow.read(Transaction, attempt.transaction_id).quarantined
    if claim is None or claim.type != FAILED or claim.amount not in (None, loan.airtime):
        return False
    return attempt.integration is None or claim.provider == provider_of(uow, attempt)

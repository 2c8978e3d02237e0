"""Trying a template: whom a test message may go to, and what the log keeps of that."""

from collections.abc import Container

from rim_ledger.delivery.port import Channel
from rim_ledger.engine.refusals import Forbidden
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.vault.personal_keys import Vault

KINDS = {Channel.SMS: "phone", Channel.EMAIL: "email"}


def recipient_hash(vault: Vault, to: str) -> str:
    """A keyed hash of a recipient for the log of activities. It agrees with no other hash of the
    same phone or e-mail that the ledger keeps."""
    return vault.fingerprint("test-recipient", to.casefold())


def require_test_recipient(
    uow: UnitOfWork, channel: Channel, to: str, allowed: Container[str]
) -> None:
    """Refuse a test message to anybody but the caller, at the phone or e-mail that is recorded of
    them, and those whom the installation names (`allowed`, case-folded).

    Raises Forbidden (`not-own-contact`).
    """
    text = to.casefold()
    if text in allowed or uow.fingerprint(KINDS[channel], text) in uow.contacts:
        return
    words = "A test message goes to your own recorded phone or e-mail, or to RIM_TEST_RECIPIENTS."
    raise Forbidden("not-own-contact", words)

"""Test messages of templates: allowed recipients, and what the activity log holds."""

from collections.abc import Container

from rim_ledger.delivery.port import Channel
from rim_ledger.engine.refusals import Forbidden
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.vault.personal_keys import Vault

KINDS = {Channel.SMS: "phone", Channel.EMAIL: "email"}


def recipient_hash(vault: Vault, to: str) -> str:
    """Return a keyed hash of a recipient for the activity log. It differs from every other hash of
    the same phone or e-mail in the ledger."""
    return vault.fingerprint("test-recipient", to.casefold())


def require_test_recipient(
    uow: UnitOfWork, channel: Channel, to: str, allowed: Container[str]
) -> None:
    """Refuse a test message to anyone but the caller, at the caller's recorded phone or e-mail, or
    a recipient that the installation names (`allowed`, case-folded).

    Raises Forbidden (`not-own-contact`).
    """
    text = to.casefold()
    if text in allowed or uow.fingerprint(KINDS[channel], text) in uow.contacts:
        return
    words = "A test message goes to your own recorded phone or e-mail, or to RIM_TEST_RECIPIENTS."
    raise Forbidden("not-own-contact", words)

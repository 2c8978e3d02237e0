"""Keyed hashes of phones and e-mails, as events hold them."""

from typing import Annotated

import msgspec

Fingerprint = Annotated[str, msgspec.Meta(extra={"kept_back": True})]
"""A keyed hash of a phone or an e-mail, to claim and compare it by. It is in the log and never
shown: it would link an erased person to a new registration."""

MaybeFingerprint = Annotated[str | None, msgspec.Meta(extra={"kept_back": True})]
"""The same, where it may be left out."""


def hashes(*given: str | None) -> frozenset[str]:
    """The keyed hashes among those that an event may name."""
    return frozenset(filter(None, given))

"""Keyed hashes of phones and e-mails in events."""

from typing import Annotated

import msgspec

Fingerprint = Annotated[str, msgspec.Meta(extra={"kept_back": True})]
"""A keyed hash of a phone or an e-mail, to claim and compare it. It is in the log and never shown:
it would link an erased person to a new registration."""

MaybeFingerprint = Annotated[str | None, msgspec.Meta(extra={"kept_back": True})]
"""An optional fingerprint."""


def hashes(*given: str | None) -> frozenset[str]:
    """Return those of an event's fingerprints that are set."""
    return frozenset(filter(None, given))

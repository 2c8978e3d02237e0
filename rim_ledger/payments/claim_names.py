"""Names of the claims that payments hold."""

import msgspec

from rim_ledger.text import folded, folded_source


def reference_claim(source: str | None, reference: str) -> tuple[str, str]:
    """Return the claim of a payment's reference, as in migration 0019."""
    words = [folded_source(source), folded(reference)]
    return "payment-reference", msgspec.json.encode(words).decode()


def line_claim(name: str) -> tuple[str, str]:
    """Return the claim of a statement line, as in migration 0019."""
    return "statement-line", folded(name)

"""The names under which payments hold what only one of them may have."""

import msgspec

from rim_ledger.text import folded, folded_source


def reference_claim(source: str | None, reference: str) -> tuple[str, str]:
    """The name under which a payment holds its reference, as in migration 0019."""
    words = [folded_source(source), folded(reference)]
    return "payment-reference", msgspec.json.encode(words).decode()


def line_claim(name: str) -> tuple[str, str]:
    """The name under which a payment holds a line of a statement, as in migration 0019."""
    return "statement-line", folded(name)

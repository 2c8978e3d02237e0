"""What a decision needs that is not in memory."""

from collections.abc import Sequence
from uuid import UUID

from rim_ledger.engine.claim_index import Claim
from rim_ledger.engine.counts import Count

Secret = tuple[UUID, str]
"""The owner of a secret, and its purpose: (admin id, "password")."""


class Missing(Exception):
    """A decision read something that is not loaded. Load it and decide again."""

    def __init__(
        self,
        stream: UUID | None = None,
        claim: Claim | None = None,
        person: UUID | None = None,
        number: tuple[str, int] | None = None,
        secret: Secret | None = None,
        *,
        listing: tuple[str, int] | None = None,
        count: Count | None = None,
        outcome: tuple[str, str] | None = None,
        together: "Sequence[Missing]" = (),
    ) -> None:
        super().__init__()
        self.stream, self.claim, self.person = stream, claim, person
        self.number, self.secret, self.listing = number, secret, listing
        self.count, self.outcome = count, outcome
        self._together = together

    @property
    def each(self) -> "Sequence[Missing]":
        """Everything that is missing, one by one; without tracebacks, whose frames would keep what
        is kept in them alive."""
        return [one.with_traceback(None) for one in self._together or (self,)]

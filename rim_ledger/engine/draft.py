"""The writes of a batch: the parameters of the one statement that commits it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from rim_ledger.engine.claim_index import Claim
from rim_ledger.engine.counts import Count, columns
from rim_ledger.engine.missing import Secret
from rim_ledger.engine.unit_of_work import Reminder


class Outcome(Struct, frozen=True):
    """The stored outcome of an idempotency key: the request it came with, and its answer."""

    caller: str
    key: str
    request_hash: str
    outcome: str
    mac: bytes | None


class Draft(Struct):
    """The writes of a batch, committed as a whole."""

    head: int
    at: datetime
    streams: list[UUID] = []
    versions: list[int] = []
    names: list[str] = []
    bodies: list[str] = []
    macs: list[bytes] = []
    claims: dict[Claim, UUID | None] = {}
    keys: dict[UUID, bytes] = {}
    erased: set[UUID] = set()
    secrets: dict[Secret, str] = {}
    reminders: dict[Reminder, datetime | None] = {}
    numbers: dict[tuple[str, int], int] = {}
    counts: dict[Count, int] = {}
    outcomes: list[Outcome] = []
    activities: list[bytes] = []
    refused_requests: list[bytes] = []
    """Lines of these tables as JSON."""

    @property
    def leaves_nothing(self) -> bool:
        """Whether the batch only reads."""
        written = (self.streams, self.claims, self.keys, self.erased, self.secrets)
        logged = (self.outcomes, self.activities, self.refused_requests)
        return not any((*written, self.reminders, *logged))

    @property
    def writes_seldom(self) -> bool:
        """Whether it has writes of the kinds that few decisions have."""
        gone = (self.erased, not all(self.claims.values()), not all(self.reminders.values()))
        return any((*gone, self.secrets, self.counts, self.refused_requests))

    def parameters(self) -> dict[str, Any]:
        held = [(claim, holder) for claim, holder in self.claims.items() if holder]
        coming = [(*reminder, at) for reminder, at in self.reminders.items() if at]
        past = [reminder for reminder, at in self.reminders.items() if not at]
        free = [claim for claim, holder in self.claims.items() if not holder]
        return {
            "head": self.head,
            "at": self.at,
            "streams": self.streams,
            "versions": self.versions,
            "names": self.names,
            "bodies": self.bodies,
            "macs": self.macs,
            "kinds": [claim[0] for claim, _ in held],
            "claimed": [claim[1] for claim, _ in held],
            "holders": [holder for _, holder in held],
            "free_kinds": [kind for kind, _ in free],
            "free_names": [name for _, name in free],
            "persons": list(self.keys),
            # No statement sees its own rows: a key created and destroyed in one batch is not
            # written.
            "wrapped": [None if each in self.erased else key for each, key in self.keys.items()],
            "erased": list(self.erased),
            "owners": [owner for owner, _ in self.secrets],
            "purposes": [purpose for _, purpose in self.secrets],
            "secrets": list(self.secrets.values()),
            "what": [what for what, _, _ in coming],
            "whom": [stream for _, stream, _ in coming],
            "when": [at for _, _, at in coming],
            "past_what": [what for what, _ in past],
            "past_whom": [stream for _, stream in past],
            "prefixes": [prefix for prefix, _ in self.numbers],
            "years": [year for _, year in self.numbers],
            "lasts": list(self.numbers.values()),
            "callers": [each.caller for each in self.outcomes],
            "keys": [each.key for each in self.outcomes],
            "hashes": [each.request_hash for each in self.outcomes],
            "outcomes": [each.outcome for each in self.outcomes],
            "outcome_macs": [each.mac for each in self.outcomes],
            "activities": _array(self.activities),
            "refused_requests": _array(self.refused_requests),
            "notify": bool(self.streams),
        } | columns(self.counts)


def _array(lines: list[bytes]) -> str:
    return f"[{b','.join(lines).decode()}]"

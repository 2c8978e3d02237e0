"""What a group of decisions wants to write: the parameters of the one statement that does it."""

from datetime import datetime
from typing import Any
from uuid import UUID

from msgspec import Struct

from rim_ledger.engine.claim_index import Claim
from rim_ledger.engine.counts import Count, columns
from rim_ledger.engine.missing import Secret
from rim_ledger.engine.unit_of_work import Reminder


class Outcome(Struct, frozen=True):
    """What an idempotency key stands for: the request it came with, and how that ended."""

    caller: str
    key: str
    request_hash: str
    outcome: str
    mac: bytes | None


class Draft(Struct):
    """What a group of decisions wants to write, all of it or nothing."""

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
        """Whether the group only looked, as those do who are admitted to read."""
        written = (self.streams, self.claims, self.keys, self.erased, self.secrets)
        logged = (self.outcomes, self.activities, self.refused_requests)
        return not any((*written, self.reminders, *logged))

    @property
    def writes_seldom(self) -> bool:
        """Whether there is anything of what few decisions write."""
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
            # No statement sees its own rows: a key made and destroyed in one group is not written.
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

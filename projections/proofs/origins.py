"""Origins of a log: one after the other signs it, each with its own key.

An origin is opened by a checkpoint with more lines: `key`, its public key, and, but for the first,
`after`, the last checkpoint of the one before. A restore opens it on the restored events, signed
with both keys, so that trust passes from one to the other. Each `lost` line names a checkpoint on
events that were not restored.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, Self

from msgspec import Struct

from projections.proofs.merkle import EMPTY
from projections.proofs.signed_note import Checkpoint, Signer, VerificationError, Verifier, parsed

KEY, AFTER, LOST = "key", "after", "lost"
NONE: Final = "this checkpoint opens no origin"


class OriginOpening(Struct, frozen=True):
    """The opening of an origin."""

    note: str
    verifier: Verifier
    checkpoint: Checkpoint
    after: Checkpoint | None
    lost: Sequence[Checkpoint]

    @classmethod
    def of(cls, note: str) -> Self:
        """Parse an opening, signed with the key that it names. Raises VerificationError."""
        named: dict[str, list[Checkpoint]] = {AFTER: [], LOST: []}
        match [line.split(" ") for line in parsed(note).more]:
            case [["key", key], *others]:
                verifier = Verifier.of(key)
            case _:
                raise VerificationError(NONE)
        for other in others:
            match other:
                case ["after" | "lost" as how, origin, size, root]:
                    named[how].append(Checkpoint.of(origin, size, root))
                case ["number" | "day" | "activity", *_]:
                    pass  # A line that every checkpoint has.
                case _:
                    raise VerificationError(NONE)
        after = named[AFTER][0] if named[AFTER] else None
        if len(named[AFTER]) > 1 or (not after and named[LOST]):
            raise VerificationError(NONE)
        return cls(note, verifier, verifier.open(note), after, named[LOST])

    def __str__(self) -> str:
        position = f"position {self.checkpoint.size}"
        if not self.after:
            return f"{self.verifier.origin} begins at {position}"
        losses = "".join(
            f"; lost: the later events that {each.origin} signed, up to position {each.size}"
            for each in self.lost
            if (each.size, each.root) != (self.checkpoint.size, self.checkpoint.root)
        )
        return f"{self.verifier.origin} goes on from {self.after.origin} at {position}{losses}"


def open_first(signer: Signer, *more: str) -> str:
    """The note that opens the first origin of a log, with more lines."""
    return signer.sign(0, EMPTY, f"{KEY} {signer.key}", *more)


def open_next(
    signer: Signer,
    before: Signer,
    tree: tuple[int, bytes],
    after: Checkpoint,
    lost: Iterable[Checkpoint],
    *,
    more: Iterable[str] = (),
) -> str:
    """The note that opens the next origin on a tree's size and root, with more lines."""
    named = [(AFTER, after), *((LOST, each) for each in lost)]
    lines = [" ".join([how, *each.lines[:3]]) for how, each in named]
    return signer.sign(*tree, f"{KEY} {signer.key}", *lines, *more, also=[before])


class Origins:
    """The origins of one log in order; each is signed by the one before."""

    def __init__(self, notes: Iterable[str]) -> None:
        """Verify the opening notes. Raises VerificationError."""
        self.openings = [OriginOpening.of(note) for note in notes]
        for first in self.openings[:1]:
            if (first.after, first.checkpoint.size, first.checkpoint.root) != (None, 0, EMPTY):
                raise VerificationError(
                    f"{first.verifier.origin} is not the first origin of the log"
                )
        for before, opening in pairwise(self.openings):
            before.verifier.require_signed(opening.note)
            after, name = opening.after, opening.verifier.origin
            if after is None or after.origin != before.verifier.origin:
                raise VerificationError(f"{name} does not go on from {before.verifier.origin}")
            if not before.checkpoint.size <= after.size <= opening.checkpoint.size:
                raise VerificationError(f"{name} names a checkpoint that was not before it")

    @property
    def last(self) -> OriginOpening | None:
        """The opening of the current origin."""
        return self.openings[-1] if self.openings else None

    @property
    def claims(self) -> list[Checkpoint]:
        """The checkpoints in the openings, on events of the log."""
        both = ((each.after, each.checkpoint) for each in self.openings)
        return [claim for pair in both for claim in pair if claim and claim.size]

    def open(self, note: str) -> Checkpoint:
        """Verify a checkpoint on events of the log by the right origin. Raises
        VerificationError."""
        claim = parsed(note)
        for each in self.openings:
            if each.verifier.origin == claim.origin:
                each.verifier.open(note)
                if not self.has(claim):
                    raise VerificationError(f"{claim.origin} had ended before {claim.size} events")
                return claim
        raise VerificationError(
            f"the checkpoint is one of {claim.origin[:80]!r}, which is none of the log's"
        )

    def knows(self, claim: Checkpoint) -> bool:
        """True if the checkpoint is of an origin of this log."""
        return any(each.verifier.origin == claim.origin for each in self.openings)

    def has(self, claim: Checkpoint) -> bool:
        """True if the checkpoint's events should be in the log."""
        following = self._following(claim)
        return self.knows(claim) and (not following or claim.size <= following.size)

    def holds(self, claim: Checkpoint) -> bool:
        """True if the checkpoint itself should be in the store, with all its lines."""
        following = self._following(claim)
        return self.has(claim) and (
            not following or (claim.number or 0) < (following.number or claim.number or 1)
        )

    def _following(self, claim: Checkpoint) -> Checkpoint | None:
        """The checkpoint that ended this one's origin, if it has ended."""
        for opening, following in pairwise(self.openings):
            if opening.verifier.origin == claim.origin:
                return following.checkpoint
        return None

    def lost(self, claim: Checkpoint) -> bool:
        """True if a restore recorded the checkpoint's events as lost."""
        named = (each for opening in self.openings for each in opening.lost)
        return any(each.origin == claim.origin and claim.size <= each.size for each in named)

    def strangers(self, others: Iterable[OriginOpening]) -> list[OriginOpening]:
        """The openings that do not descend from an origin of this log. Raises VerificationError
        where one claims to against the other's record."""
        family = {each.verifier.origin: each.verifier for each in self.openings}
        left = [each for each in others if each.verifier.origin not in family]

        def before(each: OriginOpening) -> Verifier | None:
            return family.get(each.after.origin) if each.after else None

        while found := [(each, signer) for each in left if (signer := before(each))]:
            for each, signer in found:
                signer.require_signed(each.note)
                family[each.verifier.origin] = each.verifier
            left = [each for each in left if each.verifier.origin not in family]
        return left

    def require_signed(self, note: str) -> None:
        """Raise VerificationError unless a note is of an origin of this log, and signed by it."""
        name = note.partition("\n")[0]
        for each in self.openings:
            if each.verifier.origin == name:
                each.verifier.require_signed(note)
                return
        raise VerificationError(f"it is signed by {name[:80]!r}, which is no origin of this log")

    def require(self, verifier: Verifier) -> None:
        """Raise VerificationError unless the key is of this log."""
        if all(each.verifier.key != verifier.key for each in self.openings):
            raise VerificationError(f"{verifier.origin} is no origin of this log")

"""Checkpoints as signed notes: c2sp.org/signed-note and c2sp.org/tlog-checkpoint, with Ed25519."""

from base64 import b64decode, b64encode
from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

from rim_ledger.operator_error import OperatorError

ED25519: Final = b"\x01"
MARK: Final = "\N{EM DASH} "
NONE: Final = "this is no checkpoint"


class VerificationError(OperatorError):
    """The note is no valid checkpoint of this log."""


class SealedActivity(Struct, frozen=True):
    """A checkpoint's part on the activity log: number of lines, their root, and the line after
    which all carry MACs."""

    size: int
    root: bytes
    since: int

    def __str__(self) -> str:
        return f"activity {self.size} {b64encode(self.root).decode()} {self.since}"


class Checkpoint(Struct, frozen=True):
    """A note's content: the first `size` events of a log have this root."""

    origin: str
    size: int
    root: bytes
    more: tuple[str, ...] = ()
    """The extension lines."""

    @classmethod
    def of(cls, origin: str, size: str, root: str, *more: str) -> Self:
        """Parse a note's lines. Raises VerificationError."""
        try:
            return cls(origin, int(size), b64decode(root, validate=True), more)
        except ValueError:  # binascii.Error is a ValueError.
            raise VerificationError(NONE) from None

    @property
    def number(self) -> int | None:
        """The checkpoint's number in its log, from 1; None in those of early versions. Raises
        VerificationError."""
        said = self._said("number", 1)
        return _number(said[0]) if said else None

    @property
    def day(self) -> tuple[str, int] | None:
        """The day of signing (2026-01-31, UTC), and the number of the last checkpoint before that
        day, or 0; None without a number. Raises VerificationError."""
        said = self._said("day", 2)
        return (said[0], _number(said[1])) if said else None

    @property
    def activity(self) -> SealedActivity | None:
        """Its part on the activity log, if any. Raises VerificationError."""
        if (said := self._said("activity", 3)) is None:
            return None
        try:
            root = b64decode(said[1], validate=True)
        except ValueError:
            raise VerificationError(NONE) from None
        return SealedActivity(_number(said[0]), root, _number(said[2]))

    def _said(self, name: str, count: int) -> list[str] | None:
        """The words after the first in the extension line that begins with `name`."""
        for line in self.more:
            first, *words = line.split(" ")
            if first == name:
                if len(words) != count:
                    raise VerificationError(NONE)
                return words
        return None

    @property
    def lines(self) -> tuple[str, ...]:
        return self.origin, str(self.size), b64encode(self.root).decode(), *self.more


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise VerificationError(NONE)
    return int(text)


def numbered(before: Checkpoint | None, number: int, now: datetime) -> list[str]:
    """The lines with a checkpoint's number and day, after the previous one. A clock set back begins
    no older day."""
    last = before.day if before else None
    day = max(f"{now:%Y-%m-%d}", last[0] if last else "")
    earlier = 0
    if before and last:
        earlier = last[1] if last[0] == day else before.number or 0
    return [f"number {number}", f"day {day} {earlier}"]


def parsed(note: str) -> Checkpoint:
    """Parse a note, without checking its signature. Raises VerificationError."""
    match text_of(note).split("\n"):
        case [origin, size, root, *more] if all(more):
            return Checkpoint.of(origin, size, root, *more)
    raise VerificationError(NONE)


def text_of(note: str) -> str:
    """The signed lines of a note."""
    return note.rpartition("\n\n")[0]


class Verifier:
    """A log's public key, which verifies its notes.

    The log's name is derived from the key, so no two logs share one.
    """

    def __init__(self, public: Ed25519PublicKey) -> None:
        self._public, raw = public, public.public_bytes_raw()
        self.origin = f"rim-ledger/{sha256(raw).hexdigest()[:16]}"
        self.id = sha256(self.origin.encode() + b"\n" + ED25519 + raw).digest()[:4]
        self.key = f"{self.origin}+{self.id.hex()}+{b64encode(ED25519 + raw).decode()}"

    @classmethod
    def of(cls, key: str) -> Self:
        """Parse a key: name, hash and key, joined by +."""
        try:
            raw = b64decode(key.strip().split("+", 2)[2], validate=True)
            verifier = cls(Ed25519PublicKey.from_public_bytes(raw.removeprefix(ED25519)))
        except (IndexError, ValueError):
            raise VerificationError("this is no verifier key of a log") from None
        if verifier.key != key.strip():
            raise VerificationError("the parts of the verifier key do not fit together")
        return verifier

    def open(self, note: str) -> Checkpoint:
        """The checkpoint of a note signed by this log. Raises VerificationError."""
        if (checkpoint := parsed(note)).origin != self.origin:
            words = f"the checkpoint is one of {checkpoint.origin[:80]!r}, not of {self.origin}"
            raise VerificationError(words)
        self.require_signed(note)
        return checkpoint

    def require_signed(self, note: str) -> None:
        """Raise VerificationError unless this key is among the note's signers."""
        text, _, signatures = note.rpartition("\n\n")
        found = False
        try:
            for line in signatures.removesuffix("\n").split("\n"):
                name, signature = line.removeprefix(MARK).split(" ")
                signed = b64decode(signature, validate=True)
                if (name, signed[:4]) == (self.origin, self.id):
                    self._public.verify(signed[4:], f"{text}\n".encode())
                    found = True
        except ValueError:
            raise VerificationError(NONE) from None
        except InvalidSignature:
            raise VerificationError("the signature of the checkpoint is wrong") from None
        if not found:
            raise VerificationError(f"the checkpoint is not signed by {self.origin}")


class Signer(Verifier):
    """A log's private key."""

    def __init__(self, secret: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(secret)
        super().__init__(self._private.public_key())

    def sign(self, size: int, root: bytes, *more: str, also: Iterable[Self] = ()) -> str:
        """Sign a checkpoint of this log, together with the signers `also`."""
        return self.attest(*Checkpoint(self.origin, size, root, more).lines, also=also)

    def attest(self, *lines: str, also: Iterable[Self] = ()) -> str:
        """Sign a note of these lines, together with the signers `also`."""
        text = "\n".join([*lines, ""])
        return "\n".join([text, *(each._signature(text) for each in (self, *also)), ""])

    def _signature(self, text: str) -> str:
        signature = b64encode(self.id + self._private.sign(text.encode())).decode()
        return f"{MARK}{self.origin} {signature}"

"""Checkpoints as signed notes: c2sp.org/signed-note and c2sp.org/tlog-checkpoint, with Ed25519."""

from base64 import b64decode, b64encode
from collections.abc import Iterable
from hashlib import sha256
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

ED25519: Final = b"\x01"
MARK: Final = "\N{EM DASH} "
NONE: Final = "this is no checkpoint"


class Untrue(Exception):
    """What claims to be a checkpoint is none of this log."""


class Checkpoint(Struct, frozen=True):
    """What a note says: the first `size` events of a log have this root."""

    origin: str
    size: int
    root: bytes
    more: tuple[str, ...] = ()
    """The lines that follow: extension lines of the checkpoint."""

    @classmethod
    def of(cls, origin: str, size: str, root: str, *more: str) -> Self:
        """What the lines of a note say. Raises Untrue."""
        try:
            return cls(origin, int(size), b64decode(root, validate=True), more)
        except ValueError:  # A binascii.Error is one.
            raise Untrue(NONE) from None

    @property
    def lines(self) -> tuple[str, ...]:
        return self.origin, str(self.size), b64encode(self.root).decode(), *self.more


def said(note: str) -> Checkpoint:
    """What a note says, whoever signed it. Raises Untrue."""
    text, _, _ = note.rpartition("\n\n")
    match text.split("\n"):
        case [origin, size, root, *more] if all(more):
            return Checkpoint.of(origin, size, root, *more)
    raise Untrue(NONE)


class Verifier:
    """Knows a log by its public key: opens the notes that were signed with the private one.

    The name of the log follows from the key, so that no two logs share one.
    """

    def __init__(self, public: Ed25519PublicKey) -> None:
        self._public, raw = public, public.public_bytes_raw()
        self.origin = f"rim-ledger/{sha256(raw).hexdigest()[:16]}"
        self.id = sha256(self.origin.encode() + b"\n" + ED25519 + raw).digest()[:4]
        self.key = f"{self.origin}+{self.id.hex()}+{b64encode(ED25519 + raw).decode()}"

    @classmethod
    def of(cls, key: str) -> Self:
        """The verifier of a key as text: name, hash and key, parted by +."""
        try:
            raw = b64decode(key.strip().split("+", 2)[2], validate=True)
            verifier = cls(Ed25519PublicKey.from_public_bytes(raw.removeprefix(ED25519)))
        except (IndexError, ValueError):
            raise Untrue("this is no verifier key of a log") from None
        if verifier.key != key.strip():
            raise Untrue("the parts of the verifier key do not fit together")
        return verifier

    def open(self, note: str) -> Checkpoint:
        """What the note says, if it is one of this log, which signed it. Raises Untrue."""
        if (checkpoint := said(note)).origin != self.origin:
            words = f"the checkpoint is one of {checkpoint.origin[:80]!r}, not of {self.origin}"
            raise Untrue(words)
        self.require_signed(note)
        return checkpoint

    def require_signed(self, note: str) -> None:
        """Raise Untrue unless this key signed the note, whatever others did so too."""
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
            raise Untrue(NONE) from None
        except InvalidSignature:
            raise Untrue("the signature of the checkpoint is wrong") from None
        if not found:
            raise Untrue(f"the checkpoint is not signed by {self.origin}")


class Signer(Verifier):
    """A log that can sign."""

    def __init__(self, secret: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(secret)
        super().__init__(self._private.public_key())

    def sign(self, size: int, root: bytes, *more: str, also: Iterable[Self] = ()) -> str:
        """The note on a checkpoint of this log, which others may sign too."""
        text = "\n".join([*Checkpoint(self.origin, size, root, more).lines, ""])
        return "\n".join([text, *(each._signature(text) for each in (self, *also)), ""])

    def _signature(self, text: str) -> str:
        signature = b64encode(self.id + self._private.sign(text.encode())).decode()
        return f"{MARK}{self.origin} {signature}"

"""Checkpoints as signed notes: c2sp.org/signed-note and c2sp.org/tlog-checkpoint, with Ed25519."""

import binascii
from base64 import b64decode, b64encode
from hashlib import sha256
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Struct

ED25519: Final = b"\x01"
MARK: Final = "\N{EM DASH} "


class Untrue(Exception):
    """What claims to be a checkpoint is none of this log."""


class Checkpoint(Struct, frozen=True):
    """What a note says: the first `size` events have this root."""

    size: int
    root: bytes


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
        except (IndexError, ValueError, binascii.Error):
            raise Untrue("this is no verifier key of a log") from None
        if verifier.key != key.strip():
            raise Untrue("the parts of the verifier key do not fit together")
        return verifier

    def open(self, note: str) -> Checkpoint:
        """What the note says, if this log signed it. Raises Untrue."""
        text, _, signatures = note.partition("\n\n")
        try:
            origin, size, root = text.split("\n")
            name, signature = signatures.removeprefix(MARK).rstrip("\n").split(" ")
            signed = b64decode(signature, validate=True)
            if (origin, name, signed[:4]) != (self.origin, self.origin, self.id):
                raise Untrue(f"the checkpoint is one of {origin[:80]!r}, not of {self.origin}")
            self._public.verify(signed[4:], f"{text}\n".encode())
            return Checkpoint(int(size), b64decode(root, validate=True))
        except (ValueError, binascii.Error):
            raise Untrue("this is no checkpoint") from None
        except InvalidSignature:
            raise Untrue("the signature of the checkpoint is wrong") from None


class Signer(Verifier):
    """A log that can sign."""

    def __init__(self, secret: bytes) -> None:
        self._private = Ed25519PrivateKey.from_private_bytes(secret)
        super().__init__(self._private.public_key())

    def sign(self, checkpoint: Checkpoint) -> str:
        """The note on a checkpoint."""
        root = b64encode(checkpoint.root).decode()
        text = f"{self.origin}\n{checkpoint.size}\n{root}\n"
        signature = b64encode(self.id + self._private.sign(text.encode())).decode()
        return f"{text}\n{MARK}{self.origin} {signature}\n"

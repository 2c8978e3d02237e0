"""Standard Webhooks: an HMAC over id, time and body authenticates a message."""

import binascii
import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from datetime import datetime
from typing import Final

from msgspec import Struct

PREFIX: Final = "whsec_"
TOLERANCE_SECONDS: Final = 300
"""How much older or newer than now a message may be."""

ID: Final = re.compile(r"[!-~]{1,255}")
TIME: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


class SignedMessage(Struct, frozen=True):
    """The three headers and the body, as received."""

    id: str
    timestamp: str
    signatures: str
    body: bytes

    def is_signed(self, secret: str, now: datetime) -> bool:
        """Return whether this was signed with the secret, within five minutes of now."""
        if not (ID.fullmatch(self.id) and TIME.fullmatch(self.timestamp)):
            return False
        wanted = sign(secret, self.id, self.timestamp, self.body).encode()
        given = [each.encode() for each in self.signatures.split(" ")]
        known = [hmac.compare_digest(each, wanted) for each in given]
        return any(known) and abs(now.timestamp() - int(self.timestamp)) <= TOLERANCE_SECONDS


def sign(secret: str, id: str, timestamp: str, body: bytes) -> str:
    """Return the signature of a message, as in the header `webhook-signature`."""
    words = f"{id}.{timestamp}.".encode() + body
    digest = hmac.new(signing_key(secret), words, hashlib.sha256).digest()
    return f"v1,{b64encode(digest).decode()}"


def signing_key(secret: str) -> bytes:
    """Return the signing key: after the prefix `whsec_` it is base64, any other secret is used as
    it is.

    Raises ValueError if what follows the prefix is not base64.
    """
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        return b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"what follows {PREFIX} is not base64") from None

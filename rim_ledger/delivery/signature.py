"""Standard Webhooks: an HMAC over its id, its time and its body tells who sent a message."""

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
"""A message may be so much older or newer than now."""

ID: Final = re.compile(r"[!-~]{1,255}")
TIME: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


class SignedMessage(Struct, frozen=True):
    """What came: the three headers as they are, and the body to the byte."""

    id: str
    timestamp: str
    signatures: str
    body: bytes

    def is_signed(self, secret: str, now: datetime) -> bool:
        """Whether somebody who knows the secret sent this, within five minutes of now."""
        if not (ID.fullmatch(self.id) and TIME.fullmatch(self.timestamp)):
            return False
        wanted = sign(secret, self.id, self.timestamp, self.body).encode()
        given = [each.encode() for each in self.signatures.split(" ")]
        known = [hmac.compare_digest(each, wanted) for each in given]
        return any(known) and abs(now.timestamp() - int(self.timestamp)) <= TOLERANCE_SECONDS


def sign(secret: str, id: str, timestamp: str, body: bytes) -> str:
    """The signature of a message, as the header `webhook-signature` has it."""
    words = f"{id}.{timestamp}.".encode() + body
    digest = hmac.new(signing_key(secret), words, hashlib.sha256).digest()
    return f"v1,{b64encode(digest).decode()}"


def signing_key(secret: str) -> bytes:
    """The bytes to sign with: what follows `whsec_` is base64, any other secret is taken as it is.

    Raises ValueError when there is no base64 after the prefix.
    """
    if not secret.startswith(PREFIX):
        return secret.encode()
    try:
        return b64decode(secret.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"what follows {PREFIX} is not base64") from None

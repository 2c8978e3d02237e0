"""Random tokens, of which the ledger stores only the hashes."""

import hashlib
from base64 import urlsafe_b64encode
from typing import Final

from rim_ledger.engine.environment import Environment

TOKEN: Final = 32
"""Bytes of a token: 256 bits."""


def token_hash(token: str) -> str:
    """Return the hash under which the ledger stores a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token(environment: Environment) -> str:
    """Return a random token, base64url."""
    return urlsafe_b64encode(environment.random(TOKEN)).decode().rstrip("=")

"""Tokens that nobody can guess; the ledger knows each by its hash only."""

import hashlib
from base64 import urlsafe_b64encode
from typing import Final

from rim_ledger.engine.environment import Environment

TOKEN: Final = 32
"""Bytes of a token: 256 bits."""


def token_hash(token: str) -> str:
    """What the ledger knows a token by."""
    return hashlib.sha256(token.encode()).hexdigest()


def new_token(environment: Environment) -> str:
    """A token that nobody can guess."""
    return urlsafe_b64encode(environment.random(TOKEN)).decode().rstrip("=")

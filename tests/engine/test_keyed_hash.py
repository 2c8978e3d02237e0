"""The keyed hash is HMAC-SHA-256, to the byte."""

import hmac

from hypothesis import given
from hypothesis import strategies as st

from rim_ledger.engine.event_mac import BLOCK, KeyedHash


@given(st.binary(max_size=BLOCK), st.binary(max_size=300))
def test_it_is_what_the_standard_library_says(key: bytes, message: bytes) -> None:
    assert KeyedHash(key).digest(message) == hmac.digest(key, message, "sha256")

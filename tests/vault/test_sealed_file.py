"""Files under a person's key: the same again, and nothing else under any change."""

import asyncio
import io
from collections.abc import AsyncIterator, Callable

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from rim_ledger.vault.sealed_file import PIECE, PREFIX, TAG, open_file, seal_file
from tests.spec import TestWorld

KEY, OTHER = AESGCM(b"k" * 32), AESGCM(b"o" * 32)
WHOLE = PIECE + TAG


def sealed(content: bytes, place: bytes = b"place") -> bytes:
    return b"".join(seal_file(io.BytesIO(content), KEY, place, TestWorld()))


async def again(
    stored: bytes, *, key: AESGCM = KEY, place: bytes = b"place", parts: int = 1000
) -> bytes:
    async def arriving() -> AsyncIterator[bytes]:
        for start in range(0, len(stored), parts):
            yield stored[start : start + parts]

    async def read() -> bytes:
        return b"".join([part async for part in open_file(arriving(), key, place)])

    return await read()


@pytest.mark.parametrize("size", [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 5])
@pytest.mark.parametrize("parts", [7, 70_000, 10_000_000])
async def test_a_file_comes_back_in_whatever_parts_it_arrives(size: int, parts: int) -> None:
    content = bytes(n % 251 for n in range(size))
    stored = sealed(content)
    assert await again(stored, parts=max(parts, size // 200)) == content
    assert len(stored) == PREFIX + size + TAG * max(1, -(-size // PIECE))


CONTENT = b"a" * PIECE + b"b" * PIECE + b"c" * 10
FIRST, SECOND = slice(PREFIX, PREFIX + WHOLE), slice(PREFIX + WHOLE, PREFIX + 2 * WHOLE)


@pytest.mark.parametrize(
    "change",
    [
        lambda stored: b"",
        lambda stored: stored[:PREFIX],
        lambda stored: stored[:-1],
        lambda stored: stored[: PREFIX + WHOLE],
        lambda stored: stored[: PREFIX + 2 * WHOLE],
        lambda stored: stored[:PREFIX] + stored[SECOND] + stored[FIRST] + stored[SECOND.stop :],
        lambda stored: stored[: FIRST.stop] + stored[FIRST.start :],
        lambda stored: stored + b"x",
        lambda stored: b"x" + stored[1:],
    ],
)
async def test_a_file_that_was_cut_swapped_or_lengthened_is_not_opened(
    change: Callable[[bytes], bytes],
) -> None:
    with pytest.raises(InvalidTag):
        await again(change(sealed(CONTENT)))


@given(place=st.integers(0, PREFIX + TAG + 9), mask=st.integers(1, 255))
def test_no_byte_of_a_file_can_be_changed(place: int, mask: int) -> None:
    stored = bytearray(sealed(b"ten bytes."))
    stored[place] ^= mask
    with pytest.raises(InvalidTag):
        asyncio.run(again(bytes(stored)))


async def test_a_file_opens_under_its_own_key_and_in_its_own_place_only() -> None:
    stored = sealed(CONTENT)
    for key, place in ((OTHER, b"place"), (KEY, b"elsewhere")):
        with pytest.raises(InvalidTag):
            await again(stored, key=key, place=place)

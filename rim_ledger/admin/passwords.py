"""Passwords: which are good enough, and how they are hashed and verified (argon2id)."""

import asyncio
import unicodedata
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, ClassVar, Final, Self
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, WithJsonSchema
from pydantic_core import PydanticCustomError

from rim_ledger.book import Book
from rim_ledger.core import Form, Invalid

LEAST: Final = 12
MOST: Final = 128
LEAST_WITHOUT_NAMES: Final = 8
"""Characters that must remain when the account's own names are taken out."""

_FIRST_TRIED: Final = """
111111111111 000000000000 aaaaaaaaaaaa 123123123123 112233445566 123456789012 1234567890123
12345678901234 1234567890123456 0123456789012 1q2w3e4r5t6y 1qaz2wsx3edc 1qaz2wsx3edc4rfv
abcdefghijkl abcdefghijklm abcdefg12345 abcd12345678 abcdef123456 password1234 password12345
password123456 passwordpassword password@123 password@1234 p@ssw0rd1234 p@ssword1234
qwertyuiop12 qwertyuiop123 qwerty123456 qwertyqwerty qwertyuiopas qwertyuiopasdfgh
asdfghjkl123 asdfghjklqwe iloveyou1234 iloveyouforever letmeinletmein letmein12345
welcome12345 welcome123456 welcometonigeria administrator administrator1 admin1234567
admin12345678 adminadminadmin superadmin123 changeme1234 changemechangeme changemeplease
footballfootball princess1234 sunshine1234 trustno1trustno1 nigeria12345 naijanaija12
"""
COMMON: Final = frozenset(_FIRST_TRIED.split())
"""Passwords of twelve characters and more that are guessed first."""

# OWASP's minimum: 19 MiB, two passes, one lane.
_argon2id = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_one_at_a_time = ThreadPoolExecutor(max_workers=1, thread_name_prefix="passwords")

NOBODYS: Final = f"$argon2id$v=19$m=19456,t=2,p=1${'A' * 22}${'A' * 43}"
"""A hash that no password has, for a verification that must only take its time."""


async def hash_password(password: SecretStr) -> str:
    """The argon2id hash, salted; about 50 ms in a thread of its own, one at a time a process."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_one_at_a_time, _argon2id.hash, _normal(password))


async def verify(known: str | None, password: SecretStr) -> bool:
    """Whether the password has this hash. As slow when there is no hash to compare with."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_one_at_a_time, _matches, known or NOBODYS, password)


def _matches(known: str, password: SecretStr) -> bool:
    try:
        return _argon2id.verify(known, _normal(password))
    except VerifyMismatchError:
        return False


def _normal(password: SecretStr) -> str:
    """One spelling of the same characters, however the keyboard composed them."""
    return unicodedata.normalize("NFKC", password.get_secret_value())


def _strong(password: SecretStr) -> SecretStr:
    text = _normal(password)
    if not LEAST <= len(text) <= MOST:
        raise PydanticCustomError("length", f"a password has {LEAST} to {MOST} characters")
    if text.casefold() in COMMON:
        raise PydanticCustomError("common", "this password is among the first to be tried")
    return password


Password = Annotated[
    SecretStr,
    AfterValidator(_strong),
    WithJsonSchema(
        {
            "type": "string",
            "format": "password",
            "writeOnly": True,
            "minLength": LEAST,
            "maxLength": MOST,
        }
    ),
]

TriedPassword = Annotated[SecretStr, Field(max_length=1024)]
"""What somebody claims to be their password."""


class WithPassword(Form):
    """A form with a new password. Whoever submits it awaits `hashed()` first, because hashing
    is too slow for a decision; the ledger keeps the hash, and no event has either."""

    FIELD: ClassVar[str] = "/password"

    password: Password
    _hash: str = PrivateAttr(default="")

    async def hashed(self) -> Self:
        """The same form, with the hash of its password beside it."""
        ready = self.model_copy()
        ready._hash = await hash_password(self.password)
        return ready

    def keep_password(self, book: Book, owner: UUID, own_names: Iterable[str]) -> None:
        """Keep the hash, or refuse a password that is little more than the owner's names."""
        assert self._hash, "the password is hashed before the decision"
        rest = _normal(self.password).casefold()
        for name in sorted(own_names, key=len, reverse=True):
            rest = rest.replace(name.casefold(), "")
        if len(rest) < LEAST_WITHOUT_NAMES:
            raise Invalid(
                "weak-password", "The password is little more than the account's names.", self.FIELD
            )
        book.keep_secret(owner, "password", self._hash)

"""Passwords: strength rules, and hashing and verifying with argon2id."""

import asyncio
import unicodedata
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib.resources import files
from typing import Annotated, ClassVar, Final, Self
from uuid import UUID

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError
from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, WithJsonSchema
from zxcvbn import zxcvbn

from rim_ledger.admin.security_settings import (
    DEFAULTS,
    PASSWORD_LEAST,
    PASSWORD_MOST,
    SecuritySettings,
    current,
)
from rim_ledger.admin.session import claim_token
from rim_ledger.delivery.port import Channel
from rim_ledger.delivery.providers import Sender
from rim_ledger.engine.command import Form
from rim_ledger.engine.refusals import Invalid
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.text import fits

LEAST_WITHOUT_NAMES: Final = 8
"""Characters that must remain when the account's own names are removed."""

UNGUESSABLE: Final = 2
"""The zxcvbn score that a password needs: 10^6 guesses or more."""
SERVICE: Final = ("rim", "ledger", "rimledger", "airtime")
"""Words of the service itself, which are guessed first (NIST SP 800-63B, 3.1.1.2)."""
JUDGED: Final = 40
"""Characters of a password that are scored; a longer prefix would be strong enough anyway."""

# OWASP's minimum: 19 MiB, two passes, one lane.
_argon2id = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_one_at_a_time = ThreadPoolExecutor(max_workers=1, thread_name_prefix="passwords")

DUMMY_HASH: Final = f"$argon2id$v=19$m=19456,t=2,p=1${'A' * 22}${'A' * 43}"
"""A hash that matches no password, so that a failing verification takes the usual time."""


async def hash_password(password: SecretStr) -> str:
    """Return the salted argon2id hash; about 50 ms in a thread, one at a time per process."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_one_at_a_time, _argon2id.hash, _normal(password))


async def verify(known: str | None, password: SecretStr) -> bool:
    """Return whether the password has this hash. Equally slow without a hash."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_one_at_a_time, _matches, known or DUMMY_HASH, password)


def _matches(known: str, password: SecretStr) -> bool:
    try:
        return _argon2id.verify(known, _normal(password))
    except VerifyMismatchError:
        return False


def _normal(password: SecretStr) -> str:
    """Return the NFKC form, which is the same however the keyboard composed the characters."""
    return unicodedata.normalize("NFKC", password.get_secret_value())


@cache
def common() -> frozenset[str]:
    """Return the most common passwords, in lower case."""
    return frozenset(files("rim_ledger.admin").joinpath("common_passwords.txt").read_text().split())


def _has(least: int) -> AfterValidator:
    words = f"a password has {least} to {PASSWORD_MOST} characters"
    return fits(lambda given: least <= len(_normal(given)) <= PASSWORD_MOST, "length", words)


Password = Annotated[
    SecretStr,
    _has(PASSWORD_LEAST),
    fits(
        lambda given: _normal(given).casefold() not in common(),
        "common",
        "this password is among the first to be tried",
    ),
    WithJsonSchema(
        {
            "type": "string",
            "format": "password",
            "writeOnly": True,
            "minLength": PASSWORD_LEAST,
            "maxLength": PASSWORD_MOST,
        }
    ),
]
"""Checks what no setting allows; the decision checks the settings."""

FirstPassword = Annotated[Password, _has(DEFAULTS.password_min_length)]
"""The password of the first admin, checked against the default settings."""

TriedPassword = Annotated[SecretStr, Field(max_length=1024)]
"""A password to verify."""


def missing_in(text: str, settings: SecuritySettings) -> list[str]:
    """Return, in words, what a password lacks of what the settings require."""
    least = settings.password_min_length
    rules = [
        (len(text) >= least, True, f"{least} to {PASSWORD_MOST} characters"),
        (any(c.isupper() for c in text), settings.password_require_uppercase, "a capital letter"),
        (any(c.islower() for c in text), settings.password_require_lowercase, "a small letter"),
        (any(c.isdecimal() for c in text), settings.password_require_numbers, "a digit"),
        (
            not all(c.isalnum() for c in text),
            settings.password_require_special_chars,
            "a character that is neither letter nor digit",
        ),
    ]
    return [words for met, asked, words in rules if asked and not met]


class WithPassword(Form):
    """A form with a new password. The caller awaits `hashed()` first, because hashing is too slow
    for a decision; the ledger stores the hash, and no event holds either.

    Without a password, a token to choose one is sent to its owner; `promised()` is called first.
    """

    FIELD: ClassVar[str] = "/password"

    password: Password | None = None
    _hash: str = PrivateAttr(default="")
    _promise: tuple[str, Sender] | None = PrivateAttr(default=None)
    """A token to send once its hash is committed, and its sender."""

    async def hashed(self) -> Self:
        """Return a copy of the form with the hash of its password. Raises Invalid (`weak-password`)
        for a password that is easily guessed."""
        assert self.password, "there is a password to hash"
        text, loop = _normal(self.password)[:JUDGED], asyncio.get_running_loop()
        # About 50 ms in a thread, as for the hash.
        judged = await loop.run_in_executor(_one_at_a_time, zxcvbn, text, SERVICE)
        if judged["score"] < UNGUESSABLE:
            words = "The password repeats or counts on, or is one that is soon guessed."
            raise Invalid("weak-password", words, self.FIELD)
        return self.prepared(_hash=await hash_password(self.password))

    def promised(self, token: str, sender: Sender) -> Self:
        """Return a copy of the form with the token to be sent."""
        return self.prepared(_promise=(token, sender))

    @property
    def promise(self) -> str:
        """The token to send after the decision; empty without one."""
        return self._promise[0] if self._promise else ""

    def claim_token(self, uow: UnitOfWork, owner: UUID) -> str:
        """Claim the token's hash for its owner, and return it. Refused if it cannot be sent."""
        assert self._promise, "the token is made up before the decision"
        token, sender = self._promise
        sender.require(Channel.EMAIL, uow)
        return claim_token(uow, token, owner)

    def keep_password(self, uow: UnitOfWork, owner: UUID, own_names: Iterable[str]) -> None:
        """Store the hash. Raises Invalid (`weak-password`) if the settings do not allow the
        password, or it is little more than the owner's names."""
        assert self.password, "there is a password to keep"
        assert self._hash, "the password is hashed before the decision"
        text = _normal(self.password)
        if lacking := missing_in(text, current(uow)):
            words = f"The password needs {' and '.join(lacking)}."
            raise Invalid("weak-password", words, self.FIELD)
        rest = text.casefold()
        for name in sorted(own_names, key=len, reverse=True):
            rest = rest.replace(name.casefold(), "")
        if len(rest) < LEAST_WITHOUT_NAMES or rest in common():
            raise Invalid(
                "weak-password", "The password is little more than the account's names.", self.FIELD
            )
        uow.keep_secret(owner, "password", self._hash)

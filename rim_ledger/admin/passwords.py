"""Passwords: which are good enough, and how they are hashed and verified (argon2id)."""

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
from msgspec import Struct
from pydantic import AfterValidator, Field, PrivateAttr, SecretStr, WithJsonSchema
from pydantic_core import PydanticCustomError
from zxcvbn import zxcvbn

from rim_ledger.admin.security_settings import (
    DEFAULTS,
    PASSWORD_LEAST,
    PASSWORD_MOST,
    SecuritySettings,
    current,
)
from rim_ledger.admin.tokens import token_hash
from rim_ledger.delivery.port import Channel
from rim_ledger.delivery.sender import Sender
from rim_ledger.engine.command import Form
from rim_ledger.engine.refusals import Invalid, Refused
from rim_ledger.engine.unit_of_work import UnitOfWork

LEAST_WITHOUT_NAMES: Final = 8
"""Characters that must remain when the account's own names are taken out."""

UNGUESSABLE: Final = 2
"""The score of zxcvbn that a password needs: 10^6 guesses or more, of which few can be made."""
SERVICE: Final = ("rim", "ledger", "rimledger", "airtime")
"""Words of the service itself, which are guessed first (NIST SP 800-63B, 3.1.1.2)."""
JUDGED: Final = 40
"""Characters of a password that are judged; what a longer one begins with is strong enough."""

# OWASP's minimum: 19 MiB, two passes, one lane.
_argon2id = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
_one_at_a_time = ThreadPoolExecutor(max_workers=1, thread_name_prefix="passwords")

NOBODYS: Final = f"$argon2id$v=19$m=19456,t=2,p=1${'A' * 22}${'A' * 43}"
"""A hash that no password has, for a verification that must only take its time."""


async def hash_password(password: SecretStr) -> str:
    """The argon2id hash, salted; about 50 ms in a thread of its own, one at a time a process."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_one_at_a_time, _argon2id.hash, _normal(password))


async def _is_guessable(password: SecretStr) -> bool:
    """Whether somebody who knows the usual patterns has it after less than 10^6 guesses; some
    50 ms, in the same thread."""
    text = _normal(password)[:JUDGED]
    loop = asyncio.get_running_loop()
    judged = await loop.run_in_executor(_one_at_a_time, zxcvbn, text, SERVICE)
    return bool(judged["score"] < UNGUESSABLE)


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


@cache
def common() -> frozenset[str]:
    """Passwords that are tried first, in small letters."""
    return frozenset(files("rim_ledger.admin").joinpath("common_passwords.txt").read_text().split())


def _has(least: int) -> AfterValidator:
    def check(password: SecretStr) -> SecretStr:
        if not least <= len(_normal(password)) <= PASSWORD_MOST:
            span = f"{least} to {PASSWORD_MOST}"
            raise PydanticCustomError("length", f"a password has {span} characters")
        return password

    return AfterValidator(check)


def _uncommon(password: SecretStr) -> SecretStr:
    if _normal(password).casefold() in common():
        raise PydanticCustomError("common", "this password is among the first to be tried")
    return password


Password = Annotated[
    SecretStr,
    _has(PASSWORD_LEAST),
    AfterValidator(_uncommon),
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
"""What no setting allows is refused here; the settings ask for more in the decision."""

FirstPassword = Annotated[Password, _has(DEFAULTS.password_min_length)]
"""The password of the first admin, chosen while the settings are what they begin as."""

TriedPassword = Annotated[SecretStr, Field(max_length=1024)]
"""What somebody claims to be their password."""


def missing_in(text: str, settings: SecuritySettings) -> list[str]:
    """What a password lacks of all that the settings ask for, in words."""
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


class Promise(Struct, frozen=True):
    """A token that is sent once its hash is committed, and by whom."""

    token: str
    sender: Sender


class WithPassword(Form):
    """A form with a new password. Whoever submits it awaits `hashed()` first, because hashing
    is too slow for a decision; the ledger keeps the hash, and no event has either.

    Without a password its owner is sent a token to choose one with; that is `promised()` first.
    """

    FIELD: ClassVar[str] = "/password"

    password: Password | None = None
    _hash: str = PrivateAttr(default="")
    _promise: "Promise | None" = PrivateAttr(default=None)

    async def hashed(self) -> Self:
        """The same form, with the hash of its password beside it. Raises Invalid
        (`weak-password`) for a password that is soon guessed."""
        assert self.password, "there is a password to hash"
        if await _is_guessable(self.password):
            words = "The password repeats or counts on, or is one that is soon guessed."
            raise Invalid("weak-password", words, self.FIELD)
        ready = self.model_copy()
        ready._hash = await hash_password(self.password)
        return ready

    def promised(self, token: str, sender: Sender) -> Self:
        """The same form, with a token that will be sent."""
        ready = self.model_copy()
        ready._promise = Promise(token, sender)
        return ready

    @property
    def promise(self) -> str:
        """The token that is sent after the decision; empty without one."""
        return self._promise.token if self._promise else ""

    def claim_token(self, uow: UnitOfWork, owner: UUID) -> str:
        """Let the token lead to its owner; its hash. Refused when it cannot be sent."""
        assert self._promise, "the token is made up before the decision"
        self._promise.sender.require(Channel.EMAIL, uow)
        hashed = token_hash(self._promise.token)
        taken = Refused("already-exists", "The token is taken.")
        uow.claim("token", hashed, owner, taken)
        return hashed

    def keep_password(self, uow: UnitOfWork, owner: UUID, own_names: Iterable[str]) -> None:
        """Keep the hash, or refuse a password that the settings do not allow, or that is little
        more than the owner's names."""
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

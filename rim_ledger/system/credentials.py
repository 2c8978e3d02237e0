"""Secrets shared with a provider: stored sealed beside the events, and shown as an imprint."""

from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

from msgspec import Struct
from pydantic import AfterValidator, SecretStr, WithJsonSchema
from pydantic_core import PydanticCustomError

from rim_ledger.delivery.signature import signing_key
from rim_ledger.engine.aggregate import FrozenMeta
from rim_ledger.engine.command import Ruled
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.text import fits
from rim_ledger.values import rfc3339

API_KEY: Final = "apiKey"
API_SECRET: Final = "apiSecret"  # noqa: S105 - what it is for, not what it is
FORMER_SECRET: Final = "formerApiSecret"  # noqa: S105 - the same, while another takes its place
LEAST, MOST = 8, 500
OVERLAP_HOURS: Final = 24
OVERLAP_HOURS_MAX: Final = 7 * 24
LAST4_LENGTH_MIN: Final = 12
"""Shortest secret whose last four characters are shown: they reveal too much of a shorter one."""


class Imprint(Struct, metaclass=FrozenMeta, omit_defaults=True, rename="camel"):
    """What is shown of a secret: enough to recognise it, not to guess it."""

    fingerprint: str
    last4: str | None = None


class Credential(Struct, metaclass=FrozenMeta):
    """A secret that is set: its imprint, and since when."""

    imprint: Imprint
    set_at: datetime


def shown(credential: Credential | None) -> dict[str, Any]:
    """Return what clients see of a secret."""
    if credential is None:
        return {"set": False, "last4": None, "fingerprint": None, "setAt": None}
    return {
        "set": True,
        "last4": credential.imprint.last4,
        "fingerprint": credential.imprint.fingerprint,
        "setAt": rfc3339(credential.set_at),
    }


PRINTABLE: Final = fits(
    lambda secret: all("!" <= each <= "~" for each in secret.get_secret_value()),
    "secret",
    "a secret has printable ASCII characters, no spaces",
)


def _strong(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    try:
        strong = len(signing_key(text)) >= LEAST
    except ValueError:
        raise PydanticCustomError("secret", "what follows whsec_ is base64") from None
    if not strong:
        raise PydanticCustomError("secret", f"what follows whsec_ stands for {LEAST} bytes or more")
    return secret


def _of_length(least: int) -> AfterValidator:
    words = f"a secret has {least} to {MOST} characters here"
    return fits(lambda given: least <= len(given.get_secret_value()) <= MOST, "secret", words)


def _written(least: int) -> WithJsonSchema:
    kind = {"type": "string", "format": "password", "writeOnly": True}
    return WithJsonSchema(kind | {"minLength": least, "maxLength": MOST})


Key = Annotated[SecretStr, _of_length(1), PRINTABLE, _written(1)]
"""What a provider identifies us by; for a mail server, our user name, which may be short."""

Secret = Annotated[
    SecretStr,
    _of_length(LEAST),
    PRINTABLE,
    AfterValidator(_strong),
    _written(LEAST),
]
"""What messages are signed with; for a mail server, our password."""


class WithCredentials(Ruled):
    """A form with optional secrets. They can be set, never read."""

    api_key: Key | None = None
    api_secret: Secret | None = None

    @property
    def ruled_as(self) -> tuple[str, ...]:
        given = {"api_key", "api_secret"} & self.model_fields_set
        return (*super().ruled_as, "RotateCredentials") if given else super().ruled_as


def keep(
    uow: UnitOfWork, owner: UUID, purpose: str, secret: SecretStr | None, known: Credential | None
) -> Imprint | None:
    """Store a secret if it is given and new; return its imprint, else None."""
    if secret is None:
        return None
    text = secret.get_secret_value()
    imprint = Imprint(
        fingerprint=uow.fingerprint(purpose, text)[:16],
        last4=text[-4:] if len(text) >= LAST4_LENGTH_MIN else None,
    )
    if known and known.imprint == imprint:
        return None
    uow.keep_sealed(owner, purpose, text)
    return imprint

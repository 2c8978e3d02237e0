"""Second factor rules: codes of an app (TOTP), sent codes, and recovery codes."""

import io
from base64 import b32encode
from collections.abc import Iterable, Sequence
from datetime import timedelta
from hmac import compare_digest
from typing import Annotated, Final
from uuid import UUID

import segno
from msgspec import Struct
from pydantic import Field, SecretStr
from pyotp import TOTP

from rim_ledger.admin.admin_user import (
    AdminTwoFactorConfirmed,
    AdminTwoFactorDisabled,
    AdminTwoFactorEnrolled,
    AdminTwoFactorReset,
    AdminUser,
)
from rim_ledger.admin.api_key import require_session
from rim_ledger.admin.same_person import require_no_greater, require_other
from rim_ledger.admin.security_settings import SecuritySettings, TwoFactorMethod, current
from rim_ledger.delivery.port import Channel
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.command import Command, Form
from rim_ledger.engine.environment import Environment
from rim_ledger.engine.refusals import Invalid, Refused, require
from rim_ledger.engine.unit_of_work import UnitOfWork

ISSUER: Final = "RIM Ledger"
SECRET: Final = 20
"""Bytes of an app's secret: the 160 bits of SHA-1 (RFC 4226, 4)."""
PERIOD: Final = 30
DRIFT: Final = 1
"""Time steps that a clock may be off, either way."""
LIFE: Final = timedelta(minutes=10)
"""Validity of a challenge and of a code that was sent."""
RECOVERY_CODES: Final = 10
CHANNELS: Final = {TwoFactorMethod.SMS: Channel.SMS, TwoFactorMethod.EMAIL: Channel.EMAIL}

Code = Annotated[SecretStr, Field(min_length=1, max_length=64)]


class EnrolTwoFactor(Form):
    """Prepare a second factor for oneself; without a method, the one of the security settings. It
    takes effect once a code of it is confirmed."""

    method: Annotated[TwoFactorMethod, Field(strict=False)] | None = None


class ConfirmTwoFactor(Form):
    """Confirm the second factor by a code. Ends all sessions; recovery codes are shown once."""

    code: Code


class DisableTwoFactor(Form):
    """Disable one's second factor, given a code of it or a recovery code. Without a code, one is
    sent. Ends all sessions."""

    code: Code | None = None


class ResetTwoFactor(Command[AdminUser]):
    """Remove the lost second factor of an admin with no more rights than the caller. Ends the
    admin's sessions."""

    def decide(self, aggregate: AdminUser, uow: UnitOfWork) -> Iterable[Event]:
        require_session(uow)
        require_no_greater(aggregate, uow)
        require_other(aggregate, uow)
        there = aggregate.two_factor or aggregate.pending_factor
        require(there is not None, "already-done", "The admin has no second factor.")
        forget(aggregate, uow)
        yield AdminTwoFactorReset()


class Accepted(Struct, frozen=True):
    """A correct code: its time step (app), or the hash of the recovery code."""

    step: int | None = None
    recovery: str | None = None


def must_enrol(admin: AdminUser, settings: SecuritySettings) -> bool:
    """Return whether the settings require a second factor that the admin does not have."""
    return settings.two_factor_required and admin.two_factor not in _enough(settings)


def _enough(settings: SecuritySettings) -> Sequence[TwoFactorMethod]:
    """Return the sufficient methods: the one of the settings, and always an app."""
    return settings.two_factor_method, TwoFactorMethod.APP


def enrol(uow: UnitOfWork, id: UUID, method: TwoFactorMethod, secret: str | None) -> None:
    """Prepare a second factor; an app comes with a secret."""
    admin, settings = uow.read(AdminUser, id), current(uow)
    require(admin.two_factor is None, "already-done", "There is a second factor: disable it first.")
    if settings.two_factor_required and method not in _enough(settings):
        words = f"The security settings ask for the method {settings.two_factor_method}."
        raise Refused("two-factor-method", words)
    if method in CHANNELS:
        contact(uow, admin, method)
    if secret:
        uow.keep_sealed(id, "totp", secret)
    uow.append(AdminUser, id, [AdminTwoFactorEnrolled(method=method)])


def confirm(
    uow: UnitOfWork, id: UUID, code: str, sent: str | None, recovery: Sequence[str]
) -> None:
    """Activate the prepared second factor, if the code is right."""
    admin = uow.read(AdminUser, id)
    if (method := admin.pending_factor) is None:
        raise nothing_to_confirm()
    if (accepted := _accepted(uow, admin, method, code, sent=sent, after=0)) is None:
        raise wrong_code()
    uow.keep_secret(id, "recovery", " ".join(_recovery_hash(uow, id, each) for each in recovery))
    uow.append(AdminUser, id, [AdminTwoFactorConfirmed(step=accepted.step or 0)])


def disable(uow: UnitOfWork, id: UUID, code: str, sent: str | None) -> None:
    """Disable the second factor, if the code is right."""
    admin = uow.read(AdminUser, id)
    if check(uow, admin, code, sent) is None:
        raise wrong_code()
    forget(admin, uow)
    uow.append(AdminUser, id, [AdminTwoFactorDisabled()])


def check(uow: UnitOfWork, admin: AdminUser, code: str, sent: str | None) -> Accepted | None:
    """Return how a code is correct, or None. `sent` is the keyed hash of the code that was sent; an
    app's time step is accepted only once."""
    if admin.two_factor is None:
        return None
    if accepted := _accepted(uow, admin, admin.two_factor, code, sent=sent, after=admin.step):
        return accepted
    tried = _recovery_hash(uow, admin.id, code)
    found = [each for each in _recovery(uow, admin.id) if compare_digest(each, tried)]
    return Accepted(recovery=found[0]) if found else None


def use_up(uow: UnitOfWork, admin: AdminUser, accepted: Accepted) -> None:
    """Remove a recovery code that was used; the caller appends an event."""
    if accepted.recovery:
        left = [each for each in _recovery(uow, admin.id) if each != accepted.recovery]
        uow.keep_secret(admin.id, "recovery", " ".join(left))


def contact(uow: UnitOfWork, admin: AdminUser, method: TwoFactorMethod) -> str:
    """Return the phone or e-mail that codes are sent to. Raises Refused (`no-phone`) if there is
    none."""
    sealed = admin.phone if method is TwoFactorMethod.SMS else admin.email
    text: str | None = uow.reveal(admin.id, sealed)
    if text is None:
        raise Refused("no-phone", "No phone is known to send codes to.")
    return text


def plain(code: SecretStr) -> str:
    """Return a code without blanks and dashes, in upper case."""
    return code.get_secret_value().replace(" ", "").replace("-", "").upper()


def new_secret(environment: Environment) -> str:
    """Return a new secret for an app, base32."""
    return b32encode(environment.random(SECRET)).decode()


def new_code(environment: Environment) -> str:
    """Return a six-digit code to send."""
    return f"{int.from_bytes(environment.random(16)) % 10**6:06}"


def new_recovery_codes(environment: Environment) -> list[str]:
    """Return recovery codes of 80 bits each, in groups of four characters."""
    texts = [b32encode(environment.random(10)).decode() for _ in range(RECOVERY_CODES)]
    return ["-".join(text[at : at + 4] for at in range(0, 16, 4)) for text in texts]


def uri(secret: str, username: str) -> str:
    """Return the otpauth URI from which an app reads the secret."""
    return TOTP(secret).provisioning_uri(name=username, issuer_name=ISSUER)


def qr_svg(text: str) -> str:
    """Return the QR code of a text, as SVG."""
    picture = io.BytesIO()
    segno.make(text, error="m").save(picture, kind="svg", scale=4, xmldecl=False)
    return picture.getvalue().decode().strip()


def wrong_code() -> Invalid:
    return Invalid("wrong-code", "This code is wrong, was used, or is too old.", "/code")


def nothing_to_confirm() -> Refused:
    return Refused("no-enrolment", "There is nothing to confirm, or no longer: enrol first.")


def _accepted(
    uow: UnitOfWork,
    admin: AdminUser,
    method: TwoFactorMethod,
    code: str,
    *,
    sent: str | None,
    after: int,
) -> Accepted | None:
    if method in CHANNELS:
        return Accepted() if sent and compare_digest(sent, code_hash(uow, admin, code)) else None
    secret = uow.unsealed(admin.id, "totp")
    assert secret is not None, "an app was enrolled, so there is its secret"
    now = int(uow.now.timestamp()) // PERIOD
    for step in range(now - DRIFT, now + DRIFT + 1):
        right = TOTP(secret).generate_otp(step)
        if compare_digest(right.encode(), code.encode()) and step > after:
            return Accepted(step=step)
    return None


def code_hash(uow: UnitOfWork, admin: AdminUser, code: str) -> str:
    """Return the keyed hash of a code that was sent."""
    return uow.fingerprint("code", f"{admin.id} {admin.epoch} {code}")


def _recovery_hash(uow: UnitOfWork, id: UUID, recovery: str) -> str:
    return uow.fingerprint("recovery", f"{id} {recovery.replace('-', '')}")


def _recovery(uow: UnitOfWork, id: UUID) -> list[str]:
    return (uow.secret(id, "recovery") or "").split()


def forget(admin: AdminUser, uow: UnitOfWork) -> None:
    """Delete the stored second factor."""
    uow.keep_sealed(admin.id, "totp", "")
    uow.keep_secret(admin.id, "recovery", "")

"""Rules for the configuration of each type of integration."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from rim_ledger.engine.refusals import Invalid
from rim_ledger.system.integration import IntegrationType
from rim_ledger.values import Email, Network

WEB: Final = ("https", "http")
MAIL: Final = ("smtps", "smtp")
FROM_MAX: Final = 20
"""Characters of an SMS sender: a phone number, or a name."""
PER_SECOND_MAX: Final = 10_000
ADDRESS: Final = TypeAdapter[str](Email)
MESSAGES: Final = (IntegrationType.SMS, IntegrationType.EMAIL)


def require_fit(kind: IntegrationType, base_url: str, config: Mapping[str, Any]) -> None:
    """Refuse (422, with the pointer) a base URL or configuration that does not fit the type."""
    _require_scheme(kind, base_url)
    if kind is IntegrationType.TELECOM and "networks" in config:
        _require_networks(config["networks"])
    if kind is IntegrationType.EMAIL:
        _require_address(config.get("from"))
    elif kind is IntegrationType.SMS and "from" in config:
        _require_name(config["from"])
    if kind in MESSAGES and "perSecond" in config:
        _require_rate(config["perSecond"])


def require_pair(kind: IntegrationType, *, key: bool, secret: bool) -> None:
    """Refuse a mail server's user name without a password, and the reverse."""
    if kind is IntegrationType.EMAIL and key != secret:
        words = "Of an e-mail integration, apiKey is the user name and apiSecret the password:"
        place = "/apiSecret" if key else "/apiKey"
        raise Invalid("missing", f"{words} name both, or neither.", place)


def _require_scheme(kind: IntegrationType, base_url: str) -> None:
    mail = kind is IntegrationType.EMAIL
    if urlsplit(base_url).scheme not in (MAIL if mail else WEB):
        words = "A mail server is at smtps://… or smtp://…" if mail else "This is at https://…"
        raise Invalid("wrong-scheme", words, "/baseUrl")


def _require_networks(value: Any) -> None:
    known = [each.value for each in Network]
    if not (isinstance(value, list) and value and all(each in known for each in value)):
        words = f"This lists one or more of {', '.join(known)}."
        raise Invalid("unknown-network", words, "/config/networks")


def _require_address(value: Any) -> None:
    words = "This is the address that e-mails are from, such as ledger@example.com, in ASCII."
    try:
        ADDRESS.validate_python(value, strict=True)
    except ValidationError:
        raise Invalid("invalid-sender", words, "/config/from") from None
    if not value.isascii():  # Not every server accepts it.
        raise Invalid("invalid-sender", words, "/config/from")


def _require_name(value: Any) -> None:
    short = isinstance(value, str) and 0 < len(value) <= FROM_MAX and value.isprintable()
    if not short or value != value.strip():
        words = f"This is whom an SMS is from, in {FROM_MAX} characters at most, such as RIM."
        raise Invalid("invalid-sender", words, "/config/from")


def _require_rate(value: Any) -> None:
    if type(value) is not int or not 1 <= value <= PER_SECOND_MAX:
        words = f"This is how many messages go out in a second, from 1 to {PER_SECOND_MAX}."
        raise Invalid("invalid-rate", words, "/config/perSecond")

"""The security settings: one set for the whole service, with rules for addresses."""

import re
from collections.abc import Iterable
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Final, Self
from uuid import UUID

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from rim_ledger.engine.aggregate import Aggregate, Event, Stamp
from rim_ledger.engine.patch import Patch
from rim_ledger.engine.refusals import Forbidden, require
from rim_ledger.engine.unit_of_work import UnitOfWork
from rim_ledger.values import derived_id

RULES_MAX: Final = 1000
SPELLING: Final = re.compile(r"[0-9A-Fa-f:.]{2,45}(/[0-9]{1,3})?", re.ASCII)
MAPPED: Final = 96
"""Prefix bits before the IPv4 address in an IPv4-mapped IPv6 address (RFC 4291, 2.5.5.2)."""


def admits(ip: str | None, whitelist: Iterable[str], blacklist: Iterable[str]) -> bool:
    """Return whether an address is allowed: not on the blacklist and, if there is a whitelist, on
    it."""
    address = _address(ip) if ip else None
    if _is_on(address, blacklist):
        return False
    return not whitelist or _is_on(address, whitelist)


def _is_on(address: IPv4Address | IPv6Address | None, rules: Iterable[str]) -> bool:
    return address is not None and any(address in _network(rule) for rule in rules)


@lru_cache(10_000)
def _address(ip: str) -> IPv4Address | IPv6Address:
    address = ip_address(ip)
    return getattr(address, "ipv4_mapped", None) or address


@lru_cache(10_000)
def _network(rule: str) -> IPv4Network | IPv6Network:
    """Parse a rule. Raises ValueError if it is malformed or has bits set beyond its mask."""
    if not SPELLING.fullmatch(rule):
        raise ValueError(rule)
    network = ip_network(rule)
    mapped = getattr(network.network_address, "ipv4_mapped", None)
    if mapped and network.prefixlen >= MAPPED:
        return IPv4Network((mapped, network.prefixlen - MAPPED))
    return network


def _canonical(rule: str) -> str:
    try:
        network = _network(rule)
    except ValueError:
        raise PydanticCustomError(
            "address",
            "this is no address such as 203.0.113.7 or 2001:db8::1, and no network such as"
            " 203.0.113.0/24 with no bit set beyond its mask",
        ) from None
    return str(network.network_address if network.num_addresses == 1 else network)


AddressRule = Annotated[
    str,
    AfterValidator(_canonical),
    WithJsonSchema({"type": "string", "maxLength": 49, "examples": ["203.0.113.0/24"]}),
]
"""An address or a network. An IPv4-mapped IPv6 address counts as its IPv4 address."""

AddressRules = Annotated[
    list[AddressRule],
    Field(max_length=RULES_MAX),
    AfterValidator(lambda rules: list(dict.fromkeys(rules))),
]
"""Rules without duplicates."""


SETTINGS: Final = derived_id("security-settings")
"""The one stream of the settings."""

PASSWORD_LEAST: Final = 8
PASSWORD_MOST: Final = 128


class TwoFactorMethod(StrEnum):
    """Where the code of a second factor comes from."""

    SMS = "sms"
    EMAIL = "email"
    APP = "app"


class SecuritySettingsChanged(Event):
    """Holds changed fields only; the first event holds all defaults."""

    password_min_length: int | None = None
    password_require_uppercase: bool | None = None
    password_require_lowercase: bool | None = None
    password_require_numbers: bool | None = None
    password_require_special_chars: bool | None = None
    session_timeout: int | None = None
    max_login_attempts: int | None = None
    lockout_duration: int | None = None
    two_factor_required: bool | None = None
    two_factor_method: TwoFactorMethod | None = None
    ip_whitelist: list[str] | None = None
    ip_blacklist: list[str] | None = None


class SecuritySettings(Aggregate):
    """Timeout and lockout are in minutes."""

    password_min_length: int = 12
    password_require_uppercase: bool = False
    password_require_lowercase: bool = False
    password_require_numbers: bool = False
    password_require_special_chars: bool = False
    session_timeout: int = 30
    max_login_attempts: int = 5
    lockout_duration: int = 15
    two_factor_required: bool = False
    two_factor_method: TwoFactorMethod = TwoFactorMethod.APP
    ip_whitelist: list[str] = []
    ip_blacklist: list[str] = []

    @property
    def idle(self) -> timedelta:
        """How long a session may be unused."""
        return timedelta(minutes=self.session_timeout)

    @property
    def lockout(self) -> timedelta:
        """How long a lockout lasts."""
        return timedelta(minutes=self.lockout_duration)

    def admits(self, ip: str | None) -> bool:
        """Return whether an address is allowed."""
        return admits(ip, self.ip_whitelist, self.ip_blacklist)

    @classmethod
    def begin(cls, id: UUID, event: SecuritySettingsChanged, stamp: Stamp) -> Self:
        return cls(id=id).evolve(event, stamp)

    def evolve(self, event: SecuritySettingsChanged, stamp: Stamp) -> Self:
        return self.but(**event.changes)


DEFAULTS: Final = SecuritySettings(id=SETTINGS)


def current(uow: UnitOfWork) -> SecuritySettings:
    """Return the settings as of this decision."""
    return uow.find(SecuritySettings, SETTINGS) or DEFAULTS


def require_address(uow: UnitOfWork, settings: SecuritySettings) -> None:
    """Raise Forbidden (`ip-blocked`) if the caller's address is blocked."""
    if not settings.admits(uow.stamp.ip):
        raise Forbidden("ip-blocked", "Nobody is let in from this address.")


def set_defaults(uow: UnitOfWork) -> None:
    """Record the default settings, unless there are any."""
    if uow.find(SecuritySettings, SETTINGS) is None:
        uow.append(SecuritySettings, SETTINGS, [SecuritySettingsChanged.of(DEFAULTS)])


class EditSecuritySettings(Patch[SecuritySettings], use_attribute_docstrings=True):
    """Change the security settings; omitted fields stay as they are. Takes effect with the next
    request, in every process. Refuses lists that would block the caller's own address."""

    password_min_length: Annotated[int | None, Field(ge=PASSWORD_LEAST, le=PASSWORD_MOST)] = None
    """Characters that a new password needs."""
    password_require_uppercase: bool | None = None
    """Whether a new password needs a capital letter."""
    password_require_lowercase: bool | None = None
    """Whether a new password needs a small letter."""
    password_require_numbers: bool | None = None
    """Whether a new password needs a digit."""
    password_require_special_chars: bool | None = None
    """Whether a new password needs a character that is no letter or digit."""
    session_timeout: Annotated[int | None, Field(ge=5, le=1440)] = None
    """Minutes after which an unused session ends."""
    max_login_attempts: Annotated[
        int | None,
        Field(
            ge=3,
            le=100,
            description="Failures to get in, within `lockoutDuration`, that lock an account; ten"
            " times as many lock an address.",
        ),
    ] = None
    lockout_duration: Annotated[int | None, Field(ge=1, le=1440)] = None
    """Minutes that a lockout lasts, from the last failure on."""
    two_factor_required: bool | None = None
    """Whether every admin needs a second factor."""
    two_factor_method: Annotated[TwoFactorMethod | None, Field(strict=False)] = None
    """Which second factor is offered first; where one is required, this or an app is enough."""
    ip_whitelist: AddressRules | None = None
    """The only addresses that admins may come from; all, when it is empty."""
    ip_blacklist: AddressRules | None = None
    """Addresses that no admin may come from, even on the whitelist."""

    def decide(self, aggregate: SecuritySettings, uow: UnitOfWork) -> Iterable[Event]:
        if changes := self.changes(aggregate):
            words = "These lists would lock out the address that you ask from."
            require(aggregate.but(**changes).admits(uow.stamp.ip), "self-lockout", words)
            yield SecuritySettingsChanged(**changes)

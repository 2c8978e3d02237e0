"""Allow and block rules for IPv4 and IPv6 addresses and networks, in canonical spelling."""

import re
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Annotated, Final

from pydantic import AfterValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

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

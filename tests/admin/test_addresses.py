"""Rules about addresses: one spelling, no nonsense, and what each of them lets in."""

import pytest
from pydantic import TypeAdapter, ValidationError

from rim_ledger.admin.security_settings import AddressRules, admits

rules = TypeAdapter[list[str]](AddressRules)


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("203.0.113.7/32", "203.0.113.7"),
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("2001:db8::1/128", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:cb00:7107", "203.0.113.7"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
    ],
)
def test_a_rule_has_one_spelling(written: str, meant: str) -> None:
    assert rules.validate_python([written, meant]) == [meant]


@pytest.mark.parametrize(
    "bad",
    [
        "10.0.0.1/8",
        "1.2.3.4/33",
        "1.2.3.4/-1",
        "1.2.3.4/",
        "1.2.3.4/255.255.255.0",
        "1.2.3.256",
        "01.2.3.4",
        "1.2.3",
        "16909060",
        "fe80::1%eth0",
        "fe80::1%eth0/64",
        "2001:db8::1/32",
        "2001:db8::/129",
        "::ffff:10.0.0.1/104",
        "[::1]",
        " 1.2.3.4",
        "1.2.3.4\n",
        "١.2.3.4",
        "localhost",
        "*",
        "",
    ],
)
def test_what_is_no_address_and_no_network_is_refused(bad: str) -> None:
    with pytest.raises(ValidationError):
        rules.validate_python([bad])


@pytest.mark.parametrize(
    ("ip", "whitelist", "blacklist", "admitted"),
    [
        ("203.0.113.7", [], [], True),
        (None, [], [], True),
        ("203.0.113.7", [], ["203.0.113.7"], False),
        ("::ffff:203.0.113.7", [], ["203.0.113.7"], False),
        ("::ffff:203.0.113.7", [], ["203.0.113.0/24"], False),
        ("203.0.113.7", [], ["2001:db8::/32"], True),
        ("203.0.113.7", ["203.0.113.0/24"], [], True),
        ("203.0.114.7", ["203.0.113.0/24"], [], False),
        ("203.0.113.7", ["203.0.113.0/24"], ["203.0.113.7"], False),
        ("2001:db8:1::5", ["2001:db8::/32"], [], True),
        ("fe80::1%eth0", [], ["fe80::/10"], False),
        (None, ["203.0.113.0/24"], [], False),
        (None, [], ["0.0.0.0/0"], True),
    ],
)
def test_the_blacklist_beats_the_whitelist_and_no_whitelist_lets_all_in(
    ip: str | None, whitelist: list[str], blacklist: list[str], admitted: bool
) -> None:
    assert admits(ip, whitelist, blacklist) is admitted

"""The security settings: one stream, defaults, ranges, and nobody locks themselves out."""

from typing import Any

import pytest
from msgspec.structs import replace
from pydantic import ValidationError

from rim_ledger.admin.security_settings import (
    DEFAULTS,
    SETTINGS,
    EditSecuritySettings,
    SecuritySettings,
    SecuritySettingsChanged,
    TwoFactorMethod,
    current,
    set_defaults,
)
from rim_ledger.engine.aggregate import Event
from rim_ledger.engine.refusals import Refused
from tests.spec import Memory


class Office(Memory):
    """A memory whose settings were begun, asked from one address."""

    def __init__(self, ip: str = "203.0.113.7") -> None:
        super().__init__()
        uow = self.uow()
        set_defaults(uow)
        (self.first,) = self.keep(uow)
        self.stamp = replace(self.uow().stamp, ip=ip)

    def edit(self, **wish: Any) -> list[Event]:
        return self.perform(SecuritySettings, SETTINGS, EditSecuritySettings(**wish))


def test_the_beginning_says_how_everything_stands_once() -> None:
    office = Office()
    assert office.first == SecuritySettingsChanged(
        password_min_length=12,
        password_require_uppercase=False,
        password_require_lowercase=False,
        password_require_numbers=False,
        password_require_special_chars=False,
        session_timeout=30,
        max_login_attempts=5,
        lockout_duration=15,
        two_factor_required=False,
        two_factor_method=TwoFactorMethod.APP,
        ip_whitelist=[],
        ip_blacklist=[],
    )
    uow = office.uow()
    set_defaults(uow)
    assert office.keep(uow) == []
    assert current(uow) == DEFAULTS == current(Memory().uow())


def test_only_what_changes_is_in_the_event_and_nothing_changes_nothing() -> None:
    office = Office()
    assert office.edit(session_timeout=5, max_login_attempts=5) == [
        SecuritySettingsChanged(session_timeout=5)
    ]
    assert office.edit(session_timeout=5) == office.edit() == []
    assert current(office.uow()).session_timeout == 5
    assert office.edit(ip_blacklist=["198.51.100.1"]) == [
        SecuritySettingsChanged(ip_blacklist=["198.51.100.1"])
    ]
    assert office.edit(ip_blacklist=[]) == [SecuritySettingsChanged(ip_blacklist=[])]
    assert current(office.uow()).ip_blacklist == []


@pytest.mark.parametrize(
    ("field", "least", "most"),
    [
        ("password_min_length", 8, 128),
        ("session_timeout", 5, 1440),
        ("max_login_attempts", 3, 100),
        ("lockout_duration", 1, 1440),
    ],
)
def test_each_number_has_its_range(field: str, least: int, most: int) -> None:
    for good in (least, most):
        assert getattr(EditSecuritySettings(**{field: good}), field) == good  # type: ignore[arg-type]
    for bad in (least - 1, most + 1, str(least), least + 0.5, True):
        with pytest.raises(ValidationError):
            EditSecuritySettings(**{field: bad})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "wish",
    [
        {"ip_blacklist": ["203.0.113.7"]},
        {"ip_blacklist": ["203.0.113.0/24"]},
        {"ip_blacklist": ["::ffff:203.0.113.7"]},
        {"ip_blacklist": ["0.0.0.0/0"]},
        {"ip_whitelist": ["198.51.100.1"]},
        {"ip_whitelist": ["203.0.113.7"], "ip_blacklist": ["203.0.113.0/24"]},
    ],
)
@pytest.mark.parametrize("ip", ["203.0.113.7", "::ffff:203.0.113.7"])
def test_an_edit_that_would_lock_out_the_caller_is_refused(ip: str, wish: dict[str, Any]) -> None:
    office = Office(ip)
    with pytest.raises(Refused) as refusal:
        office.edit(**wish)
    assert refusal.value.code == "self-lockout"
    assert current(office.uow()) == DEFAULTS


def test_lists_that_let_the_caller_in_are_kept() -> None:
    office = Office()
    office.edit(ip_whitelist=["203.0.113.0/24", "2001:DB8::/32"], ip_blacklist=["203.0.113.8"])
    now = current(office.uow())
    assert now.ip_whitelist == ["203.0.113.0/24", "2001:db8::/32"]
    assert [now.admits(each) for each in ("203.0.113.7", "203.0.113.8", "2001:db8::9")] == [
        True,
        False,
        True,
    ]
    assert not now.admits("198.51.100.1")

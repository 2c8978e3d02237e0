"""Passwords: as the settings ask, not among the first to be tried, hashed and never shown."""

from typing import Any

import pytest
from pydantic import SecretStr, TypeAdapter, ValidationError

from rim_ledger.admin.admin_commands import ChangePassword, ResetPassword
from rim_ledger.admin.admin_role import SUPERADMIN
from rim_ledger.admin.admin_user import AdminUser
from rim_ledger.admin.passwords import (
    FirstPassword,
    Password,
    common,
    hash_password,
    missing_in,
    verify,
)
from rim_ledger.admin.security_settings import (
    DEFAULTS,
    PASSWORD_LEAST,
    SETTINGS,
    SecuritySettings,
    SecuritySettingsChanged,
)
from rim_ledger.engine.refusals import Invalid
from tests.admin.staff import Staff, ready

password: TypeAdapter[SecretStr] = TypeAdapter(Password)
first: TypeAdapter[SecretStr] = TypeAdapter(FirstPassword)


@pytest.mark.parametrize(
    "bad", ["", "7 chars", "x" * 129, "PasswordPassword", "123456789012", "qwertyuiop", "Trustno1"]
)
def test_a_password_that_no_setting_allows_is_refused(bad: str) -> None:
    with pytest.raises(ValidationError):
        password.validate_python(bad)


@pytest.mark.parametrize("good", ["8 chars.", "x" * 128, "пароль длинный"])
def test_any_characters_make_a_password(good: str) -> None:
    assert password.validate_python(good).get_secret_value() == good


@pytest.mark.parametrize(
    "weak",
    [
        "a" * 13,
        "ab" * 8,
        "abcabcabcabcabc",
        "9876543210987",
        "abcdefghijklmnop",
        "qwertyuiop[]9",
        "1qaz2wsx3edc4",
        "aaaaaaaaaaaab",
        "password98765",
        "abcd1234efgh",
        "lagoslagoslagos",
        "111222333444",
        "äöüäöüäöüäöü",
        "\uff41" * 13,
        "x" * 128,
        "rimledger2026",
    ],
)
async def test_a_password_that_is_soon_guessed_is_refused(weak: str) -> None:
    form = ResetPassword(password=SecretStr(weak))
    with pytest.raises(Invalid) as refusal:
        await form.hashed()
    assert (refusal.value.code, refusal.value.more["pointer"]) == ("weak-password", "/password")
    assert weak not in str(refusal.value)


@pytest.mark.parametrize("good", ["Ox-reads", "short-enough", "lagos2026lagos", "a1B!" + "x" * 9])
async def test_a_password_that_takes_a_million_guesses_is_taken(good: str) -> None:
    assert await ResetPassword(password=SecretStr(good)).hashed()


def test_the_first_admin_begins_with_what_the_settings_begin_with() -> None:
    with pytest.raises(ValidationError, match="12 to 128 characters"):
        first.validate_python("eleven char")
    assert first.validate_python("twelve chars")


def test_the_blocklist_holds_thousands_and_only_what_the_length_would_let_through() -> None:
    assert len(common()) > 10_000
    assert all(len(each) >= PASSWORD_LEAST and each == each.casefold() for each in common())


@pytest.mark.parametrize(
    ("setting", "bad", "good", "words"),
    [
        ({"password_min_length": 14}, "thirteen char", "fourteen chars", "14 to 128 characters"),
        ({"password_min_length": 8}, "7 chars", "8 chars.", "8 to 128 characters"),
        ({"password_require_uppercase": True}, "all in small", "Not in small", "capital"),
        ({"password_require_lowercase": True}, "ALL IN CAPITALS", "Not IN CAPITALS", "small"),
        ({"password_require_numbers": True}, "without any", "without 1 or 2", "digit"),
        ({"password_require_special_chars": True}, "onlyletters1", "only-letters", "neither"),
    ],
)
def test_the_settings_say_what_a_password_needs(
    setting: dict[str, Any], bad: str, good: str, words: str
) -> None:
    settings = DEFAULTS.but(**{"password_min_length": 8} | setting)
    (lacking,) = missing_in(bad, settings)
    assert words in lacking
    assert missing_in(good, settings) == []


def test_a_password_that_the_settings_do_not_allow_is_refused_with_all_that_it_lacks() -> None:
    staff = Staff()
    ada = staff.hire("ada", SUPERADMIN)
    uow = staff.uow()
    event = SecuritySettingsChanged(password_min_length=20, password_require_numbers=True)
    uow.append(SecuritySettings, SETTINGS, [event])
    staff.keep(uow)

    def reset(text: str) -> ResetPassword:
        return ready(ResetPassword(password=SecretStr(text)))

    with pytest.raises(Invalid) as refusal:
        staff.ask(staff.root, AdminUser, ada, reset("a short one"))
    assert refusal.value.code == "weak-password"
    assert refusal.value.detail == "The password needs 20 to 128 characters and a digit."
    assert staff.ask(staff.root, AdminUser, ada, reset("a long one with the digit 1"))


async def test_a_hash_is_salted_and_knows_its_password_however_it_was_composed() -> None:
    one, two = [await hash_password(SecretStr("café au lait")) for _ in range(2)]
    assert one != two
    assert await verify(one, SecretStr("cafe\u0301 au lait"))
    assert not await verify(one, SecretStr("cafe au lait"))


async def test_nobody_has_the_hash_that_stands_for_an_unknown_name() -> None:
    assert not await verify(None, SecretStr(""))


def test_the_form_of_a_change_shows_neither_password() -> None:
    form = ChangePassword.model_validate_json(
        '{"currentPassword": "the old horse", "newPassword": "the new horse"}'
    )
    assert "horse" not in f"{form!r} {form.model_dump_json()}"

"""Passwords: long enough, not among the first to be tried, hashed and never shown."""

import asyncio

import pytest
from pydantic import SecretStr, TypeAdapter, ValidationError

from rim_ledger.admin.admin_user import ChangePassword
from rim_ledger.admin.passwords import COMMON, LEAST, Password, hash_password, verify

password: TypeAdapter[SecretStr] = TypeAdapter(Password)


@pytest.mark.parametrize("bad", ["", "eleven char", "x" * 129, "PasswordPassword", "123456789012"])
def test_a_weak_password_is_refused(bad: str) -> None:
    with pytest.raises(ValidationError):
        password.validate_python(bad)


@pytest.mark.parametrize("good", ["twelve chars", "x" * 128, "пароль длинный"])
def test_any_characters_make_a_password(good: str) -> None:
    assert password.validate_python(good).get_secret_value() == good


def test_the_blocklist_holds_only_what_the_length_would_let_through() -> None:
    assert all(len(each) >= LEAST and each == each.casefold() for each in COMMON)


def test_a_hash_is_salted_and_knows_its_password_however_it_was_composed() -> None:
    async def story() -> None:
        one, two = [await hash_password(SecretStr("café au lait")) for _ in range(2)]
        assert one != two
        assert await verify(one, SecretStr("cafe\u0301 au lait"))
        assert not await verify(one, SecretStr("cafe au lait"))

    asyncio.run(story())


def test_nobody_has_the_hash_that_stands_for_an_unknown_name() -> None:
    assert not asyncio.run(verify(None, SecretStr("")))


def test_the_form_of_a_change_shows_neither_password() -> None:
    form = ChangePassword.model_validate_json(
        '{"currentPassword": "the old horse", "newPassword": "the new horse"}'
    )
    assert "horse" not in f"{form!r} {form.model_dump_json()}"

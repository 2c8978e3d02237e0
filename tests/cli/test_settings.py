"""Settings come from the environment; a bad one stops the start with one clear line."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import ValidationError

from api.cli.supervisor import inherited
from api.config.secret_file import kept_secret
from api.config.settings import Settings, description, variable

LONG = "s" * 32


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment with a home of its own and no other setting."""
    for name in list(os.environ):
        if name.startswith("RIM_") or name == "DATABASE_URL":
            monkeypatch.delenv(name)
    home = tmp_path / "home"
    monkeypatch.setenv("RIM_HOME", str(home))
    return home


@pytest.mark.parametrize(
    ("name", "value", "hint"),
    [
        ("RIM_PORT", "eighty", "1 to 65535"),
        ("RIM_PORT", "65536", "1 to 65535"),
        ("RIM_PORT", "-1", "1 to 65535"),
        ("RIM_HOST", "no host", "host name"),
        ("RIM_WORKERS", "0", "1 to 64"),
        ("RIM_WORKERS", "1.5", "1 to 64"),
        ("RIM_ENV", "staging", "development or production"),
        ("RIM_TRUSTED_PROXIES", "10.0.0.0/8,gateway", "10.0.0.0/8"),
        ("RIM_RATE_LIMIT", "-1", "0 for any number"),
        ("RIM_CORS_ORIGINS", "*", "https://desk.example.com"),
        ("RIM_CORS_ORIGINS", "https://desk.example.com/app", "the origins"),
        ("RIM_PUBLIC_URL", "ledger.example.com", "https://ledger.example.com"),
        ("RIM_PUBLIC_URL", "https://ledger.example.com/", "without a slash"),
        ("RIM_SECRET_KEY", "too-short-secret", "at least 32 characters"),
        ("RIM_ADMIN_PASSWORD", "short-pw", "12 to 128 characters"),
        ("RIM_ADMIN_PASSWORD", "Password1234", "none that is tried first"),
        ("DATABASE_URL", "mysql://root:hush@db/x", "postgresql://"),
        ("DATABASE_URL", "postgresql://a:hush@[broken/x", "postgresql://"),
        ("RIM_ATTACHMENTS", "ftp://files.example/hush", "RIM_HOME/attachments"),
        ("RIM_PROT", "8000", "did you mean RIM_PORT?"),
        ("RIM_COLOUR", "blue", "there are RIM_HOME"),
    ],
)
def test_a_bad_setting_is_named_in_one_line_with_what_would_be_right(
    name: str,
    value: str,
    hint: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit) as stop:
        Settings.load()
    said = capsys.readouterr()
    assert stop.value.code == 2
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert said.err.startswith(f"rim-ledger: {name} ")
    assert hint in said.err
    if name in ("RIM_SECRET_KEY", "RIM_ADMIN_PASSWORD", "DATABASE_URL"):
        assert value not in said.err
        assert "hush" not in said.err


def test_each_bad_setting_has_its_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RIM_PORT", "x")
    monkeypatch.setenv("RIM_ENV", "x")
    with pytest.raises(SystemExit):
        Settings.load()
    assert [line.split()[1] for line in capsys.readouterr().err.splitlines()] == [
        "RIM_PORT",
        "RIM_ENV",
    ]


def test_production_refuses_what_would_be_generated(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Settings.load()
    monkeypatch.setenv("RIM_ENV", "production")
    with pytest.raises(SystemExit):
        Settings.load()
    assert "RIM_SECRET_KEY must be set in production" in capsys.readouterr().err
    monkeypatch.setenv("RIM_SECRET_KEY", LONG)
    assert Settings.load().secret_key == LONG.encode()
    with pytest.raises(SystemExit):
        Settings.load(first_login=True)
    assert "RIM_ADMIN_PASSWORD must be set in production" in capsys.readouterr().err


def test_an_empty_setting_is_no_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIM_PORT", "")
    monkeypatch.setenv("DATABASE_URL", "")
    settings = Settings.load()
    assert (settings.port, settings.database_url) == (8000, None)


def test_proxies_are_networks_parted_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIM_TRUSTED_PROXIES", "10.0.0.0/8, ::1")
    assert [str(each) for each in Settings.load().trusted_proxies] == ["10.0.0.0/8", "::1/128"]


def test_origins_are_parted_by_commas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RIM_CORS_ORIGINS", "https://a.example, http://localhost:3000")
    assert Settings.load().cors_origins == ("https://a.example", "http://localhost:3000")


def test_settings_are_frozen_show_no_secret_and_each_says_what_is_right(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RIM_SECRET_KEY", LONG)
    monkeypatch.setenv("RIM_ADMIN_PASSWORD", "correct horse battery")
    monkeypatch.setenv("DATABASE_URL", "postgresql://a:hush@db/x")
    settings = Settings.load()
    assert not any(word in repr(settings) for word in (LONG, "horse", "hush"))
    with pytest.raises(ValidationError):
        settings.port = 1
    for name in Settings.model_fields:
        assert "default: " in description(name), name
    assert variable("database_url") == "DATABASE_URL"


def test_a_secret_is_made_once_whoever_comes_first_and_is_private(home: Path) -> None:
    before = os.umask(0)
    try:
        with ThreadPoolExecutor(16) as pool:
            secrets = set(pool.map(kept_secret, [home] * 64))
    finally:
        os.umask(before)
    assert len(secrets) == 1
    assert len(secrets.pop()) >= 32
    assert [each.name for each in home.iterdir()] == ["secret.key"]
    assert stat.S_IMODE((home / "secret.key").stat().st_mode) == 0o600
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


@pytest.mark.parametrize("harm", ["open to others", "too short", "a link", "a file in its way"])
def test_a_secret_that_is_no_good_is_refused_in_one_line(
    home: Path, harm: str, capsys: pytest.CaptureFixture[str]
) -> None:
    home.parent.mkdir(exist_ok=True)
    if harm == "a file in its way":
        home.touch()
    else:
        kept_secret(home)
    key = home / "secret.key"
    match harm:
        case "open to others":
            key.chmod(0o644)
        case "too short":
            key.write_text("short")
        case "a link":
            key.rename(home / "elsewhere")
            key.symlink_to(home / "elsewhere")
    with pytest.raises(SystemExit):
        Settings.load()
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert said.startswith("rim-ledger: RIM_HOME is not usable: ")


SECRETS = {
    "RIM_SECRET_KEY": LONG,
    "RIM_SECRET_KEY_PREVIOUS": LONG,
    "RIM_ADMIN_PASSWORD": "correct horse battery",
    "DATABASE_URL": "postgresql://a:hush@db/x",
    "RIM_DATABASE_OWNER_URL": "postgresql://owner:hush@db/x",
}


def test_a_file_may_hold_each_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in SECRETS.items():
        file = tmp_path / name
        file.write_text(f"{value}\n")
        monkeypatch.setenv(f"{name}_FILE", str(file))
    in_files = Settings.load()
    for name, value in SECRETS.items():
        monkeypatch.delenv(f"{name}_FILE")
        monkeypatch.setenv(name, value)
    assert in_files == Settings.load()
    assert in_files.secrets == [LONG.encode()] * 2


@pytest.mark.parametrize(
    ("held", "hint"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b"\r\n", "is empty"),
        (b"hush\xff" + LONG.encode(), "is not UTF-8 text"),
        (b"hush\0" + LONG.encode(), "is not UTF-8 text"),
        (b"hush" * 20_000, "has more than 65536 bytes"),
        (b"hush", "at least 32 characters"),
    ],
)
def test_a_file_that_holds_no_secret_is_named_and_its_content_is_not(
    held: bytes | None,
    hint: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    file = tmp_path / "key"
    if held is not None:
        file.write_bytes(held)
    said = _refused(file, monkeypatch, capsys)
    assert said.startswith("rim-ledger: RIM_SECRET_KEY")
    assert str(file) in said
    assert hint in said
    assert "hush" not in said


def test_what_is_no_regular_file_holds_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert f"{pipe} is not a regular file" in _refused(pipe, monkeypatch, capsys)
    assert f"{tmp_path} cannot be read: Is a directory" in _refused(tmp_path, monkeypatch, capsys)


def test_a_secret_and_a_file_of_it_are_not_both_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "key"
    file.write_text(LONG)
    monkeypatch.setenv("RIM_SECRET_KEY", "t" * 32)
    said = _refused(file, monkeypatch, capsys)
    both = "RIM_SECRET_KEY and RIM_SECRET_KEY_FILE are both set: unset one of them"
    assert said == f"rim-ledger: {both}\n"


def test_what_is_no_secret_has_no_file(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RIM_PORT_FILE", "/etc/port")
    with pytest.raises(SystemExit):
        Settings.load()
    assert "RIM_PORT_FILE is not a setting" in capsys.readouterr().err


def test_the_processes_of_up_get_no_secret_that_only_a_start_needs() -> None:
    names = ("RIM_ADMIN_PASSWORD", "rim_officer_password_file", "RIM_DATABASE_OWNER_URL_FILE")
    kept = {"DATABASE_URL_FILE": "/run/secrets/url", "RIM_SECRET_KEY_FILE": "/run/secrets/key"}
    assert inherited(dict.fromkeys(names, "x") | kept) == kept


def _refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> str:
    """What is said when a file is named that gives no secret key."""
    monkeypatch.setenv("RIM_SECRET_KEY_FILE", str(file))
    with pytest.raises(SystemExit) as stop:
        Settings.load()
    said = capsys.readouterr()
    assert (stop.value.code, said.out, said.err.count("\n")) == (2, "", 1)
    return said.err

"""Settings of the service: read once from the environment, validated, immutable."""

import os
import re
import sys
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Literal, NoReturn, Self

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict
from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from api.config.secret_file import SECRET_MIN, SecretUnusable, found_secret, kept_secret
from api.config.setting_files import FileUnusable, content
from rim_ledger.admin.passwords import FirstPassword
from rim_ledger.near import did_you_mean
from rim_ledger.system.backup_settings import StorageLocation
from rim_ledger.values import Email, Phone

PREFIX = "RIM_"


def _default_home() -> Path:
    if os.geteuid() == 0:
        return Path("/var/lib/rim-ledger")
    return Path.home() / ".local" / "share" / "rim-ledger"


def _postgres_url(url: str) -> str:
    if not url.startswith(("postgresql://", "postgres://")):
        raise ValueError
    try:
        conninfo_to_dict(url)
    except ProgrammingError:
        raise ValueError from None
    return url


def _store_url(url: str) -> str:
    if not re.match(r"(file|s3|gs|az)://[^\s]+$", url):
        raise ValueError
    return url


def _split(value: Any) -> Any:
    if isinstance(value, str):
        return [word.strip() for word in value.split(",") if word.strip()]
    return value


Absolute = Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())]
Origin = Annotated[str, Field(pattern=r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$")]
Origins = Annotated[tuple[Origin, ...], NoDecode, BeforeValidator(_split)]
Recipients = Annotated[tuple[Phone | Email, ...], NoDecode, BeforeValidator(_split)]
Networks = Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode, BeforeValidator(_split)]


class Settings(BaseSettings):
    """All settings, each optional: RIM_ and the field's name, but DATABASE_URL.

    What stands below a field is in its errors and in the reference. The value of one without
    `repr` is never shown or logged, and a file may hold it: then the variable with _FILE at its end
    names the file.
    """

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_ignore_empty=True,
        frozen=True,
        hide_input_in_errors=True,
        validate_default=False,
        use_attribute_docstrings=True,
    )

    home: Absolute = Field(default_factory=_default_home)
    """the directory of everything that is kept; default: /var/lib/rim-ledger for root,
    ~/.local/share/rim-ledger for others"""
    host: str = Field(default="127.0.0.1", pattern=r"^[A-Za-z0-9.:_-]+$")
    """the address or host name to listen on; default: 127.0.0.1"""
    port: int = Field(default=8000, ge=0, le=65535)
    """the TCP port to listen on, 1 to 65535, or 0 for any free one; default: 8000"""
    workers: int = Field(default=1, ge=1, le=64)
    """the number of API processes, 1 to 64; one writes fastest, more add reading; default: 1"""
    database_url: Annotated[str, AfterValidator(_postgres_url)] | None = Field(
        default=None, validation_alias="DATABASE_URL", repr=False
    )
    """the URL of a PostgreSQL 15 or newer, postgresql://user:password@host:port/name; default: a
    PostgreSQL of our own in RIM_HOME/postgres"""
    database_owner_url: Annotated[str, AfterValidator(_postgres_url)] | None = Field(
        default=None, repr=False
    )
    """the same database's URL as the role that owns its tables: for init, up, rebuild, restore and
    rotate-keys; default: DATABASE_URL"""
    admin_password: FirstPassword | None = Field(default=None, repr=False)
    """the password of the first super-admin `admin`, 12 to 128 characters, none that is tried
    first; default: one is made and printed once"""
    officer_password: FirstPassword | None = Field(default=None, repr=False)
    """the password of the loan officer `officer`, whom the first start of an empty ledger makes in
    development, and there only: 12 to 128 characters, none that is tried first; default: one is
    made and printed once"""
    secret_key: bytes = Field(
        default=b"",
        min_length=SECRET_MIN,
        repr=False,
        description=f"the secret that wraps the ring of keys, at least {SECRET_MIN} characters; "
        "rim-ledger rotate-keys changes it; default: the file RIM_HOME/secret.key",
    )
    secret_key_previous: bytes = Field(
        default=b"",
        min_length=SECRET_MIN,
        repr=False,
        description=f"while it is being changed, the RIM_SECRET_KEY before, at least {SECRET_MIN} "
        "characters; default: none",
    )
    env: Literal["development", "production"] = "development"
    """development or production, which refuses generated secrets and simulators; default:
    development"""
    public_url: str = Field(
        default="", pattern=r"^https?://[A-Za-z0-9._:\[\]-]+(/[A-Za-z0-9._~/-]*[A-Za-z0-9._~-])?$"
    )
    """the address under which clients reach the service, without a slash at the end, such as
    https://ledger.example.com; events name their schemas under it; default: none, and they name the
    path alone"""
    rate_limit: int = Field(default=120_000, ge=0)
    """the requests that one caller may make in a minute to each API process, a tenth of them
    without a session, or 0 for any number; default: 120000"""
    late_seconds_max: int = Field(default=10, ge=1)
    """the seconds that the follower, the sealer or the clock may be behind, or give no sign of
    life, while the service still counts as ready; default: 10"""
    cors_origins: Origins = ()
    """the origins, parted by commas, whose pages may ask this API from a browser, such as
    https://desk.example.com; default: none"""
    trusted_proxies: Networks = ()
    """the addresses or networks, parted by commas, whose X-Forwarded-For is believed, such as
    10.0.0.0/8; default: none"""
    test_recipients: Recipients = Field(default=(), repr=False)
    """phones and e-mail addresses, parted by commas, that staff may send test messages to beside
    their own recorded ones; default: none"""
    attachments: Annotated[str, AfterValidator(_store_url)] | None = Field(default=None, repr=False)
    """the URL of an object store for the files of tickets, file:///a/directory, s3://bucket/prefix,
    gs://… or az://…, whose own variables name the credentials; default: RIM_HOME/attachments"""
    backups: Annotated[str, AfterValidator(_store_url)] | None = Field(default=None, repr=False)
    """the URL of an object store for backups whose storage location is cloud, as of
    RIM_ATTACHMENTS; default: none, and they lie in RIM_HOME/backups"""
    log_format: Literal["text", "json"] = "text"
    """text or json, an object a line, of what each process logs on standard error; default: text"""
    access_log: bool = False
    """true or false: whether each answer of the API is logged, by method, route, status and
    milliseconds; default: false"""
    pg_user: str | None = None
    """the account that runs our own PostgreSQL when root starts it; default: postgres, or else
    nobody"""

    @property
    def storage_url(self) -> str:
        """The URL of the attachment store."""
        return self.attachments or (self.home / "attachments").as_uri()

    @property
    def backup_urls(self) -> dict[StorageLocation, str]:
        """The URL of backups, for each storage location that is configured."""
        local = {StorageLocation.LOCAL: (self.home / "backups").as_uri()}
        return local | ({StorageLocation.CLOUD: self.backups} if self.backups else {})

    @property
    def production(self) -> bool:
        """True in production: nothing is generated or simulated."""
        return self.env == "production"

    @property
    def secrets(self) -> list[bytes]:
        """The master secret, and the previous one during a rotation."""
        return [each for each in (self.secret_key, self.secret_key_previous) if each]

    @classmethod
    def load(cls, *, first_login: bool = False, keyless: bool = False) -> Self:
        """Read the settings; without a secret key, one is made and stored in RIM_HOME.

        `first_login` says that an admin may be made now; `keyless` that no secret key is needed or
        made. Raises SystemExit(2) after a line for each bad setting on standard error.
        """
        if unknown := list(_unknown(os.environ)):
            _refuse(*unknown)
        try:
            settings = cls(**_in_files(os.environ))
        except ValidationError as error:
            _refuse(*_complaints(error))
        if settings.production and first_login and not settings.admin_password:
            _refuse(f"RIM_ADMIN_PASSWORD must be set in production: {_right('admin_password')}")
        if settings.secret_key:
            return settings
        if keyless:
            found = b"" if settings.production else found_secret(settings.home)
            return settings.model_copy(update={"secret_key": found})
        if settings.production:
            _refuse(f"RIM_SECRET_KEY must be set in production: {_right('secret_key')}")
        try:
            key = kept_secret(settings.home)
        except (OSError, SecretUnusable) as error:
            _refuse(f"RIM_HOME is not usable: {error}")
        return settings.model_copy(update={"secret_key": key})

    def on(self, url: str) -> Self:
        """The same settings for another database URL."""
        return self.model_copy(update={"database_url": url})


def variable(field: str) -> str:
    """The environment variable of a field."""
    return str(Settings.model_fields[field].validation_alias or PREFIX + field.upper())


def description(field: str) -> str:
    """What a field holds, on one line."""
    return " ".join((Settings.model_fields[field].description or "").split())


def variables(field: str) -> list[str]:
    """The environment variable of a field and, if it is a secret, that of a file that holds it."""
    name = variable(field)
    return [name] if Settings.model_fields[field].repr else [name, f"{name}_FILE"]


def _right(field: str) -> str:
    return f"it is {description(field)}."


def _unknown(environment: Mapping[str, str]) -> Iterator[str]:
    known = [name for field in Settings.model_fields for name in variables(field)]
    for name in sorted(environment):
        if name.upper().startswith(PREFIX) and name.upper() not in known:
            meant = did_you_mean(name, known) or f": there are {', '.join(known)}."
            yield f"{name} is not a setting{meant}"


def _in_files(environment: Mapping[str, str]) -> dict[str, Any]:
    """The settings that files hold, by what pydantic takes them by."""
    given = {name.upper(): value for name, value in environment.items() if value}
    found, complaints = dict[str, Any](), list[str]()
    for field, declared in Settings.model_fields.items():
        name, *files = variables(field)
        for file in (each for each in files if each in given):
            try:
                found[str(declared.validation_alias or field)] = content(Path(given[file]))
            except FileUnusable as error:
                complaints.append(f"{file} is not right: {error}. {name} is {description(field)}.")
            if name in given:
                complaints.append(f"{name} and {file} are both set: unset one of them")
    if complaints:
        _refuse(*complaints)
    return found


def _complaints(error: ValidationError) -> Iterator[str]:
    bad = {str(each["loc"][0]): each for each in error.errors(include_url=False)}
    for field, declared in Settings.model_fields.items():
        name = variable(field)
        if field in bad or name in bad:
            value = os.environ.get(name, "")[:60]
            file = os.environ.get(f"{name}_FILE")
            shown = f" ({value!r})" if declared.repr else f" (of the file {file})" if file else ""
            yield f"{name} is not right{shown}: {_right(field)}"


def _refuse(*complaints: str) -> NoReturn:
    for complaint in complaints:
        print(f"rim-ledger: {complaint}", file=sys.stderr)  # noqa: T201 - before any logging
    raise SystemExit(2)

"""Roles of the embedded PostgreSQL, each with a secret in a file."""

import os
import secrets
from pathlib import Path
from typing import Final

from rim_ledger.postgres.programs import PostgresPrograms, PostgresUnavailable

OWNER: Final = "rim_owner"
"""Owns the tables, as a superuser: it creates and migrates them, and does nothing else."""
SERVICE: Final = "rim_service"
"""The role of the service's processes: it may append to the log, and never change it."""

RULES: Final = """\
# Written by RIM Ledger, and again whenever it reads otherwise.
local all all scram-sha-256
"""

# In single-user mode a line is a statement, and every error ends it, also one that is caught.
MAKE: Final = """\
DO $$ BEGIN IF to_regrole('{service}') IS NULL THEN CREATE ROLE {service}; END IF; END $$
ALTER ROLE {service} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
ALTER ROLE {service} PASSWORD '{service_secret}'
ALTER ROLE {owner} PASSWORD '{owner_secret}'
"""

SETTINGS: Final = ("-c", "exit_on_error=on", "-c", "scram_iterations=1")
"""The secrets have 256 random bits, so more iterations add no protection."""


def passfile(home: Path, role: str) -> Path:
    """Return the file with a role's secret, in the format of libpq."""
    return home / f"{role}.pgpass"


class Logins:
    """The roles' secrets, one libpq file (`passfile`) each, readable by us only; and the rule that
    every log-in needs one."""

    def __init__(self, home: Path, programs: PostgresPrograms) -> None:
        self._home, self._programs = home, programs

    def require(self) -> None:
        """Raise PostgresUnavailable if a server runs that admits log-ins without a secret."""
        if not self._kept():
            raise PostgresUnavailable(
                f"{self._home} is in use by an earlier version of the program: stop that first"
            )

    def settle(self, data: Path, server_lock: int) -> None:
        """Before a data directory's server starts, make sure that it admits these secrets only."""
        rules = data / "pg_hba.conf"
        if not self._kept():
            found = {role: secrets.token_hex(32) for role in (OWNER, SERVICE)}
            text = MAKE.format(
                owner=OWNER,
                service=SERVICE,
                owner_secret=found[OWNER],
                service_secret=found[SERVICE],
            )
            command = (*SETTINGS, "template1")
            self._programs.run(
                "postgres", "--single", data, *command, text=text, inherit=(server_lock,)
            )
            for role, secret in found.items():
                _write(passfile(self._home, role), f"*:*:*:{role}:{secret}\n")
        if rules.read_text() != RULES:
            _write(rules, RULES)
            self._programs.hand_over(rules)

    def _kept(self) -> bool:
        return all(passfile(self._home, role).exists() for role in (OWNER, SERVICE))


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner may read, atomically."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(file, "w") as target:
        target.write(text)
        target.flush()
        os.fsync(file)
    new.rename(path)

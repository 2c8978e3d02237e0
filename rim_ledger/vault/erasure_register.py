"""The erasure register: a file of erased persons, so that a restore cannot undo an erasure."""

import json
import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final
from uuid import UUID

from psycopg import AsyncConnection

from rim_ledger.engine.environment import Environment
from rim_ledger.engine.ledger import Ledger
from rim_ledger.engine.unit_of_work import UnitOfWork

NAME: Final = "erasures"
"""The file in RIM_HOME: a line of JSON per person, with the id and no other personal data."""

ERASED: Final = "SELECT person FROM ledger.personal_keys WHERE wrapped IS NULL"
LEFT: Final = """
SELECT person FROM ledger.personal_keys
 WHERE wrapped IS NOT NULL
   AND (person = ANY (%s)
        OR person IN (SELECT stream_id FROM ledger.events WHERE name = 'UserErased'))"""

log = logging.getLogger(__name__)


class ErasureRegister:
    """The register. It is append-only; repeated lines are harmless."""

    def __init__(self, home: Path, environment: Environment) -> None:
        self.path, self._environment = home / NAME, environment

    def note(self, persons: Iterable[UUID]) -> None:
        """Add persons who were just erased. If that fails, the next start adds them from the
        database."""
        try:
            self.add(persons)
        except OSError as error:
            log.error("an erasure could not be put down in %s: %s", self.path, error.strerror)  # noqa: TRY400

    def add(self, persons: Iterable[UUID]) -> None:
        """Add persons; on disk when this returns."""
        at = f"{self._environment.now():%Y-%m-%dT%H:%M:%S.%fZ}"
        lines = [json.dumps({"person": str(person), "at": at}) for person in persons]
        if not lines:
            return
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            os.write(file, "".join(f"{line}\n" for line in lines).encode())
            os.fsync(file)
        finally:
            os.close(file)

    def persons(self) -> set[UUID]:
        """Return all persons in it."""
        if not self.path.exists():
            return set()
        lines = self.path.read_text().splitlines()
        return {UUID(json.loads(line)["person"]) for line in lines if line.strip()}

    async def settle(
        self, url: str, ledger: Ledger, erase_again: Callable[[UUID], Callable[[UnitOfWork], None]]
    ) -> int:
        """Reconcile register and ledger: a person in either is erased in both. Returns how many
        were erased again, each by the decision that `erase_again` returns for an id."""
        known = self.persons()
        async with await AsyncConnection.connect(url, autocommit=True) as connection:
            cursor = await connection.execute(ERASED)
            erased = {person async for (person,) in cursor}
            cursor = await connection.execute(LEFT, [list(known)])
            left = [person async for (person,) in cursor]
        self.add(sorted(erased - known))
        for person in left:
            await ledger.run(erase_again(person))
        return len(left)

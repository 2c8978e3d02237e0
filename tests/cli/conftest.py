"""A service of its own for each test that asks for one, and a ledger to lose."""

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import psycopg
import pytest

from api.cli import main
from projections.proofs import sealer
from tests.cli.lost import DATABASE, Ledger
from tests.cli.service import Service, a_service
from tests.cli.trial import PASSWORD

SECRET = "the master secret of these tests, of many words"


@pytest.fixture
def service() -> Iterator[Service]:
    with a_service(forked=True) as service:
        yield service


@pytest.fixture
def other() -> Iterator[Service]:
    """A second service, such as one that is restored."""
    with a_service(forked=True) as service:
        yield service


BEGUN: Final = "template_lost"


@pytest.fixture(scope="session")
def begun(server: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The template of a ledger with its first admin; init leaves nothing at its home."""
    ledger = Ledger(tmp_path_factory.mktemp("begun"), server, str)
    with pytest.MonkeyPatch.context() as patch:
        set_up(ledger, patch)
        ledger.wipe()
        main.init()
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"ALTER DATABASE {DATABASE} RENAME TO {BEGUN}".encode())
    assert not ledger.home.exists()
    return BEGUN


@pytest.fixture
def ledger(
    tmp_path: Path,
    server: str,
    begun: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Ledger:
    """A ledger with its first admin, nothing of it signed yet."""
    monkeypatch.setattr(sealer, "EVERY_SECONDS", 0.0)
    ledger = Ledger(tmp_path, server, lambda: capsys.readouterr().out)
    set_up(ledger, monkeypatch)
    ledger.wipe(begun)
    return ledger


def set_up(ledger: Ledger, patch: pytest.MonkeyPatch) -> None:
    """Let the commands of this process be about a ledger."""
    patch.setenv("RIM_HOME", str(ledger.home))
    patch.setenv("DATABASE_URL", ledger.url)
    patch.setenv("RIM_SECRET_KEY", SECRET)
    patch.setenv("RIM_ADMIN_PASSWORD", PASSWORD)

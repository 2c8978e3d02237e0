"""A service of its own for each test that asks for one, and a ledger to lose."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.cli import main
from projections.proofs import sealer
from tests.cli.lost import Ledger
from tests.cli.service import Service, a_service
from tests.cli.trial import PASSWORD

SECRET = "the master secret of these tests, of many words"


@pytest.fixture
def service() -> Iterator[Service]:
    with a_service() as service:
        yield service


@pytest.fixture
def ledger(
    tmp_path: Path, server: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Ledger:
    """A ledger with its first admin, nothing of it signed yet."""
    monkeypatch.setattr(sealer, "EVERY_SECONDS", 0.0)
    ledger = Ledger(tmp_path, server, lambda: capsys.readouterr().out)
    monkeypatch.setenv("RIM_HOME", str(ledger.home))
    monkeypatch.setenv("DATABASE_URL", ledger.url)
    monkeypatch.setenv("RIM_SECRET_KEY", SECRET)
    monkeypatch.setenv("RIM_ADMIN_PASSWORD", PASSWORD)
    ledger.wipe()
    main.init()
    return ledger

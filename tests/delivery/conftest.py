"""However busy the machine is, who answers is heard."""

import pytest

from rim_ledger.delivery import egress


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CALL_TIMEOUT_SECONDS", "CONNECT_TIMEOUT_SECONDS"):
        monkeypatch.setattr(egress, name, 60.0)

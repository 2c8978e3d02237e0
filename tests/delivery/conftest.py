"""However busy the machine is, who answers is heard."""

import pytest

from rim_ledger.delivery import egress, providers


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (egress, "CALL_TIMEOUT_SECONDS"),
        (egress, "CONNECT_TIMEOUT_SECONDS"),
        (providers, "CALL_TIMEOUT_SECONDS"),
    ):
        monkeypatch.setattr(module, name, 60.0)

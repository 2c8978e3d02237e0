"""Unlocking an account on the machine, while the service runs."""

import httpx

from tests.cli.service import PATIENCE, Service, stop
from tests.cli.trial import PASSWORD


def test_a_locked_account_is_let_try_again_at_once(service: Service) -> None:
    process, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD, RIM_WORKERS="2")

    def log_in(password: str) -> int:
        body = {"username": "admin", "password": password}
        return httpx.post(f"{url}/v1/auth/login", json=body, timeout=PATIENCE).status_code

    assert [log_in("not the right one") for _ in range(6)] == [401] * 5 + [429]
    assert log_in(PASSWORD) == 429
    unlocked = service.run("unlock", "Admin")
    assert (unlocked.returncode, unlocked.stdout) == (0, "failures forgotten: 5\n")
    assert log_in(PASSWORD) == 200
    stop(process)

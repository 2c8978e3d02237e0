"""Providers on this machine, connected over HTTP: they are called, and call back."""

from typing import Any, Final

from tests.api.conftest import Client
from tests.api.routes.test_callbacks import INTEGRATIONS, SECRET, Gateway

DELIVERED: Final = "top-up.delivered"
FAILED: Final = "top-up.failed"


async def connected(admin: Client, url: str, **more: Any) -> Gateway:
    """An active integration of a provider that answers there, which signs with SECRET."""
    body = {"name": "VTU", "type": "telecom", "provider": "vtu", "baseUrl": url}
    made = await admin.post(INTEGRATIONS, body | {"apiSecret": SECRET} | more)
    assert made.status_code == 201, made.text
    for step in ("test", "activate"):
        done = await admin.post(f"{INTEGRATIONS}/{made.json()['id']}/{step}")
        assert done.status_code == 200, done.text
    return Gateway(admin, made.json()["id"])


async def approved(admin: Client, number: int = 0, amount: float = 100) -> tuple[str, str]:
    """A loan that may be disbursed: its path, and the reference that its top-up will have."""
    user = await admin.user(number)
    wish = {"userId": user["id"], "amount": amount, "network": "MTN"}
    made = await admin.post("/v1/loans", wish)
    assert made.status_code == 201, made.text
    return f"/v1/loans/{made.json()['id']}", f"DSB-{made.json()['loanId']}-1"


async def asked(admin: Client, officer: Client, number: int = 0) -> tuple[str, str]:
    """A loan whose top-up was asked for: its path and the reference."""
    loan, reference = await approved(admin, number)
    for step in ("approve", "disburse"):
        done = await officer.post(f"{loan}/{step}")
        assert done.status_code == 200, done.text
    return loan, reference


def word(type_: str, reference: str, **said: Any) -> dict[str, Any]:
    """The body of a callback."""
    return {"type": type_, "data": {"reference": reference, **said}}

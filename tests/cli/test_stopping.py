"""The service is asked to stop while somebody sends and does not read."""

import json
import re
import socket

import httpx
import pytest

from tests.cli.service import PATIENCE, Service, stop, wait_for
from tests.cli.test_seals import PASSWORD

LINES, REGISTERED = 20_000, 50


@pytest.mark.parametrize("whole", [False, True], ids=["goes on sending", "has sent everything"])
def test_a_bulk_answer_that_nobody_reads_ends_in_one_line(service: Service, *, whole: bool) -> None:
    process, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
    body = {"username": "admin", "password": PASSWORD}
    token = httpx.post(f"{url}/v1/auth/login", json=body, timeout=PATIENCE).json()["token"]
    address = httpx.URL(url)
    users = [
        {"phone": f"0803{n:07}", "email": f"u{n}@example.com", "name": "Ada"}
        for n in range(REGISTERED)
    ]
    commands = [{"op": "POST /v1/users", "body": each} for each in users]
    commands += [{"op": "POST /v1/" + "x" * 300} for _ in range(LINES - REGISTERED)]
    sent = b"".join(json.dumps(each).encode() + b"\n" for each in commands)
    head = [
        "POST /v1/bulk HTTP/1.1",
        "Host: rim.test",
        f"Authorization: Bearer {token}",
        "Content-Type: application/x-ndjson",
        f"Content-Length: {len(sent) + (not whole)}",
    ]
    with socket.create_connection((address.host, address.port)) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sender.sendall("\r\n".join([*head, "", ""]).encode() + sent)
        found = {"Authorization": f"Bearer {token}"}

        def registered() -> bool:
            users = httpx.get(f"{url}/v1/users?limit=200", headers=found, timeout=PATIENCE)
            return len(users.json()["items"]) == REGISTERED

        wait_for(registered)
        said = stop(process)
    lines = [each for each in said.splitlines() if "rim-ledger:" not in each]
    assert len(lines) == 1, said
    told = re.search(r"the answer broke off with 503; of (\d+) lines that were read (\d+)", said)
    assert told, said
    assert int(told[2]) == REGISTERED
    assert REGISTERED <= int(told[1]) <= LINES

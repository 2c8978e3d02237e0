"""An analyst's key, and the log as a file: over HTTP, by the processes that people run."""

import io
import shutil
import subprocess
from pathlib import Path

import httpx
import pyarrow.parquet as pq
import pytest

from tests.cli.service import PATIENCE, Service, stop, wait_for
from tests.cli.test_seals import PASSWORD

EVENTS = {"resource": "events", "actions": ["read"]}
USERS = {"resource": "users", "actions": ["read"]}


@pytest.mark.skipif(not shutil.which("curl"), reason="needs curl")
def test_an_analyst_fetches_the_log_with_a_key_of_their_own(
    service: Service, tmp_path: Path
) -> None:
    process, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
    with httpx.Client(base_url=url, timeout=PATIENCE) as http:

        def post(path: str, body: object = None) -> httpx.Response:
            answer = http.post(path, json=body)
            assert answer.is_success, answer.text
            return answer

        login = {"username": "admin", "password": PASSWORD}
        http.headers["authorization"] = f"Bearer {post('/v1/auth/login', login).json()['token']}"
        for number in range(3):
            body = {"phone": f"0803000000{number}", "email": f"u{number}@x.example", "name": "Ada"}
            post("/v1/users", body)
        wish = {"name": "reader", "permissions": [EVENTS, USERS]}
        role = post("/v1/admin-roles", wish).json()["id"]
        named = {"username": "halima", "email": "halima@rim.example"}
        her = post("/v1/admin-users", named | {"roleId": role, "password": PASSWORD}).json()["id"]
        wish = {"name": "notebook", "permissions": [EVENTS, USERS], "adminId": her}
        key = post("/v1/api-keys", wish).json()["key"]
        http.headers["authorization"] = f"Bearer {key}"
        where = post("/v1/exports?type=UserRegistered").headers["location"]
        made = wait_for(lambda: (now := http.get(where).json())["status"] == "success" and now)
        whole = http.get(made["downloadUrl"]).content
        file = tmp_path / "users.parquet"
        file.write_bytes(whole[:1000])
        rest = ["curl", "-sf", "-C", "-", "-o", file, "-H", f"Authorization: Bearer {key}"]
        subprocess.run([*rest, f"{url}{made['downloadUrl']}"], check=True, timeout=PATIENCE)
        assert file.read_bytes() == whole
        rows = pq.read_table(io.BytesIO(whole)).to_pylist()
        assert [(row["name"], row["body"]) for row in rows] == [("UserRegistered", None)] * 3
    stop(process)

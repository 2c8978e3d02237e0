"""Files of tickets and backups in an object store that speaks S3: kept, and brought back from."""

import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.cli.service import PATIENCE, Service, stop, wait_for
from tests.cli.test_restore import PDF, SECRET, Lender, run
from tests.cli.trial import PASSWORD

pytestmark = pytest.mark.heavy


KEYS = {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-west-1"}


@pytest.fixture
def bucket(tmp_path: Path) -> Iterator[str]:
    """The address of a server with one empty bucket."""
    pytest.importorskip("moto.server", reason="needs the group `heavy`")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with (tmp_path / "log").open("w") as log:
        arguments = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
        server = subprocess.Popen(arguments, stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"

    def made() -> bool:
        with suppress(httpx.TransportError):
            return httpx.put(f"{url}/rim", content=PLACE, timeout=PATIENCE).is_success
        return False

    wait_for(made)
    yield url
    server.terminate()
    server.wait(PATIENCE)


PLACE = (
    b"<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint>"
    b"</CreateBucketConfiguration>"
)


def test_a_ledger_comes_back_from_a_bucket(service: Service, other: Service, bucket: str) -> None:
    cloud = KEYS | {"AWS_ENDPOINT_URL": bucket, "AWS_ALLOW_HTTP": "true"}
    ours = cloud | {"RIM_ATTACHMENTS": "s3://rim/files", "RIM_BACKUPS": "s3://rim/backups"}
    process, url, _ = service.up(**ours, RIM_SECRET_KEY=SECRET, RIM_ADMIN_PASSWORD=PASSWORD)
    with Lender(url) as lender:
        file = lender.attach(lender.ticket(lender.borrower(1)), PDF)
        wish = {"storageLocation": "cloud", "cloudProvider": "aws"}
        lender.http.patch("/v1/backup-settings", json=wish).raise_for_status()
        said = run(service, "backup", **ours)
        assert lender.http.get(file).content == PDF
    stop(process)
    listed = httpx.get(f"{bucket}/rim?list-type=2", timeout=PATIENCE).text
    kept = re.findall(r"<Key>(\S+?)</Key>", listed)
    assert [name.partition("/")[0] for name in kept] == ["backups", "files"]
    assert not (service.home / "attachments").exists()
    assert kept[0] in said
    shutil.rmtree(service.home)

    theirs = cloud | {"RIM_ATTACHMENTS": "s3://rim/again"}
    run(other, "restore", f"s3://rim/{kept[0]}", **theirs)
    process, url, _ = other.up(**theirs, RIM_SECRET_KEY=SECRET)
    with Lender(url) as lender:
        assert lender.http.get(file).content == PDF
    stop(process)

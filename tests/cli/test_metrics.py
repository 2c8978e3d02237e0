"""Whichever API process a scrape meets, it tells what all of them count."""

import contextlib
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest

from tests.cli.service import PATIENCE, Service, a_service, is_ready, stop, wait_for
from tests.cli.trial import PASSWORD

COUNTED = re.compile(
    r'rim_http_requests_total{method="GET",route="/v1/users",status="401"} (\d+)\.0'
)


@pytest.fixture
def service() -> Iterator[Service]:
    """A service whose processes import the metrics by themselves, in the way that they are told."""
    with a_service() as service:
        yield service


def workers(service: Service) -> list[psutil.Process]:
    """The API processes that live."""
    found = []
    for each in service.processes():
        with contextlib.suppress(psutil.Error):
            if each.cmdline()[3:5] == ["api.cli.child", "serve"]:
                found.append(each)
    return found


def counted(url: str) -> set[int]:
    """What twenty scrapes say, each on a connection of its own."""
    texts = [httpx.get(f"{url}/metrics", timeout=PATIENCE).text for _ in range(20)]
    return {int(found[1]) for found in map(COUNTED.search, texts) if found}


def test_a_scrape_tells_what_all_api_processes_count(service: Service) -> None:
    process, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD, RIM_WORKERS="2")
    both = wait_for(lambda: len(found := workers(service)) == 2 and found)
    link = service.home / "metrics"
    place = link.readlink()
    # Only the other one answers while one stands still.
    for still, requests in zip(both, (30, 12), strict=True):
        still.suspend()
        for _ in range(requests):
            assert httpx.get(f"{url}/v1/users", timeout=PATIENCE).status_code == 401
        still.resume()
    assert counted(url) == {42}
    assert len(list(place.glob("counter_*.db"))) == 2

    both[0].kill()  # What it counted is not lost with it.
    both[0].wait(PATIENCE)
    wait_for(lambda: len(workers(service)) == 2 and is_ready(url))
    assert counted(url) == {42}

    process.send_signal(signal.SIGKILL)
    wait_for(lambda: not service.processes())
    process, url, _ = service.up(RIM_WORKERS="2")
    assert not place.exists()
    place = link.readlink()
    assert counted(url) == set()
    stop(process)
    assert not place.exists()
    assert not link.is_symlink()


def test_one_api_process_alone_shares_nothing(service: Service) -> None:
    process, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
    assert httpx.get(f"{url}/v1/users", timeout=PATIENCE).status_code == 401
    assert counted(url) == {1}
    assert not Path(service.home / "metrics").is_symlink()
    stop(process)

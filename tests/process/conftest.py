"""A service of its own for each test that asks for one."""

from collections.abc import Iterator

import pytest

from tests.process.service import Service, a_service


@pytest.fixture
def service() -> Iterator[Service]:
    with a_service() as service:
        yield service

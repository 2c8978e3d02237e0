"""What was answered after each of many commands is answered again as of then (make soak).

SOAK_COMMANDS says after how many.
"""

import os

import pytest

from tests.api.conftest import begin, running
from tests.api.pipeline.test_past import COMMANDS, READS, lives, require_same

WANTED = int(os.environ.get("SOAK_COMMANDS", "500"))

pytestmark = pytest.mark.soak


async def test_the_past_is_answered_byte_for_byte_as_it_was_then(database: str) -> None:
    await begin(database)
    async with running(database) as admin:
        clerk = await admin.take_on("clerk", *READS)
        seen = await lives(admin, clerk, -(-WANTED // COMMANDS))
        assert len(seen) >= WANTED
        await require_same(admin, clerk, seen)

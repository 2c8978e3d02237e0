"""A database that was away: whoever asks first when it is back is answered."""

import asyncio

import psycopg

from tests.api.conftest import Client
from tests.api.routes.test_support import Context

END = """SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid()"""


async def test_readers_uploads_and_log_ins_go_well_as_soon_as_it_is_back(
    admin: Client, database: str
) -> None:
    context = await Context(admin).begin()
    path = f"/v1/tickets/{await context.open()}"
    many = [admin.get("/v1/tickets") for _ in range(16)]  # Every reading connection is used.
    assert {each.status_code for each in await asyncio.gather(*many)} == {200}
    for _ in range(2):
        with psycopg.connect(database, autocommit=True) as connection:
            connection.execute(END)
        file = {"file": ("a.txt", b"It did not come.")}
        sent = await admin.post(f"{path}/attachments", files=file)
        assert sent.status_code == 201, sent.text
        seen, paths = await admin.caught_up(), ("/v1/tickets", path, sent.json()["url"])
        read = [admin.get(each, headers=seen) for each in paths * 6]
        assert [each.status_code for each in await asyncio.gather(*read)] == [200] * 18
        assert (await admin.as_("admin")).headers

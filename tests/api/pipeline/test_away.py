"""A database that was away: whoever asks first when it is back is answered."""

import asyncio

import psycopg

from tests.api.conftest import Client, Tell
from tests.api.routes.test_support import Context

END = """SELECT pg_terminate_backend(pid, 30000) FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid()"""


def test_readers_uploads_and_log_ins_go_well_as_soon_as_it_is_back(
    tell: Tell, database: str
) -> None:
    async def story(lead: Client) -> None:
        context = await Context(lead).begin()
        path = f"/v1/tickets/{await context.open()}"
        many = [lead.get("/v1/tickets") for _ in range(16)]  # Every reading connection is used.
        assert {each.status_code for each in await asyncio.gather(*many)} == {200}
        for _ in range(2):
            with psycopg.connect(database, autocommit=True) as connection:
                connection.execute(END)
            file = {"file": ("a.txt", b"It did not come.")}
            sent = await lead.post(f"{path}/attachments", files=file)
            assert sent.status_code == 201, sent.text
            seen, paths = await lead.caught_up(), ("/v1/tickets", path, sent.json()["url"])
            read = [lead.get(each, headers=seen) for each in paths * 6]
            assert [each.status_code for each in await asyncio.gather(*read)] == [200] * 18
            assert (await lead.as_("admin")).headers

    tell(story)

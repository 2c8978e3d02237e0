"""How the service stands: where it answers, how long the log is, who lags behind."""

import contextlib
import http.client
from http import HTTPStatus
from typing import Any

import psycopg

from api.installation.database import CONNECT, Unfit, shown
from api.installation.settings import Settings
from rim_ledger.postgres import EmbeddedPostgres

HEAD = "SELECT coalesce(max(position), 0) FROM ledger.events"
FOLLOWERS = """
SELECT name, position FROM read.tracking
 UNION ALL SELECT 'seals', coalesce(max(size), 0) FROM ledger.checkpoints ORDER BY name"""


def status(settings: Settings) -> dict[str, Any]:
    """The standing as JSON: lag is in events. Starts nothing; Unfit when nothing runs."""
    url = settings.database_url or EmbeddedPostgres.running(settings.home / "postgres")
    if url is None:
        raise Unfit(f"nothing runs on {settings.home}: start it with rim-ledger up")
    try:
        with psycopg.connect(url, connect_timeout=CONNECT) as connection:
            ((head,),) = connection.execute(HEAD).fetchall()
            followers = connection.execute(FOLLOWERS).fetchall()
    except psycopg.errors.UndefinedTable as error:
        raise Unfit("this database holds no ledger of this version: run rim-ledger init") from error
    return {
        "address": f"http://{settings.host}:{settings.port}",
        "ready": is_ready(settings.host, settings.port),
        "database": shown(url),
        "position": head,
        "followers": [
            {"name": name, "position": position, "lag": max(0, head - position)}
            for name, position in followers
        ],
    }


def is_ready(host: str, port: int) -> bool:
    """Whether the API there says that it is ready."""
    open_to_all = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - what is compared
    connection = http.client.HTTPConnection(open_to_all.get(host, host), port, timeout=1)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request("GET", "/readyz")
        return connection.getresponse().status == HTTPStatus.OK
    return False


def text(now: dict[str, Any]) -> str:
    """The standing in lines, for people."""
    lines = [
        f"address   {now['address']} ({'ready' if now['ready'] else 'not ready'})",
        f"database  {now['database']}",
        f"position  {now['position']}",
    ]
    lines += [f"follower  {each['name']}: {each['lag']} behind" for each in now["followers"]]
    return "\n".join(lines)

"""A lost sole super-admin is let in again on the machine, and everybody can see that."""

import re

import httpx
import psycopg

from api.cli.admin_commands import operator
from rim_ledger.postgres.server import EmbeddedPostgres
from tests.cli.service import PATIENCE, Service, stop
from tests.cli.trial import PASSWORD


def test_a_lost_super_admin_gets_in_again_and_it_is_told(service: Service) -> None:
    process, url, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)

    def log_in(password: str) -> httpx.Response:
        body = {"username": "admin", "password": password}
        return httpx.post(f"{url}/v1/auth/login", json=body, timeout=PATIENCE)

    def bearer(token: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {token}"}

    before = bearer(log_in(PASSWORD).json()["token"])
    assert [log_in("not the right one").status_code for _ in range(6)][-1] == 429

    foreign = service.run("admin", "reset", "admin", RIM_SECRET_KEY="another secret " * 3)
    assert (foreign.returncode, foreign.stderr.count("\n")) == (1, 1), foreign.stderr
    nobody = service.run("admin", "reset", "nobody")
    assert (nobody.returncode, nobody.stderr) == (1, "rim-ledger: There is no admin nobody.\n")
    officer = service.run("admin", "reset", "officer")
    assert (officer.returncode, officer.stderr.count("\n")) == (1, 1)
    assert "active super-admins" in officer.stderr

    done = service.run("admin", "reset", "Admin")
    assert done.returncode == 0, done.stderr
    (password,) = re.findall(r"the password of Admin is (\S+) \(shown only once\)", done.stdout)
    assert log_in(PASSWORD).status_code == 401
    after = bearer(log_in(password).json()["token"])
    me = f"{url}/v1/auth/me"
    assert httpx.get(me, headers=before, timeout=PATIENCE).status_code == 401
    assert httpx.get(me, headers=after, timeout=PATIENCE).status_code == 200
    database = EmbeddedPostgres.running(service.home / "postgres")
    assert database
    with psycopg.connect(database) as connection:
        query = "SELECT body FROM ledger.events WHERE name = 'AdminAccessReset'"
        ((event,),) = connection.execute(query).fetchall()
        query = (
            "SELECT details FROM ledger.activity WHERE action = 'ResetAccess' ORDER BY timestamp"
        )
        logged = [details for (details,) in connection.execute(query)]
    assert operator() in str(event)
    assert password not in str(event)
    outcomes = ["not-found", "not-superadmin", "done"]
    assert logged == [{"outcome": each, "operator": operator()} for each in outcomes]
    stop(process)

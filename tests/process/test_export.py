"""The log written out by the command, and verified where there is no database."""

import json

from tests.process.service import Service, stop, wait_for
from tests.process.test_seals import PASSWORD, SEALING


def test_the_log_is_written_out_and_verified_without_its_database(service: Service) -> None:
    running, _, _ = service.up(RIM_ADMIN_PASSWORD=PASSWORD)
    kept, place = service.home / "checkpoints", str(service.home.parent / "out")
    wait_for((kept / "latest").exists, SEALING)
    size = int((kept / "latest").read_text().split("\n")[1])
    for _ in range(2):
        written = service.run("export", "--to", place)
        assert written.returncode == 0, written.stderr
        assert f"{size} events up to position {size}" in written.stdout
    lines = service.run("export", "--to", "-", "--from", "3")
    assert lines.returncode == 0, lines.stderr
    events = [json.loads(line) for line in lines.stdout.splitlines()]
    assert [each["position"] for each in events] == [*range(3, size + 1)]
    some = service.run("export", "--to", "-", "--types", "AdminCreated")
    (admin,) = [json.loads(line) for line in some.stdout.splitlines()]
    assert (admin["type"], admin["data"]["email"]) == ("AdminCreated", "***")
    stop(running)
    verified = service.run("verify", "--export", place, "--key", str(kept / "key"))
    assert verified.returncode == 0, verified.stderr
    assert f"{size} events" in verified.stdout
    for wrong in (["--types", "Nothing"], ["--from", "0"], ["--from", "2"]):
        refused = service.run("export", "--to", place, *wrong)
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1), refused.stderr

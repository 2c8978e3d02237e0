"""Who saw a borrower, with a proof that anybody can check offline."""

import json
import subprocess
import sys
from pathlib import Path

import psycopg

from tests.api.conftest import Client
from tests.api.routes.test_activity import LOG, lines
from tests.api.routes.test_proofs import SCRIPT, sealed


def checked(place: Path, key: str, proof: dict[str, object]) -> str:
    """What the script in the documents says of a proof."""
    (place / "key").write_text(key)
    (place / "proof").write_text(json.dumps(proof))
    words = [sys.executable, str(SCRIPT), "inclusion", str(place / "key"), str(place / "proof")]
    run = subprocess.run(words, capture_output=True, text=True, check=False)
    return run.stdout + run.stderr


async def test_a_look_at_a_borrower_is_proved_to_be_in_the_log(
    admin: Client, database: str, tmp_path: Path
) -> None:
    user = await admin.user()
    await admin.get(f"/v1/users/{user['id']}", headers=await admin.caught_up())
    line = (await lines(admin, persons=user["id"]))[0]
    path = f"{LOG}/{line['id']}/proof"
    unsealed, unknown = await admin.get(path), await admin.get(f"{LOG}/{user['id']}/proof")
    assert (unsealed.status_code, unsealed.json()["code"]) == (409, "not-sealed")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "not-found")
    await sealed(database)
    key = (await admin.get("/v1/checkpoint/key")).text
    proof = (await admin.get(path)).json()
    place, source, row = proof["entry"].split("\n", 2)
    assert (int(place), source) == (proof["position"], "activity")
    assert json.loads(row)["persons"] == [user["id"]]
    said = f"activity {place} is in the log of {proof['treeSize']} lines\n"
    assert checked(tmp_path, key, proof) == said
    false = proof | {"entry": proof["entry"].replace(user["id"], line["id"])}
    assert "the leaf is the hash of the entry" in checked(tmp_path, key, false)
    older = (await admin.get(f"{path}?treeSize={place}")).json()
    assert older["treeSize"] == int(place)
    too_small = await admin.get(f"{path}?treeSize=0")
    assert (too_small.status_code, too_small.json()["code"]) == (422, "invalid-parameter")


async def test_a_refused_request_is_proved_too(
    admin: Client, database: str, tmp_path: Path
) -> None:
    user = await admin.user()
    body = {"userId": user["id"], "amount": 999_999, "network": "MTN"}
    assert (await admin.post("/v1/loans", body)).status_code in (409, 422)
    await sealed(database)
    (row,) = (await admin.get("/v1/refused-requests")).json()["items"]
    proof = (await admin.get(f"/v1/refused-requests/{row['id']}/proof")).json()
    key = (await admin.get("/v1/checkpoint/key")).text
    assert "is in the log of" in checked(tmp_path, key, proof)
    clerk = await admin.take_on("clerk", {"resource": "users", "actions": ["read"]})
    denied = await clerk.get(f"/v1/refused-requests/{row['id']}/proof")
    assert denied.status_code == 403
    with psycopg.connect(database) as connection:
        query = "SELECT count(*) FROM ledger.refused_requests WHERE mac IS NULL"
        assert connection.execute(query).fetchone() == (0,)

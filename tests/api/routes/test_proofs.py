"""The verifiable log through HTTP, and its proofs verified by the script in the documents."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg

from projections.proofs.checkpoints import open_next_origin, signer
from projections.proofs.sealer import Sealer
from projections.proofs.signed_note import Checkpoint
from tests.api.conftest import WORLD, Client, vault_of

SCRIPT = Path(__file__).parents[3] / "docs" / "reference" / "verify.py"


async def sealed(database: str, page: int = 1_000) -> None:
    connection = await psycopg.AsyncConnection.connect(database, autocommit=True)
    vault = vault_of(database)
    async with connection:
        key = await signer(connection, vault, WORLD)
        sealer = Sealer(connection, key, vault, WORLD, page=page)
        while await sealer.advance():
            pass


async def restored(database: str, *kept: Checkpoint) -> None:
    """Go on under another key, as a restore does."""
    async with await psycopg.AsyncConnection.connect(database) as connection:
        await open_next_origin(connection, vault_of(database), WORLD, kept)


def verified(place: Path, **texts: str) -> tuple[int, str]:
    """What the script says of these files, with nothing but its own imports."""
    if "older" not in texts:
        given = [name for name in ("key", "proof", "checkpoint") if name in texts]
        return scripted(place, "inclusion", *given, **texts)
    more = [
        f"--{name.replace('_', '-')}={name}"
        for name in ("checkpoint", "older_key")
        if name in texts
    ]
    return scripted(place, "consistency", "key", "proof", "older", *more, **texts)


def scripted(place: Path, *words: str, **texts: str) -> tuple[int, str]:
    for name, text in texts.items():
        (place / name).write_text(f"{text}\n")  # As `ask` of the README writes it.
    done = subprocess.run(
        [sys.executable, "-I", str(SCRIPT), *words],
        cwd=place, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


async def test_every_event_is_proved_offline_and_a_changed_one_is_not(
    admin: Client, database: str, tmp_path: Path
) -> None:
    await admin.user()
    await sealed(database)
    note = await admin.get("/v1/checkpoint")
    assert note.headers["content-type"].startswith("text/plain")
    size = int(note.text.split("\n")[1])
    key = (await admin.get("/v1/checkpoint/key")).text
    for position in (1, 2, size // 2, size):
        proof = await admin.get(f"/v1/events/{position}/proof")
        given = {"key": key, "checkpoint": note.text, "proof": proof.text}
        told = f"event {position} is in the log of {size} events\n"
        assert verified(tmp_path, **given) == (0, told)
        said = proof.json()
        event = (await admin.get(f"/v1/events?after={position - 1}&limit=1")).json()["items"][0]
        head = said["entry"].split("\n")[:4]
        assert head == [str(position), event["subject"], str(event["streamversion"]),
                        event["type"]]  # fmt: skip
        for changed in (
            said | {"entry": said["entry"].replace("system", "sustem").replace("adm", "edm")},
            said | {"position": position + 1},
            said | {"hashes": said["hashes"][1:]},
            said | {"hashes": [*said["hashes"][:-1], said["leaf"]]},
        ):
            code, words = verified(tmp_path, **given | {"proof": json.dumps(changed)})
            assert (code, words.startswith("not proved")) == (1, True)
    other = note.text.replace(str(size), str(size + 1))
    assert verified(tmp_path, **given | {"checkpoint": other})[0] == 1


async def test_a_proof_fits_its_checkpoint_though_seals_fall(
    admin: Client, database: str, tmp_path: Path
) -> None:
    """It brings the one that it is against, or is asked for against one that was taken before."""

    await admin.user()
    await sealed(database)
    key = (await admin.get("/v1/checkpoint/key")).text
    note = (await admin.get("/v1/checkpoint")).text
    size = int(note.split("\n")[1])
    await admin.user(2)
    await sealed(database)
    late = await admin.get("/v1/events/3/proof")
    told = "event 3 is in the log of {} events\n".format
    newer = late.json()["treeSize"]
    assert newer > size
    assert verified(tmp_path, key=key, proof=late.text) == (0, told(newer))
    code, words = verified(tmp_path, key=key, proof=late.text, checkpoint=note)
    assert (code, f"on {newer} events" in words, f"on {size}" in words) == (1, True, True)
    asked = await admin.get(f"/v1/events/3/proof?treeSize={size}")
    for given in ({}, {"checkpoint": note}):
        assert verified(tmp_path, key=key, proof=asked.text, **given) == (0, told(size))
    grown = await admin.get(f"/v1/consistency?from={size}")
    words = f"the log of {newer} events begins with the log of {size} events\n"
    assert verified(tmp_path, key=key, proof=grown.text, older=note) == (0, words)
    none = (await admin.get(f"/v1/events/3/proof?treeSize={size - 1}")).json()
    assert none["checkpoint"] is None


def test_what_is_no_proof_is_said_with_its_name(tmp_path: Path) -> None:
    for texts, said in (
        ({"key": "no key", "proof": "{}"}, "the proof has the checkpoint in it"),
        ({"key": "no key", "proof": "{"}, "proof is no JSON"),
        ({"key": "no key", "proof": "[]"}, "proof is an object of JSON"),
        ({"key": "no key", "proof": "{}", "checkpoint": "x"}, "the key is a verifier key"),
    ):
        code, words = verified(tmp_path, **texts)
        assert (code, said in words, words.count("\n")) == (1, True, 1), words
    code, words = scripted(tmp_path, "inclusion", "nothing", "proof")
    assert (code, "nothing cannot be read" in words) == (1, True)
    code, words = scripted(tmp_path, "--help")
    assert (code, "inclusion" in words, "export" in words) == (0, True, True)


async def test_a_log_is_proved_to_begin_with_the_older_one(
    database: str, tmp_path: Path, admin: Client
) -> None:
    for number in range(20):
        await admin.user(number)
    await sealed(database, page=8)
    query = "SELECT note FROM ledger.checkpoints WHERE NOT opens ORDER BY size"
    notes: list[Any] = await admin.app.state.context.pool.rows(query)
    key, (last,) = (await admin.get("/v1/checkpoint/key")).text, notes[-1]
    size = int(last.split("\n")[1])
    for (older,) in notes:
        old = int(older.split("\n")[1])
        proof = (await admin.get(f"/v1/consistency?from={old}&to={size}")).text
        given = {"key": key, "checkpoint": last, "proof": proof, "older": older}
        told = f"the log of {size} events begins with the log of {old} events\n"
        assert verified(tmp_path, **given) == (0, told)
    path = (await admin.get("/v1/consistency?from=24")).json()["hashes"]
    wrong = json.dumps({"from": 24, "to": size, "hashes": path[::-1]})
    older = notes[2][0]
    changed = {"key": key, "checkpoint": last, "proof": wrong, "older": older}
    assert verified(tmp_path, **changed)[0] == 1


async def test_before_the_first_seal_there_is_nothing_to_prove(
    admin: Client, database: str
) -> None:
    assert (await admin.get("/v1/checkpoint/origins")).json() == {"items": []}
    paths = ("/v1/checkpoint", "/v1/checkpoint/key", "/v1/events/1/proof")
    for path in (*paths, "/v1/consistency?from=1"):
        answer = await admin.get(path)
        assert (answer.status_code, answer.json()["code"]) == (409, "not-sealed"), path
    await sealed(database)
    head = admin.app.state.context.ledger.head
    await admin.user()
    late = await admin.get(f"/v1/events/{head + 1}/proof")
    assert (late.status_code, late.json()["code"]) == (409, "not-sealed")
    for path in ("/v1/events/0/proof", "/v1/events/x/proof", f"/v1/events/{head + 99}/proof"):
        assert (await admin.get(path)).status_code == 404
    for query in ("", "from=0", f"from={head + 1}", "from=2&to=1", "from=1&a=1"):
        assert (await admin.get(f"/v1/consistency?{query}")).status_code == 422, query
    small = await admin.get("/v1/events/5/proof?treeSize=3")
    assert (small.status_code, small.json()["code"]) == (422, "invalid-parameter")
    earlier = (await admin.get("/v1/events/3/proof?treeSize=5")).json()
    assert earlier["treeSize"] == 5
    clerk = await admin.take_on("clerk", {"resource": "loans", "actions": ["read"]})
    for path in (*paths, "/v1/checkpoint/origins", "/v1/consistency?from=1"):
        assert (await clerk.get(path)).status_code == 403


async def test_whoever_knows_the_key_from_before_a_restore_follows_to_the_one_after(
    admin: Client, database: str, tmp_path: Path
) -> None:
    await sealed(database)
    (first,) = (await admin.get("/v1/checkpoint/origins")).json()["items"]
    old_key = (await admin.get("/v1/checkpoint/key")).text
    old = (await admin.get("/v1/checkpoint")).text
    await admin.user()
    gone = Checkpoint(first["origin"], 99, b"r" * 32)
    await restored(database, gone)
    opening = (await admin.get("/v1/checkpoint")).text
    position = int(opening.split("\n")[1])
    assert opening.split("\n")[0] != first["origin"]
    await admin.user(2)
    await sealed(database)
    origins = (await admin.get("/v1/checkpoint/origins")).text
    before, after = json.loads(origins)["items"]
    assert (before, after["note"]) == (first, opening)
    assert (first["after"], first["lost"], first["size"]) == (None, [], 0)
    assert (first["key"], after["size"]) == (old_key.strip(), position)
    assert after["after"]["size"] == int(old.split("\n")[1])
    assert after["lost"] == [{"origin": first["origin"], "size": 99, "root": "72" * 32}]
    assert after["openedAt"].endswith("Z")
    texts = {"old_key": old_key, "origins": origins}
    key = (await admin.get("/v1/checkpoint/key")).text
    followed = scripted(tmp_path, "follow", "old_key", "origins", **texts)
    origin, _, _, _, *more = opening.split("\n\n")[0].split("\n")
    names = ["after", "lost", "number", "day", "activity"]
    assert [each.split(" ")[0] for each in more] == names
    losses = more[:2]
    told = "\n  ".join([f"{origin} at {position}", *losses])
    assert followed == (0, f"{key}{told}\n")
    last = (await admin.get("/v1/checkpoint")).text
    size = int(last.split("\n")[1])
    for older in (old, opening):
        begins = int(older.split("\n")[1])
        proof = (await admin.get(f"/v1/consistency?from={begins}")).text
        given = {"key": key, "checkpoint": last, "proof": proof, "older": older}
        given |= {"older_key": old_key} if older == old else {}
        told = f"the log of {size} events begins with the log of {begins} events\n"
        assert verified(tmp_path, **given) == (0, told)
    unsigned = "".join(opening.splitlines(keepends=True)[:-1])
    for wrong in (
        origins.replace(json.dumps(opening)[1:-1], json.dumps(unsigned)[1:-1]),
        origins.replace(after["key"], before["key"]),
        origins.replace(f"\\n{position}\\n", "\\n1\\n"),
        origins.replace(before["key"], after["key"]),
    ):
        assert wrong != origins
        code, words = scripted(tmp_path, "follow", "old_key", "origins",
                               old_key=old_key, origins=wrong)  # fmt: skip
        assert (code, words.startswith("not proved")) == (1, True), words

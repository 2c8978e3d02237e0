#!/usr/bin/env python3
"""Verifies proofs of RIM Ledger offline, with the standard library and `cryptography` alone.

    verify_proof.py KEY CHECKPOINT inclusion PROOF
    verify_proof.py KEY CHECKPOINT consistency PROOF OLDER-CHECKPOINT [OLDER-KEY]
    verify_proof.py KEY ORIGINS follow > NEWER-KEY

KEY, CHECKPOINT, PROOF and ORIGINS are files with the answers of /v1/checkpoint/key,
/v1/checkpoint, /v1/events/{position}/proof or /v1/consistency, and /v1/checkpoint/origins. Says
what was proved, or ends with code 1. After a restore a log has another key: `follow` gives it,
when each key from the older one on has signed for the next. It tells at how many events each was
opened, after which checkpoint and without which: one that was lost cannot be proved.
"""

import json
import sys
from base64 import b64decode
from hashlib import sha256
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


class NotProved(Exception):
    """Something does not fit; the message says what should."""


def need(condition: bool, words: str) -> None:
    if not condition:
        raise NotProved(f"it is not so that {words}")


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def signed(key: str, note: str) -> list[str]:
    """The lines of a note, if the key signed it, whoever else did so too."""
    name, _, public = key.strip().split("+", 2)
    raw = b64decode(public)
    need(raw[0] == 1, "the key is one of Ed25519")
    key_id = sha256(name.encode() + b"\n" + raw).digest()[:4]
    text, _, signatures = note.rstrip("\n").rpartition("\n\n")
    found = False
    for line in signatures.split("\n"):
        signer, signature = line.removeprefix("\N{EM DASH} ").split(" ")
        value = b64decode(signature)
        if (signer, value[:4]) == (name, key_id):
            Ed25519PublicKey.from_public_bytes(raw[1:]).verify(value[4:], f"{text}\n".encode())
            found = True
    need(found, "the note is signed with this key")
    return text.split("\n")


def opened(key: str, note: str) -> tuple[int, bytes]:
    """The size and the root in a checkpoint, if it is one of the key's log."""
    origin, size, root, *_ = signed(key, note)
    need(origin == key.split("+", maxsplit=1)[0], "the note is of this log")
    return int(size), b64decode(root)


def follow(key: str, origins: str) -> str:
    """The key of the last origin, reached from an older one by what that one signed; what each
    goes on from and what was lost is told on the way."""
    items = json.loads(origins)["items"]
    keys = [each["key"] for each in items]
    need(key.strip() in keys, "the key is one of this log's")
    for each in items[keys.index(key.strip()) + 1 :]:
        lines = signed(key, each["note"])
        opened(each["key"], each["note"])
        need(lines[3] == f"key {each['key']}", "the note names the next key")
        print(f"{lines[0]} at {lines[1]}", *lines[4:], sep="\n  ", file=sys.stderr)
        key = each["key"]
    return key.strip()


def root_with(index: int, size: int, leaf: bytes, path: list[bytes]) -> bytes:
    """The root that follows from a leaf and its path (RFC 9162, 2.1.3.2)."""
    at, last, root = index, size - 1, leaf
    for each in path:
        need(last > 0, "the path is not longer than the tree is high")
        if at & 1 or at == last:
            root = node(each, root)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            root = node(root, each)
        at, last = at >> 1, last >> 1
    need(last == 0, "the path is not shorter than the tree is high")
    return root


def roots_with(old: int, size: int, path: list[bytes]) -> tuple[bytes, bytes]:
    """The roots of the older and the newer tree that follow from a path (RFC 9162, 2.1.4.2);
    `path` begins with the older root where that is a power of two."""
    at, last = old - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    older = newer = path[0]
    for each in path[1:]:
        need(last > 0, "the path is not longer than the tree is high")
        if at & 1 or at == last:
            older, newer = node(each, older), node(each, newer)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            newer = node(newer, each)
        at, last = at >> 1, last >> 1
    need(last == 0, "the path is not shorter than the tree is high")
    return older, newer


def main(key: str, checkpoint: str, what: str, *rest: str) -> None:
    if what == "follow":
        print(follow(key, checkpoint))
        return
    proof, *older = rest
    size, root = opened(key, checkpoint)
    said = json.loads(proof)
    path = [bytes.fromhex(each) for each in said["hashes"]]
    if what == "inclusion":
        leaf, position = bytes.fromhex(said["leaf"]), int(said["position"])
        if (entry := said["entry"]) is not None:  # It is for those who may read the event.
            hashed = sha256(b"\x00" + entry.encode()).digest()
            need(hashed == leaf, "the leaf is the hash of the entry")
            need(entry.split("\n")[0] == str(position), "the entry is the one at this position")
        need(said["treeSize"] == size, "the proof is one against this checkpoint")
        need(root_with(position - 1, size, leaf, path) == root, "the path leads to the root")
        print(f"event {position} is in the log of {size} events")
        return
    old, old_root = opened(older[1] if older[1:] else key, older[0])
    need((said["from"], said["to"]) == (old, size), "the proof is one of these checkpoints")
    if old == size:
        need((path, old_root) == ([], root), "the two logs are the same")
    else:
        full = [old_root, *path] if old & (old - 1) == 0 else path
        need(roots_with(old, size, full) == (old_root, root), "the path leads to both roots")
    print(f"the log of {size} events begins with the log of {old} events")


if __name__ == "__main__":
    try:
        main(
            *(
                each if each in ("inclusion", "consistency", "follow") else Path(each).read_text()
                for each in sys.argv[1:]
            )
        )
    except Exception as error:
        print(f"not proved: {type(error).__name__}: {error}", file=sys.stderr)
        sys.exit(1)

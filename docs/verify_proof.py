"""python verify_proof.py PROOF PUBLIC_KEY: exit code 0 and one line if the proof holds."""

import base64
import hashlib
import json
import subprocess
import sys
import tempfile
from pathlib import Path


def sha(data: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()


def raw(text: str) -> bytes:
    """Bytes of base64."""
    return base64.b64decode(text, validate=True)


def leaf(run: str, event: dict) -> bytes:
    """The leaf of an event in the tree."""
    stream = f"{len(run.encode())} {run}"
    committed = raw(event["commitment"]).hex() if "commitment" in event else "-"
    lines = ["runledger/event/v1", str(event["version"]), stream, event["topic"], committed]
    digest = sha("\n".join([*lines, event["facts"]]).encode())
    return sha(b"\0runledger/entry/v1\n%020d\n%b" % (event["position"], digest))


def included(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    """RFC 9162, section 2.1.3.2."""
    if index >= size:
        return False
    last = size - 1
    for step in path:
        if last == 0:
            return False
        if index & 1 or index == last:
            leaf = sha(b"\1" + step + leaf)
            while index and not index & 1:
                index, last = index >> 1, last >> 1
        else:
            leaf = sha(b"\1" + leaf + step)
        index, last = index >> 1, last >> 1
    return last == 0 and leaf == root


def signed(note: str, key: str) -> bool:
    """A C2SP signed note, its Ed25519 signature checked by OpenSSL 3."""
    name, _, public = key.strip().split("+", 2)
    text, _, signatures = note.rpartition("\n\n")
    line = next(s for s in signatures.splitlines() if s.startswith(f"\u2014 {name} "))
    with tempfile.TemporaryDirectory() as folder:
        files = {
            "text": f"{text}\n".encode(),
            "signature": raw(line.split(" ")[2])[4:],
            "key": bytes.fromhex("302a300506032b6570032100") + raw(public)[1:],
        }
        for file, data in files.items():
            (Path(folder) / file).write_bytes(data)
        command = "openssl pkeyutl -verify -pubin -rawin -keyform DER -inkey key -in text -sigfile"
        words = [*command.split(), "signature"]
        done = subprocess.run(words, cwd=folder, capture_output=True, check=False)
        return done.returncode == 0


proof, key = json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]).read_text()
origin, size, root = proof["checkpoint"].split("\n")[:3]
holds = bool(proof["events"]) and signed(proof["checkpoint"], key) and key.startswith(f"{origin}+")
for version, event in enumerate(proof["events"], 1):
    path = [raw(step) for step in event["path"]]
    holds &= event["version"] == version
    holds &= included(leaf(proof["run"], event), event["index"], int(size), path, raw(root))
    if "contents" in event:
        salted = b"runledger/contents/v1\n" + raw(event["salt"]) + event["contents"].encode()
        holds &= sha(salted) == raw(event["commitment"])
print(f"{proof['run']}: {'proved' if holds else 'NOT proved'} by {origin} with {size} events")
sys.exit(not holds)

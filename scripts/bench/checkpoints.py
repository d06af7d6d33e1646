"""What do tiles, checkpoints and proofs cost, beside reading the log and hashing its bytes?"""

import time
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

from runledger.proofs.checkpoint_folder import CheckpointFolder
from runledger.proofs.log_check import check_log
from runledger.proofs.notes import new_key
from runledger.proofs.run_proof import check_proof, prove_run
from runledger.proofs.writing import write_checkpoint
from runledger.store import open_store
from runledger.store.keeper import keep
from scripts.bench.bench import Bench, apart
from scripts.bench.row import Figure, Row

_PAGE = 4_096
_PROOFS = 50


def hashed(url: str) -> float:
    """Return the seconds of reading a log and hashing each event's bytes once."""
    with closing(open_store(url, create=False)) as store:
        begin, after = time.perf_counter(), 0
        while rows := store.read_log(after, _PAGE, contents=True):
            for row in rows:
                sha256(row.facts + (row.contents or b"")).digest()
            after = rows[-1].position
        return time.perf_counter() - begin


def signed(url: str, folder: Path) -> tuple[int, float, float, float, float, float]:
    """Return events, seconds of tiles, of the first checkpoint and of the check of the whole log,
    and milliseconds and bytes per event of the proof of a run; for a process of its own."""
    folder.mkdir()
    signer = new_key("bench/ledger", folder / "key")
    checkpoints = CheckpointFolder(folder / "checkpoints")
    with closing(open_store(url, create=False)) as store:
        head, begin = store.head(), time.perf_counter()
        while store.tiles_end().last < head:
            keep(store, head, rest=True)
        kept = time.perf_counter()
        made = write_checkpoint(store, checkpoints, signer)
        written = time.perf_counter()
        found = check_log(store, checkpoints, signer.verifier)
        checked = time.perf_counter()
        if found.faults:
            raise AssertionError(found.faults[0])
        runs = list(dict.fromkeys(row.stream for row in store.read_log(made.size // 2, 400)))
        runs, size, events = runs[:_PROOFS], 0, 0
        proving = time.perf_counter()
        for run in runs:
            proof = prove_run(store, run, checkpoints, signer.verifier, contents=False)
            text = proof.model_dump_json()
            check_proof(text, signer.verifier)
            size += len(text) - sum(len(event.facts) for event in proof.events)
            events += len(proof.events)
        took = (time.perf_counter() - proving) / len(runs) * 1e3
    return made.size, kept - begin, written - kept, checked - written, took, size / events


def rows(bench: Bench) -> Iterator[Row]:
    """Yield the costs for one log."""
    url = bench.log("sqlite")
    plain = apart(hashed, url)
    size, kept, written, checked, proved, bytes_each = apart(signed, url, bench.path(".proofs"))
    limit = Figure("reading and hashing once", size / plain)
    for figure, seconds in (("tiles made", kept), ("log checked by a checkpoint", checked)):
        rate = size / seconds
        yield Row(
            f"{figure}, {size:,} events", rate, "events/s", limit=limit, ratio=rate / limit.value
        )
    yield Row(f"first checkpoint of {size:,} events", written * 1e3, "ms")
    yield Row("a run proved and its proof verified", proved, "ms")
    yield Row("proof, beside the facts", bytes_each, "bytes/event")

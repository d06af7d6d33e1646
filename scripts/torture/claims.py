"""The file of a writer, which outlives it: the commands that it began, and those acknowledged."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple


class Deed(NamedTuple):
    """A command: `created`, `completed`, or the id of a step, of a run."""

    run_id: str
    what: str


class Claims(NamedTuple):
    """The commands that all writers began, and those that were acknowledged as recorded."""

    begun: set[Deed]
    acknowledged: set[Deed]


class ClaimsFile:
    """One writer's file. A killed process leaves half of a line at most."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("ab", buffering=0)

    def begin(self, deed: Deed) -> None:
        """Say that the command is about to be sent."""
        self._file.write(json.dumps(["begun", *deed]).encode() + b"\n")

    def acknowledge(self, deed: Deed) -> None:
        """Say that the ledger has answered that it is recorded."""
        self._file.write(json.dumps(["acknowledged", *deed]).encode() + b"\n")


def read_claims(files: Iterable[Path]) -> Claims:
    """Return what the files say together."""
    found = Claims(set(), set())
    for file in files:
        for line in file.read_bytes().split(b"\n")[:-1]:
            kind, run_id, what = json.loads(line)
            (found.begun if kind == "begun" else found.acknowledged).add(Deed(run_id, what))
    return found

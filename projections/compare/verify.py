"""Checks the read models against the log: rows are made again from their events and compared."""

import random
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict

from projections.archive.store import checked_log
from projections.compare.diff import Diff, RowChange
from projections.compare.side_by_side import side_by_side
from projections.fold.engine import Engine
from projections.fold.generation import Generation
from projections.fold.parking import parked
from projections.generations.live import LiveReadModels
from projections.generations.snapshot import Snapshot
from projections.read_models.declaration import Table
from projections.read_models.read_model import ReadModel
from runledger.errors import InvalidArgument, UndecodableEvent
from runledger.events import PRICES_STREAM
from runledger.sql_file import render, statements
from runledger.store import Store
from runledger.store.event_list import streams

SQL: Final = statements(Path(__file__).with_name("verify.sql"))
_RUN: Final = "run-"


class Problem(BaseModel):
    """A fault: a row that its events do not produce, an impossible checkpoint, SQL that differs
    from the SQL on disk, or an event that is in no read model.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)
    kind: Literal["rows", "checkpoint", "sql", "event"]
    detail: str


class Verification(BaseModel):
    """The checked numbers and the faults; no faults if the read models are correct."""

    model_config = ConfigDict(frozen=True, defer_build=True)
    number: int
    position: int
    runs: int | None
    rows: int
    problems: list[Problem] = []

    @property
    def clean(self) -> bool:
        """Whether there are no faults."""
        return not self.problems


class Verifier:
    """Checks the live read models; it does not change them."""

    def __init__(self, store: Store, live: LiveReadModels) -> None:
        self._store = store
        self._live = live

    def everything(self) -> Verification:
        """Project the whole log again, by the SQL that made the rows, and compare every row."""
        problems = self._of_the_whole()
        if any(problem.kind == "checkpoint" for problem in problems):
            # Catching up from a wrong checkpoint would damage more rows.
            return self._verification(None, 0, problems)
        folder = self._live.generations.folder
        folder.mkdir(exist_ok=True)
        file = folder / "verify.duckdb"
        _remove(file)
        try:
            with (
                closing(checked_log(self._store)) as reader,
                closing(Generation(file, self._live.generation.models)) as again,
            ):
                Engine(again, reader).catch_up(self._store.head())
                again.checkpoint()
            with side_by_side(self._store, self._live, file) as (snapshot, again):
                tables = Diff(snapshot.db, 1).tables(again.models, again.models)
        finally:
            _remove(file)
        for table in tables:
            for row in table.sample:
                detail = f"{table.table}: {table.differing:,} rows differ; {_told(row)}"
                problems.append(Problem(kind="rows", detail=detail))
        return self._verification(None, sum(table.rows_old for table in tables), problems)

    def sample(self, count: int) -> Verification:
        """Fold the events of some runs again and compare their rows."""
        if count < 1:
            raise InvalidArgument(f"sample: expected 1 or more runs, found {count}")
        problems = self._of_the_whole()
        if any(problem.kind == "checkpoint" for problem in problems):
            return self._verification(0, 0, problems)
        self._live.catch_up()
        with self._live.snapshot() as snapshot:
            chosen = self._chosen(snapshot, count)
            rows = 0
            try:
                events = streams(self._store, [PRICES_STREAM, *chosen], snapshot.position)
            except UndecodableEvent as e:
                problems.append(Problem(kind="event", detail=str(e)))
                return self._verification(len(chosen), 0, problems)
            models = self._live.generation.models
            with closing(Generation(":memory:", models)) as again:
                Engine(again, events).catch_up(snapshot.position)
                for name, table in _tables(models).items():
                    if table.run is None:
                        continue
                    found = _rows(snapshot.db, name, table.run, table.key, chosen)
                    expected = _rows(again.cursor(), name, table.run, table.key, chosen)
                    rows += len(expected)
                    if differs := _first_difference(found, expected):
                        problems.append(Problem(kind="rows", detail=f"{name}: {differs}"))
        return self._verification(len(chosen), rows, problems)

    def _verification(self, runs: int | None, rows: int, problems: list[Problem]) -> Verification:
        about = self._live.generation.about
        return Verification(
            number=about.number, position=about.position, runs=runs, rows=rows, problems=problems
        )

    def _of_the_whole(self) -> list[Problem]:
        """Check everything that does not concern single rows."""
        problems = []
        generation = self._live.generation
        if names := self._live.changed:
            detail = (
                f"{', '.join(names)}: the SQL on disk is not the one that made the rows; "
                f"run `runledger replay`"
            )
            problems.append(Problem(kind="sql", detail=detail))
        position, head = generation.about.position, self._store.head()
        if position > head:
            detail = f"the checkpoint is {position}, but the log ends at {head}"
            problems.append(Problem(kind="checkpoint", detail=detail))
        with closing(generation.cursor()) as db:
            for name, table in _tables(generation.models).items():
                highest = _highest(db, name, table)
                if highest > position:
                    detail = f"the checkpoint is {position}, but {name} speaks of {highest}"
                    problems.append(Problem(kind="checkpoint", detail=detail))
            if left_out := parked(db):
                first = left_out[0]
                detail = (
                    f"{len(left_out)} streams are parked, the first at position {first.position} "
                    f"({first.topic} of {first.stream}): {first.reason}"
                )
                problems.append(Problem(kind="event", detail=detail))
        return problems

    def _chosen(self, snapshot: Snapshot, count: int) -> list[str]:
        """Choose runs from the rows and from the log, because rows may be missing."""
        chosen: set[str] = set()
        for name, table in _tables(self._live.generation.models).items():
            if table.every_run and table.run is not None:
                some = render(SQL["some_runs"], table=name, run=table.run)
                found = snapshot.db.execute(some, {"count": count // 2 + 1}).fetchall()
                chosen.update(run_id for (run_id,) in found)
        for _ in range(4 * count):
            if len(chosen) >= count or snapshot.position == 0:
                break
            (row,) = self._store.read_log(random.randrange(snapshot.position), 1)
            if row.stream.startswith(_RUN):
                chosen.add(row.stream)
        return sorted(chosen)


def _tables(models: Sequence[ReadModel]) -> dict[str, Table]:
    return {name: table for model in models for name, table in model.declaration.tables.items()}


def _highest(db: Any, name: str, table: Table) -> int:
    if not table.positions:
        return 0
    given = {"table": name, "columns": list(table.positions)}
    (found,) = db.execute(SQL["positions"], given).fetchall()
    return max((value for value in found if value is not None), default=0)


RowsByKey = dict[tuple[str | None, ...], list[dict[str, str | None]]]


def _rows(db: Any, table: str, run: str, key: tuple[str, ...], runs: Sequence[str]) -> RowsByKey:
    statement = render(SQL["rows_of"], table=table, run=run)
    found = db.execute(statement, {"runs": list(runs)})
    names = [column[0] for column in found.description]
    rows: RowsByKey = {}
    for values in found.fetchall():
        row = dict(zip(names, values, strict=True))
        rows.setdefault(tuple(row[name] for name in key), []).append(row)
    return rows


def _first_difference(found: RowsByKey, expected: RowsByKey) -> str | None:
    for key in sorted(found.keys() | expected.keys(), key=str):
        live, again = found.get(key, []), expected.get(key, [])
        if live == again:
            continue
        what = f"row {', '.join(map(str, key))}"
        if len(live) != len(again):
            return f"{what}: expected {len(again)} by its events, found {len(live)}"
        column = next(name for name in live[0] if live[0][name] != again[0][name])
        return f"{what}: {column}: expected {again[0][column]!r}, found {live[0][column]!r}"
    return None


def _told(row: RowChange) -> str:
    what = f"row {', '.join(str(value) for value in row.key.values())}"
    if row.change == "changed" and row.cells:
        cell = row.cells[0]
        return f"{what}: {cell.column}: expected {cell.new!r}, found {cell.old!r}"
    if row.change == "changed":
        return f"{what}: occurs more than once"
    expected = {"added": "expected by its events, not found", "removed": "not of any event"}
    return f"{what}: {expected[row.change]}"


def _remove(file: Path) -> None:
    for name in (file, Path(f"{file}.wal")):
        name.unlink(missing_ok=True)

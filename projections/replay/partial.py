"""A partial replay: projects some runs again in a copy of live, and proves other rows unchanged."""

from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict

from projections.fold.engine import Engine
from projections.fold.generation import Generation
from projections.generations.generations import Generations
from projections.generations.manifest import GenerationManifest
from projections.operator.operator import Operator
from projections.read_models.catalog import discover
from projections.read_models.declaration import Table
from projections.read_models.read_model import ReadModel
from projections.replay.copies import copy_of_live
from projections.replay.selection import Selection, Touched
from runledger.errors import InvalidArgument, ReadModelsError, ReadModelsLocked
from runledger.sql_file import render, statements
from runledger.store import Store

SQL: Final = statements(Path(__file__).with_name("partial.sql"))


class BlastRadius(BaseModel):
    """The effect of a partial replay: its runs, their organizations, rows by table, pending
    callbacks.

    `callbacks` is the number that a system which sends during a replay would send again; this one
    sends nothing.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)
    runs: int
    organizations: list[str]
    rows: dict[str, int]
    callbacks: int


class PartialReplay(BaseModel):
    """The built generation, its effect, and the number of buckets whose rows are all unchanged."""

    model_config = ConfigDict(frozen=True, defer_build=True)
    built: GenerationManifest
    radius: BlastRadius
    untouched_buckets: int


def build_part(
    operator: Operator,
    store: Store,
    path: str | Path,
    selection: Selection,
    on_blast_radius: Callable[[BlastRadius], None] | None = None,
) -> PartialReplay:
    """Build a generation in which only the rows that the selection touches are made again.

    `on_blast_radius` is called with the blast radius before anything is changed.

    Raises:
        InvalidArgument: if the selection touches nothing.
        ReadModelsError: if the current SQL makes other tables than the live generation has.
    """
    selection.check()
    generations = Generations(path)
    with copy_of_live(operator, generations) as copy:
        position = copy.generation.position
        with closing(Touched(store, selection, position)) as touched:
            if not touched.runs:
                raise InvalidArgument("partial replay: no run has such an event")
            merge = _Merge(copy.generation, touched, copy.scratch, position)
            radius, untouched = merge.run(copy.number, on_blast_radius)
        copy.generation.checkpoint()
        built = generations.record(copy.generation, "candidate")
    _give_way(generations, built)
    return PartialReplay(built=built, radius=radius, untouched_buckets=untouched)


def _give_way(generations: Generations, built: GenerationManifest) -> None:
    """Drop earlier partial candidates: each is as large as live, and no later replay continues
    one."""
    for entry in generations.entries():
        if entry.partial and entry.state == "candidate" and entry.number != built.number:
            with suppress(ReadModelsLocked):
                generations.drop(entry.number)


class _Table(NamedTuple):
    """A table, the columns of its digests, and the column with its run, if it has one."""

    name: str
    key: list[str]
    columns: list[str]
    nested: list[str]
    run: str | None
    owes: bool


class _Merge:
    def __init__(self, copy: Generation, touched: Touched, scratch: Path, position: int) -> None:
        self._copy = copy
        self._touched = touched
        self._position = position
        self._today = discover()
        self._parts = {
            "old_part": self._part(scratch / "old.duckdb", copy.models, "of_runs"),
            "new_part": self._part(scratch / "new.duckdb", self._today, "of_runs"),
            "whole": self._part(scratch / "whole.duckdb", self._today, "of_agents"),
        }
        self._tables = self._same_tables()

    def _part(self, file: Path, models: Sequence[ReadModel], part: str) -> Path:
        with (
            closing(self._touched.reader(part)) as reader,
            closing(Generation(file, models)) as generation,
        ):
            Engine(generation, reader).catch_up(self._position)
        return file

    def _same_tables(self) -> list[_Table]:
        with closing(Generation(self._parts["new_part"])) as part:
            today = _columns(part)
        if today != (found := _columns(self._copy)):
            differing = sorted({row[0] for row in {*today} ^ {*found}})
            raise ReadModelsError(
                f"partial replay: expected the columns of live, found others in "
                f"{', '.join(differing)}; replay the whole log"
            )
        return [
            _table(name, table, today)
            for model in self._today
            for name, table in model.declaration.tables.items()
        ]

    def run(
        self, number: int, on_blast_radius: Callable[[BlastRadius], None] | None
    ) -> tuple[BlastRadius, int]:
        """Merge; return what was touched, and how many buckets had no touched row."""
        before = self._copy.about.number
        with closing(self._copy.cursor()) as side:
            for alias, file in self._parts.items():
                side.execute(render(SQL["attach"], alias=alias), {"path": str(file)})
            with self._copy.transaction() as db:
                db.execute(SQL["runs"], {"runs": self._touched.runs})
                radius = self._radius(db)
                if on_blast_radius is not None:
                    on_blast_radius(radius)
                untouched = sum(self._merge(db, table) for table in self._tables)
                for model in self._today:
                    self._copy.remember(model)
                self._copy.describe(
                    number, f"generation {before}, {radius.runs:,} runs of it again"
                )
            for alias in self._parts:
                side.execute(render(SQL["detach"], alias=alias))
        return radius, untouched

    def _radius(self, db: Any) -> BlastRadius:
        rows = {}
        for table in self._tables:
            _find(db, table)
            ((rows[table.name],),) = db.execute(SQL["count"]).fetchall()
        return BlastRadius(
            runs=len(self._touched.runs),
            organizations=self._touched.organizations,
            rows=rows,
            callbacks=sum(rows[table.name] for table in self._tables if table.owes),
        )

    def _merge(self, db: Any, table: _Table) -> int:
        """Replace the touched rows of a table; return how many buckets had none."""
        _find(db, table)
        before = _digest(db, table)
        named = {"table": table.name}
        touched = {
            bucket
            for (bucket,) in db.execute(
                render(SQL["touched_buckets"], **named), {"key": table.key}
            ).fetchall()
        }
        db.execute(render(SQL["delete"], **named))
        if table.run is not None:
            db.execute(render(SQL["insert_of_runs"], **named, column=table.run))
        else:
            db.execute(render(SQL["insert_of_totals"], **named), {"key": table.key})
        _find(db, table)
        if before != _digest(db, table):
            raise ReadModelsError(
                f"partial replay: {table.name}: rows changed that the selection does not touch; "
                f"nothing was built"
            )
        return len({bucket for bucket, *_ in before} - touched)


def _find(db: Any, table: _Table) -> None:
    """Fill the list of the rows that are touched."""
    if table.run is not None:
        db.execute(render(SQL["rows_of_runs"], table=table.name, column=table.run))
        return
    for statement in ("keys_of_totals", "rows_of_totals"):
        db.execute(render(SQL[statement], table=table.name), {"key": table.key})


def _digest(db: Any, table: _Table) -> list[tuple[Any, ...]]:
    """Return the digests of all rows that are not touched, by bucket."""
    given = {"key": table.key, "columns": table.columns, "nested": table.nested}
    statement = render(SQL["digest"], table=table.name)
    found: list[tuple[Any, ...]] = db.execute(statement, given).fetchall()
    return found


Column = tuple[str, str, str, bool]
"""A table's name, a column's name and type, and whether the type is nested."""


def _table(name: str, declared: Table, found: Sequence[Column]) -> _Table:
    columns = {column: holds_others for table, column, _, holds_others in found if table == name}
    return _Table(
        name=name,
        key=list(declared.key),
        columns=list(columns),
        nested=[name for name, nested in columns.items() if nested and name not in declared.key],
        run=declared.run,
        owes=declared.owes,
    )


def _columns(generation: Generation) -> list[Column]:
    with closing(generation.cursor()) as db:
        rows: list[Column] = db.execute(SQL["columns"]).fetchall()
    return rows

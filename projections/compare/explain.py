"""Why a row differs: the first event after which the old and the new projection disagree."""

import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, ConfigDict

from projections.compare.batch_of_events import smallest_run
from projections.compare.diff import Cell, Key, RowChange, TableDiff
from projections.fold.engine import Engine
from projections.fold.generation import Generation
from projections.read_models.catalog import needed
from projections.read_models.declaration import Table
from projections.read_models.read_model import ReadModel
from runledger.errors import InvalidArgument, NotFound
from runledger.events import PRICES_STREAM
from runledger.sql_file import render, statements
from runledger.store import Store
from runledger.store.event_list import EventList, LogEvent, streams

SQL: Final = statements(Path(__file__).with_name("explain.sql"))
EXPLAINED_RUNS_MAX: Final = 20
"""Contributing runs that are tried before a total is reported as unexplained."""

Row = dict[str, str | None]


class Explanation(BaseModel):
    """The event, and both states after it; `note` gives the reason if no event explains the row.

    `event` are the facts of the event in current shape; it is the `nth` of the `events` of its
    stream. `cells` are the columns that differ after it. If the sides differ only when several
    events are folded in one batch, `batch_from` is the number of the first event of the smallest
    such range in the stream, and `nth` that of the last. A total is explained by one of its runs.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)
    model: str
    table: str
    key: Key
    stream: str | None = None
    position: int | None = None
    version: int | None = None
    topic: str | None = None
    nth: int | None = None
    batch_from: int | None = None
    events: int | None = None
    event: dict[str, Any] | None = None
    cells: list[Cell] = []
    note: str | None = None


def expect_explainable(store: Store, runs: Sequence[str], explain: int) -> None:
    """Raise NotFound if a run was never recorded, InvalidArgument if `explain` is 0."""
    for run in runs:
        if not store.read_stream(run, 0, 1, False):
            raise NotFound("run", run)
    if runs and explain < 1:
        raise InvalidArgument(
            f"explain: expected 1 or more rows of every table and run, found {explain}"
        )


class Explainer:
    """Projects single streams by two sets of read models, event by event."""

    def __init__(
        self, store: Store, old: Sequence[ReadModel], new: Sequence[ReadModel], upto: int
    ) -> None:
        self._store = store
        self._old = old
        self._new = new
        self._upto = upto

    def explain(self, db: Any, table: TableDiff, change: RowChange) -> Explanation:
        """Explain a differing row; `db` is the connection in whose transaction the diff ran."""
        candidates = list(self._streams(db, table, change.key))
        for name in candidates:
            events = streams(self._store, [PRICES_STREAM, name], self._upto)
            if (found := self._explained(events, table, change.key)) is not None:
                return found
        return Explanation(
            model=table.model, table=table.table, key=change.key, note=_note(candidates)
        )

    def of_run(self, db: Any, table: TableDiff, run: str, most: int) -> list[Explanation]:
        """Explain the differences of a run, in its own rows or its share in totals; at most `most`.

        `db` is the connection in whose transaction the diff ran, with the run among its `runs`.
        """
        if table.run is not None:
            rows = [row for row in table.sample if row.key[table.run] == run]
            return [self.explain(db, table, row) for row in rows[:most]]
        if not table.differing:
            return []
        events = streams(self._store, [PRICES_STREAM, run], self._upto)
        shares = (self._explained(events, table, key) for key in self._keys(events, table))
        return list(islice((found for found in shares if found is not None), most))

    def _explained(self, events: EventList, table: TableDiff, key: Key) -> Explanation | None:
        found = self._first_disagreement(events, table, key)
        if found is None:
            return None
        first, nth, cells = found
        event = events.events[nth]
        # Events about prices are folded beside those of the stream.
        within = [one for one in events.events if one.stream == event.stream]
        beside = sum(one.stream != event.stream for one in events.events[:first])
        return Explanation(
            model=table.model,
            table=table.table,
            key=key,
            stream=event.stream,
            position=event.position,
            version=event.version,
            topic=event.topic,
            nth=within.index(event) + 1,
            batch_from=None if first == nth else max(0, first - beside) + 1,
            events=len(within),
            event=json.loads(event.facts),
            cells=cells,
        )

    def _keys(self, events: EventList, table: TableDiff) -> list[Key]:
        """Return the keys of all rows that the events alone produce, on either side."""
        keys: set[str] = set()
        for models in (self._old, self._new):
            with _side(models, events, table) as side:
                keys |= side.keys(self._upto, table)
        return [json.loads(key) for key in sorted(keys)]

    def _streams(self, db: Any, differing: TableDiff, key: Key) -> Iterator[str]:
        if differing.run is not None:
            yield str(key[differing.run])
            return
        tables = _of_runs(self._old)
        columns = dict(db.execute(SQL["columns"]).fetchall())
        shared = {table: [name for name in columns[table] if name in key] for table in tables}
        # Choose the table that has most of the key's columns; if two have as many, the one with a
        # row for every run.
        best = max(shared, key=lambda name: (len(shared[name]), tables[name].every_run), default="")
        if not best or not shared[best]:
            return
        declared = tables[best]
        pieces = {"run": declared.run, "born": declared.born, "created": declared.created}
        scope = {
            "table": best,
            "shared": shared[best],
            "value": [_text(key[name]) for name in shared[best]],
            "day": key.get("day"),
            "limit": EXPLAINED_RUNS_MAX,
        }
        sharing = render(SQL["sharing"], **{n: c for n, c in pieces.items() if c is not None})
        for (run_id,) in db.execute(sharing, scope).fetchall():
            yield run_id

    def _first_disagreement(
        self, events: EventList, table: TableDiff, key: Key
    ) -> tuple[int, int, list[Cell]] | None:
        """Return the indexes of the first and last event that make the difference, usually the same
        one, and the cells that differ after them."""
        given = events.events
        one_by_one = self._states(events, given, table, key)
        if one_by_one is not None:
            nth, cells = one_by_one
            return nth, nth, cells

        # SQL may have a separate path for runs that are created and ended within one batch.
        def in_a_batch(first: int, end: int) -> list[Cell]:
            found = self._states(events, [*given[:first], given[end - 1]], table, key)
            return found[1] if found else []

        found = smallest_run(len(given), lambda first, end: bool(in_a_batch(first, end)))
        return None if found is None else (*found, in_a_batch(found[0], found[1] + 1))

    def _states(
        self, events: EventList, stops: Sequence[LogEvent], table: TableDiff, key: Key
    ) -> tuple[int, list[Cell]] | None:
        """Project up to each stop in turn, one batch each; return the first stop at which the sides
        differ."""
        with ExitStack() as stack:
            old = stack.enter_context(_side(self._old, events, table))
            new = stack.enter_context(_side(self._new, events, table))
            for nth, stop in enumerate(stops):
                rows = [side.row(stop.position, table.table, key) for side in (old, new)]
                cells = _cells(*rows)
                if cells:
                    return nth, cells
        return None


class _Side:
    def __init__(self, generation: Generation, events: EventList) -> None:
        self._engine = Engine(generation, events)
        self._db = generation.cursor()

    def row(self, position: int, table: str, key: Key) -> Row | None:
        self._engine.catch_up(position)
        found = self._db.execute(
            SQL["row"],
            {"table": table, "key": list(key), "value": [_text(value) for value in key.values()]},
        )
        names = [column[0] for column in found.description]
        rows = found.fetchall()
        return dict(zip(names, rows[0], strict=True)) if rows else None

    def keys(self, position: int, table: TableDiff) -> set[str]:
        self._engine.catch_up(position)
        scope = {"table": table.table, "key": list(table.key)}
        return {key for (key,) in self._db.execute(SQL["keys"], scope).fetchall()}


@contextmanager
def _side(models: Sequence[ReadModel], events: EventList, table: TableDiff) -> Iterator[_Side]:
    generation = Generation(":memory:", needed([table.model], models))
    try:
        yield _Side(generation, events)
    finally:
        generation.close()


def _of_runs(models: Sequence[ReadModel]) -> dict[str, Table]:
    """Return the tables whose rows belong to runs and have the run's start time."""
    return {
        name: table
        for model in models
        for name, table in model.declaration.tables.items()
        if table.run and table.born and table.created
    }


def _cells(old: Row | None, new: Row | None) -> list[Cell]:
    """Return the differing cells; all cells if only one side has the row."""
    if old is None and new is None:
        return []
    if old is None or new is None:
        shown = old or new or {}
        return [
            Cell(column=name, old=value if old else None, new=value if new else None)
            for name, value in shown.items()
            if value is not None
        ]
    return [
        Cell(column=name, old=old[name], new=new[name])
        for name in old
        if name in new and old[name] != new[name]
    ]


def _note(candidates: Sequence[str]) -> str:
    if not candidates:
        return "no run that contributes to the row was found"
    if len(candidates) == 1:
        return (
            f"the events of {candidates[0]} give the same row by the old SQL and by the new one, "
            f"one by one and in one batch: the live row is not what its events say, or what an "
            f"older version took them to say"
        )
    return f"no single one of {len(candidates)} runs that contribute to the row explains it"


def _text(value: str | int | float | bool | None) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    return None if value is None else str(value)

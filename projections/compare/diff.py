"""Two generations compared: digests of 1,024 buckets of keys, then rows, then columns."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import duckdb
from pydantic import BaseModel, ConfigDict

from projections.read_models.declaration import Table
from projections.read_models.read_model import ReadModel
from runledger.durable_file import unfinished
from runledger.errors import InvalidArgument, ReadModelsError
from runledger.sql_file import quoted, render, statements

SQL: Final = statements(Path(__file__).with_name("diff.sql"))
ALIAS: Final = "runledger_candidate"

Key = dict[str, str | int | float | bool | None]
"""The key columns of a row with their values, times and days as text."""


class _Finding(BaseModel):
    model_config = ConfigDict(frozen=True, defer_build=True)


class Cell(_Finding):
    """A value that differs, as text."""

    column: str
    old: str | None
    new: str | None


class RowChange(_Finding):
    """A row that differs: `cells` for a changed row, the whole `row` if one side lacks it."""

    change: Literal["added", "removed", "changed"]
    key: Key
    cells: list[Cell] = []
    row: dict[str, Any] | None = None


class TableDiff(_Finding):
    """The differences in a table. `columns` counts the changed rows by column.

    `run` is the key column with the run of a row, None for totals. `display` are the columns shown
    for a row that one side lacks.

    `compared` are the columns that both sides have with the same type; the others are listed.
    `duplicated` counts keys that occur more than once, which a correct projection never makes.
    """

    model: str
    table: str
    key: tuple[str, ...]
    run: str | None = None
    display: tuple[str, ...] = ()
    compared: list[str]
    rows_old: int
    rows_new: int
    buckets: int = 0
    added: int = 0
    removed: int = 0
    changed: int = 0
    duplicated: int = 0
    columns: dict[str, int] = {}
    columns_added: list[str] = []
    columns_removed: list[str] = []
    columns_retyped: list[str] = []
    sample: list[RowChange] = []

    @property
    def differing(self) -> int:
        """Rows added, removed or changed."""
        return self.added + self.removed + self.changed

    @property
    def share(self) -> float:
        """Differing rows as a share of the larger side, 0 to 1."""
        return self.differing / max(self.rows_old, self.rows_new, 1)


class Diff:
    """Compares the generation that `db` has open with the one attached; inside one transaction.

    The caller opens the transaction, so events projected meanwhile are not visible. `limit`
    differing rows of every table are shown, and as many of each of the `runs`.
    """

    def __init__(
        self, db: Any, limit: int, out: Path | None = None, runs: Sequence[str] = ()
    ) -> None:
        self._db = db
        self._limit = limit
        self._out = out
        self._runs = list(runs)
        ((self._database,),) = db.execute(SQL["database"]).fetchall()
        for name in ("comparable", "changed_runs", "report"):
            db.execute(SQL[name])

    def _fetch(self, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._db.execute(SQL[name], parameters).fetchall()
        return found

    def tables(
        self, old: Sequence[ReadModel], new: Sequence[ReadModel], only: Sequence[str] = ()
    ) -> list[TableDiff]:
        """Compare the tables that both sides have, for all read models or for the named ones."""
        before = {model.name: model for model in old}
        found = []
        for model in new:
            if model.name not in before or (only and model.name not in only):
                continue
            both = model.keys.keys() & before[model.name].keys.keys()
            found += [
                self._table(model.name, name, table)
                for name, table in model.declaration.tables.items()
                if name in both
            ]
        if self._out is not None:
            self._report(self._out)
        return found

    def _report(self, out: Path) -> None:
        try:
            with unfinished(out) as part:
                self._fetch("write_report", file=str(part))
        except (duckdb.IOException, OSError) as e:
            raise InvalidArgument(f"{str(out)!r}: {str(e).partition(chr(10))[0]}") from e

    def _table(self, model: str, table: str, declared: Table) -> TableDiff:
        key, run = declared.key, declared.run
        columns = self._columns(table, key)
        sides = {
            "old": f"{quoted(self._database)}.main.{quoted(table)}",
            "new": f"{ALIAS}.main.{quoted(table)}",
        }
        scope = {
            "key": list(key),
            "columns": columns["compared"],
            "nested": columns.pop("nested"),
        }
        for side, name in sides.items():
            self._fetch(f"{side}_digest", **{side: name}, **scope)
        self._fetch("differing")
        ((rows_old, rows_new, buckets),) = self._fetch("totals")
        about = {
            "model": model,
            "table": table,
            "key": key,
            "run": run,
            "display": [name for name in declared.display if name in columns["compared"]],
            "rows_old": rows_old,
            "rows_new": rows_new,
            "buckets": buckets,
            **columns,
        }
        if buckets == 0:
            return TableDiff(**about)
        for side, name in sides.items():
            self._fetch(f"{side}_rows", **{side: name}, **scope)
        self._fetch("changes")
        ((added, removed, changed, duplicated),) = self._fetch("counts")
        self._fetch("chosen", limit=self._limit)
        if self._runs and run is not None:
            scope_of_runs = {"column": run, "runs": self._runs, "limit": self._limit}
            self._fetch("chosen_of_runs", **scope_of_runs)
        self._values(sides, scope)
        if self._out is not None:
            self._fetch("add_to_report", model=model, table=table)
        if run is not None:
            self._db.execute(render(SQL["add_changed_runs"], run=run))
        return TableDiff(
            **about,
            added=added,
            removed=removed,
            changed=changed,
            duplicated=duplicated,
            columns={name: int(count) for name, count in self._fetch("by_column")},
            sample=[_row(*row) for row in self._fetch("sample")],
        )

    def _columns(self, table: str, key: tuple[str, ...]) -> dict[str, list[str]]:
        found = self._fetch("columns", database=ALIAS, table=table)
        new = {name: kind for name, kind, _ in found}
        nested = {name for name, _, holds_others in found if holds_others}
        there = self._fetch("columns", database=self._database, table=table)
        old = {name: kind for name, kind, _ in there}
        same = [name for name in new if old.get(name) == new[name]]
        if missing := sorted(set(key) - set(same)):
            raise ReadModelsError(
                f"table {table}: expected the key columns {', '.join(key)} on both sides with one "
                f"type, found {', '.join(missing)} on one side or with two"
            )
        return {
            "compared": same,
            "nested": [name for name in same if name in nested and name not in key],
            "columns_added": sorted(new.keys() - old),
            "columns_removed": sorted(old.keys() - new),
            "columns_retyped": sorted(n for n in new.keys() & old if old[n] != new[n]),
        }

    def _values(self, sides: dict[str, str], scope: dict[str, list[str]]) -> None:
        differing = [name for (name,) in self._fetch("differing_columns", **sides, **scope)]
        if differing:
            self._fetch("cells", **sides, key=scope["key"], differing=differing)
        else:
            self._fetch("no_cells")
        wanted = {"key": scope["key"], "columns": scope["columns"], "all": self._out is not None}
        self._fetch("whole_rows", **sides, **wanted)


def _row(
    key: str, change: Any, cells: Sequence[dict[str, str | None]] | None, row: str | None
) -> RowChange:
    return RowChange(
        change=change,
        key=json.loads(key),
        cells=[Cell.model_validate(cell) for cell in cells or ()],
        row=None if row is None else json.loads(row),
    )

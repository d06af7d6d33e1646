"""The result of a comparison, for display and transfer, and the check of its thresholds."""

import re
from collections.abc import Sequence
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from projections.compare.diff import TableDiff
from projections.compare.explain import Explanation
from projections.read_models.read_model import ReadModel
from runledger.errors import InvalidArgument

_SHARE: Final = re.compile(r"^(\d+(?:\.\d+)?)(%?)$")


class Comparison(BaseModel):
    """The live generation (`old`) and another (`new`), both at `position`.

    `models_added` and `models_removed` are read models that one side lacks; they have no rows to
    compare. `models_changed` are those made by changed SQL. `runs_unchanged` are the runs that were
    to be explained and have no differing row.
    """

    model_config = ConfigDict(frozen=True, defer_build=True)
    old: int
    new: int
    position: int
    models_added: list[str] = []
    models_removed: list[str] = []
    models_changed: list[str] = []
    tables: list[TableDiff] = []
    explanations: list[Explanation] = []
    runs_unchanged: list[str] = []
    parked_old: int = 0
    parked_new: int = 0
    seconds: float = 0.0

    @property
    def differing(self) -> int:
        """Rows added, removed or changed, in all tables."""
        return sum(table.differing for table in self.tables)

    @property
    def same(self) -> bool:
        """Whether both sides are equal."""
        return not self.differing and not any(
            table.columns_added or table.columns_removed or table.columns_retyped
            for table in self.tables
        )


class Thresholds(BaseModel):
    """Limits for changes: a share of the rows of each table, and tables or columns that must not
    change.

    `max_changed` is a share from 0 to 1; `unchanged` names tables (`runs`) or columns
    (`runs.status`).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)
    max_changed: float | None = Field(default=None, ge=0, le=1)
    unchanged: tuple[str, ...] = ()

    def check(self, models: Sequence[ReadModel]) -> None:
        """Raise InvalidArgument if a table belongs to none of these read models."""
        known = {table for model in models for table in model.keys}
        for name in self.unchanged:
            if name.partition(".")[0] not in known:
                raise InvalidArgument(
                    f"fail-if-changed: no such table: {name!r}; there are "
                    f"{', '.join(sorted(known))}"
                )

    def exceeded(self, comparison: Comparison) -> list[str]:
        """Return the reasons why the comparison exceeds the thresholds; empty if it does not."""
        reasons = [
            f"{table.table}: expected at most {self.max_changed:.4%} of the rows to differ, "
            f"found {table.share:.4%} ({table.differing:,})"
            for table in comparison.tables
            if self.max_changed is not None and table.share > self.max_changed
        ]
        tables = {table.table: table for table in comparison.tables}
        for name in self.unchanged:
            reasons += _changed(name, tables.get(name.partition(".")[0]), name.partition(".")[2])
        return reasons


def _changed(name: str, table: TableDiff | None, column: str) -> list[str]:
    if table is None:
        raise InvalidArgument(f"fail-if-changed: no such table on both sides: {name!r}")
    other = [*table.columns_added, *table.columns_removed, *table.columns_retyped]
    if not column:
        rows = [f"{name}: {table.differing:,} rows differ"] if table.differing else []
        shape = [f"{name}: {', '.join(other)}: added, taken away, or of another type"]
        return rows + (shape if other else [])
    if column in other:
        return [f"{name}: the column was added, taken away, or has another type"]
    if column not in table.compared:
        raise InvalidArgument(
            f"fail-if-changed: no such column: {name!r}; there are {', '.join(table.compared)}"
        )
    # An added or removed row has changed in all of its columns.
    count = table.columns.get(column, 0) + table.added + table.removed
    return [f"{name}: {count:,} rows differ"] if count else []


def share(text: str) -> float:
    """Parse `0.1%` or `0.001` into a share from 0 to 1; InvalidArgument for anything else."""
    found = _SHARE.match(text.strip())
    value = float(found[1]) / (100 if found[2] else 1) if found else -1.0
    if not 0 <= value <= 1:
        raise InvalidArgument(f"expected a share like 0.1% or 0.001, found {text!r}")
    return value


def thresholds(max_changed: str | None = None, unchanged: Sequence[str] = ()) -> Thresholds:
    """Parse the thresholds from texts such as those of the command line."""
    return Thresholds(
        max_changed=None if max_changed is None else share(max_changed), unchanged=tuple(unchanged)
    )

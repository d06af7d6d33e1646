"""A run of so many steps that a view reads a page of it, and sums of the rest from read models."""

from pathlib import Path
from typing import Any, Final, NamedTuple

from projections.queries.queries import Queries
from projections.queries.step_filter import step_filter
from runledger.records import RunRecord, StepView, nanoseconds
from runledger.sql_file import statements
from runledger.web.timeline import BAND, Band, Bar, side_by_side, step_bar

SQL: Final = statements(Path(__file__).with_suffix(".sql"))


class LongRun(NamedTuple):
    """A page of steps, the rows of its waterfall, and the band over all of the run.

    `whole` are nanoseconds from the left of the axis to the right.
    """

    steps: list[StepView]
    all_steps: int
    tool_calls: int
    rows: list[Bar]
    band: list[Band]
    whole: int


def long_run(queries: Queries, run: RunRecord, page: int, size: int) -> LongRun:
    """Return a page of a long run.

    Parameters:
        queries: answers from the read models.
        run: the run.
        page: which page, from 1.
        size: how many steps a page has.
    """
    scope: dict[str, Any] = {"organization": run.organization, "run_id": run.run_id}
    (counts,) = queries.rows(SQL["counts"], scope)
    after = None
    first = (page - 1) * size
    if first:
        found = queries.rows(SQL["before"], {**scope, "offset": first - 1})
        after = found[0]["step_id"] if found else None
    steps: list[StepView] = []
    if after is not None or not first:
        asked = step_filter("run", run_id=run.run_id, order="asc", limit=size, after=after)
        steps = queries.list_steps(run.organization, asked)
    whole = max(run.run_ns or 0, nanoseconds(run.last_event_at) - run.run_start_ns, BAND)
    rows: list[Bar] = []
    calls = _calls(queries, scope, steps, run.run_start_ns)
    for number, step in enumerate(steps, first + 1):
        rows.append(step_bar(step, number, run.run_start_ns))
        rows.extend(calls.get(step.step_id, ()))
    band = _band(queries, scope, run.run_start_ns, whole)
    return LongRun(steps, counts["steps"], counts["tool_calls"], rows, band, whole)


def _calls(
    queries: Queries, scope: dict[str, Any], steps: list[StepView], begin: int
) -> dict[str, list[Bar]]:
    made: dict[str, list[Bar]] = {}
    ids = [step.step_id for step in steps]
    for row in queries.rows(SQL["calls"], {**scope, "steps": ids}):
        at, end = nanoseconds(row["called_at"]), row["returned_at"]
        took = None if end is None else nanoseconds(end) - at
        failed = row["return_status"] == "error"
        bar = Bar("tool", row["name"] or "tool", at - begin, took, failed=failed)
        made.setdefault(row["step_id"], []).append(bar)
    return {step_id: side_by_side(bars) for step_id, bars in made.items()}


def _band(queries: Queries, scope: dict[str, Any], begin: int, whole: int) -> list[Band]:
    span = max(-(-whole // BAND), 1)
    columns = [Band(0, 0, None)] * BAND
    for row in queries.rows(SQL["band"], {**scope, "begin": begin, "span": span}):
        columns[row["place"]] = Band(row["model"], row["tool"], row["first"])
    return columns

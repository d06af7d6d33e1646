"""An expression keeps the runs for which its plain evaluation in Python is true."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from expressions import TERMS, Term
from hypothesis import given, settings
from hypothesis import strategies as st
from where_ledger import START, Rows

from projections.queries.run_filter import RunConditions, run_filter
from projections.queries.where.columns import Kind, columns
from projections.queries.where.translation import expression_of
from runledger import RunLedger
from runledger.errors import InvalidExpression
from runledger.records import RunRecord
from runledger.sql_file import literal


def _kept(ledger: RunLedger, **filters: Any) -> list[str]:
    return [run.run_id for run in asyncio.run(ledger.list_runs(limit=1000, **filters))]


@given(term=TERMS)
@settings(max_examples=60)
def test_an_expression_keeps_the_runs_for_which_it_is_true(
    filled: RunLedger, rows: Rows, term: Term
) -> None:
    try:
        found = _kept(filled, where=term.text)
    except InvalidExpression as e:
        # The limits of an expression are part of the language.
        assert "expected at most" in e.reason  # noqa: PT017
        return
    assert sorted(found) == sorted(
        row["run_id"] for row in rows.runs if term.means(rows, row) is True
    )


_FILTERS: dict[str, st.SearchStrategy[Any]] = {
    "agent_ids": st.lists(st.sampled_from(["agent-a", "agent-b", "it's"]), max_size=2),
    "agent_id": st.sampled_from(["agent-a", ""]),
    "statuses": st.lists(st.sampled_from(["failed", "completed", "running"]), max_size=2),
    "stop_reason": st.sampled_from(["error", "end_turn"]),
    "background": st.booleans(),
    "template_family": st.sampled_from(["template-1", "x"]),
    "project_id": st.sampled_from(["project-1", "it's", None]),
    "conversation_id": st.sampled_from(["conv-0", "conv-2", "conv-4", "conv-6"]),
    "step_count": st.integers(0, 3),
    "tools_used": st.lists(st.sampled_from(["search", "draw", "q'x"]), max_size=2),
    "duration_filter": st.fixed_dictionaries(
        {
            "value": st.sampled_from([0, 10**9, 30 * 10**9]),
            "operator": st.sampled_from(["eq", "gt", "gte", "lt", "lte"]),
        }
    ),
    "duration_percentile": st.sampled_from([0.0, 33.3, 95.0, 100.0]),
    "feedback": st.sampled_from(["positive", "negative", None]),
    "start_date": st.just(START),
    "end_date": st.just(START.replace(hour=6)),
    "where": st.sampled_from(
        ["total_tokens > 0 OR background -- or not", "", " ", "percentile(duration) >= 50"]
    ),
}
_COMPARED_COUNTS = st.sampled_from(["eq", "gt", "gte", "lt", "lte"])


@st.composite
def _conditions(draw: st.DrawFn) -> dict[str, Any]:
    asked: dict[str, Any] = draw(st.fixed_dictionaries({}, optional=_FILTERS))
    if "step_count" in asked:
        asked["step_count_operator"] = draw(_COMPARED_COUNTS)
    if "percentile" in asked.get("where", ""):
        asked.pop("duration_percentile", None)
    return asked


def test_every_filter_is_among_those_that_are_translated() -> None:
    assert RunConditions.__annotations__.keys() == {
        *_FILTERS,
        "run_id",
        "step_count_operator",
    }


@given(asked=_conditions())
@settings(max_examples=60)
def test_every_filter_keeps_the_runs_of_its_expression(
    filled: RunLedger, asked: dict[str, Any]
) -> None:
    expression = expression_of(run_filter("list_runs", **asked))
    assert _kept(filled, where=expression) == _kept(filled, **asked)


@pytest.mark.parametrize("name", sorted(_FILTERS.keys() - {"where", "duration_percentile"}))
def test_each_filter_alone_keeps_the_runs_of_its_expression(filled: RunLedger, name: str) -> None:
    @given(value=_FILTERS[name])
    def holds(value: Any) -> None:
        expression = expression_of(run_filter("list_runs", **{name: value}))
        assert _kept(filled, where=expression) == _kept(filled, **{name: value})

    holds()


def test_the_id_of_a_run_keeps_the_run_of_its_expression(filled: RunLedger, rows: Rows) -> None:
    for run_id in (rows.runs[3]["run_id"], "it's none"):
        expression = expression_of(run_filter("list_runs", run_id=run_id))
        assert _kept(filled, where=expression) == _kept(filled, run_id=run_id)


_COLUMNS = sorted(RunRecord.model_fields.keys() & columns("runs").keys() - {"metadata"})


@pytest.mark.parametrize("column", _COLUMNS)
def test_every_column_is_compared_with_its_own_values(
    filled: RunLedger, rows: Rows, column: str
) -> None:
    def runs_with(holds: Callable[[Any], bool]) -> list[str]:
        return sorted(row["run_id"] for row in rows.runs if holds(row[column]))

    unknown = _kept(filled, where=f"{column} IS NULL")
    assert sorted(unknown) == runs_with(lambda value: value is None)
    known = [row[column] for row in rows.runs if row[column] is not None]
    for value in known[:1] + known[-1:]:
        if columns("runs")[column].kind is Kind.LIST:
            where = " AND ".join(f"{literal(one)} IN {column}" for one in value) or "true"
            assert sorted(_kept(filled, where=where)) == runs_with(
                lambda found, value=value: set(value) <= set(found)
            )
            continue
        where = f"{column} = {_written(value)}"
        assert sorted(_kept(filled, where=where)) == runs_with(
            lambda found, value=value: found == value
        )


def _written(value: Any) -> str:
    if isinstance(value, datetime):
        return literal(value.isoformat())
    return literal(value) if isinstance(value, str) else str(value).lower()


@pytest.mark.parametrize("percent", [0, 50, 95, 100])
def test_a_percentile_is_that_of_the_runs_that_the_other_terms_leave(
    filled: RunLedger, percent: int
) -> None:
    other = "status <> 'failed' AND num_steps > 0"
    expected = _kept(filled, where=other, duration_percentile=float(percent))
    for text in (
        f"percentile(duration) >= {percent} AND {other}",
        f"{other} AND percentile(duration) >= {percent}",
    ):
        assert _kept(filled, where=text) == expected
    alone = _kept(filled, where=f"percentile(duration) >= {percent}")
    assert alone == _kept(filled, duration_percentile=float(percent))


@pytest.mark.parametrize("by", [("model",), ("agent", "day"), ()])
def test_totals_of_all_runs_are_the_totals(filled: RunLedger, by: tuple[str, ...]) -> None:
    everything = asyncio.run(filled.usage_totals(by=by))
    assert asyncio.run(filled.usage_totals(by=by, where="true")) == everything
    assert asyncio.run(filled.usage_totals(by=by, where="1 = 2")) == []


@pytest.mark.parametrize("by", [(), ("agent",), ("project", "agent", "day")])
def test_percentiles_of_all_runs_are_the_percentiles(
    filled: RunLedger, by: tuple[str, ...]
) -> None:
    everything = asyncio.run(filled.duration_percentiles(by=by))
    assert asyncio.run(filled.duration_percentiles(by=by, where="true")) == everything


def test_totals_and_percentiles_count_the_runs_that_an_expression_keeps(
    filled: RunLedger, rows: Rows
) -> None:
    where = "any_tool(name = 'refund') AND status <> 'created'"
    kept = set(_kept(filled, where=where))
    steps = [step for run_id in kept for step in rows.steps.get(run_id, ())]
    (total,) = asyncio.run(filled.usage_totals(by=(), where=where))
    assert (total.steps, total.total_tokens) == (
        len(steps),
        sum(step["total_tokens"] or 0 for step in steps),
    )
    timed = [row for row in rows.runs if row["run_id"] in kept and row["run_ns"] is not None]
    (found,) = asyncio.run(filled.duration_percentiles(where=where))
    durations = asyncio.run(filled.run_durations(where=where))
    assert found.runs == durations.runs == len(timed)


def test_pages_follow_each_other(filled: RunLedger) -> None:
    where = "total_tokens >= 0 AND NOT any_tool(name = 'x')"
    whole = _kept(filled, where=where)
    pages: list[str] = []
    while page := asyncio.run(
        filled.list_runs(where=where, limit=7, after=pages[-1] if pages else None)
    ):
        pages += [run.run_id for run in page]
    assert pages == whole

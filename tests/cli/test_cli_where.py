"""--where on the command line: the runs that meet a condition, and refusals that point at it."""

from pathlib import Path

import pytest
from command_line import RUN, Command


def test_a_condition_leaves_the_runs_that_meet_it(runledger: Command, runs: Path) -> None:
    where = "any_tool(name = 'search') OR error_type = 'Boom'"
    found = runledger("runs", "list", "--where", where, "--json")
    assert [run["run_id"] for run in found.json] == [RUN.format(2), RUN.format(1)]
    both = runledger("runs", "list", "--where", where, "--status", "failed", "--json")
    assert [run["run_id"] for run in both.json] == [RUN.format(2)]


def test_totals_and_percentiles_count_these_runs(runledger: Command, runs: Path) -> None:
    (total,) = runledger("usage", "--where", "status = 'completed'", "--json").json
    assert total["prompt_tokens"] == 812
    assert runledger("usage", "--where", "status = 'failed'", "--json").json == []
    (found,) = runledger("percentiles", "--where", "status = 'failed'", "--json").json
    assert (found["runs"], found["p50"]) == (1, 10_000)


@pytest.mark.parametrize("command", [("runs", "list"), ("usage",), ("percentiles",)])
def test_a_refusal_points_at_the_fault(runledger: Command, command: tuple[str, ...]) -> None:
    refused = runledger(*command, "--where", "num_steps > 0 AND statsu = 'failed'")
    assert refused.code == 2
    *_, said, line, caret = refused.err.rstrip().splitlines()
    assert said.endswith("runs have no column 'statsu'; did you mean status?")
    assert line.index("statsu") == caret.index("^")


def test_explain_prints_all_filters_as_one_condition(runledger: Command, runs: Path) -> None:
    filters = ("--status", "completed", "--tool", "search", "--start-date", "2000-01-01")
    explained = runledger("runs", "list", *filters, "--where", "num_steps = 1", "--explain")
    assert explained.code == 0
    condition = explained.out.strip()
    assert condition.startswith("(num_steps = 1) AND status IN ('completed')")
    found = runledger("runs", "list", "--where", condition, "--json").json
    assert [run["run_id"] for run in found] == [RUN.format(1)]


def test_explain_says_that_times_without_a_zone_are_utc(runledger: Command) -> None:
    explained = runledger("runs", "list", "--where", "created_at > '2025-08-01'", "--explain")
    assert "UTC: 2025-08-01" in explained.err

"""Saved views on the command line: saved once, and used by their names."""

from pathlib import Path

import pytest
from command_line import RUN, Command

pytestmark = pytest.mark.slow


def test_a_view_is_used_by_its_name(runledger: Command, runs: Path) -> None:
    condition = "any_tool(name = 'search') OR error_type = 'Boom'"
    assert runledger("views", "save", "of-interest", condition).out == "of-interest saved\n"
    found = runledger("runs", "list", "--view", "of-interest", "--json").json
    assert [run["run_id"] for run in found] == [RUN.format(2), RUN.format(1)]
    narrowed = ("--view", "of-interest", "--where", "status = 'failed'")
    found = runledger("runs", "list", *narrowed, "--json").json
    assert [run["run_id"] for run in found] == [RUN.format(2)]
    assert runledger("runs", "list", *narrowed, "--explain").out == (
        f"(({condition}) AND (status = 'failed'))\n"
    )
    (total,) = runledger("usage", "--view", "of-interest", "--json").json
    assert total["prompt_tokens"] == 812
    (spans,) = runledger("percentiles", *narrowed, "--json").json
    assert (spans["runs"], spans["p50"]) == (1, 10_000)


def test_a_view_of_sql_is_asked_by_its_name(runledger: Command, runs: Path) -> None:
    runledger("views", "save", "failures", "SELECT count(*) AS n FROM runs", "--sql")
    assert runledger("sql", "--view", "failures", "--json").json == [{"n": 3}]
    refused = runledger("runs", "list", "--view", "failures")
    assert refused.code == 1
    assert "expected one of the kind runs, found one of the kind sql" in refused.err
    assert runledger("sql", "SELECT 1", "--view", "failures").code == 2


def test_views_are_listed_and_removed(runledger: Command, runs: Path) -> None:
    runledger("views", "save", "b", "num_steps > 1")
    runledger("views", "save", "a", "num_steps > 0")
    listed = runledger("views", "list", "--json").json
    assert [(view["name"], view["text"]) for view in listed] == [
        ("a", "num_steps > 0"),
        ("b", "num_steps > 1"),
    ]
    assert runledger("views", "remove", "a").out == "a removed\n"
    assert runledger("views", "remove", "a").out == "a: there was no such view\n"
    assert [view["name"] for view in runledger("views", "list", "--json").json] == ["b"]
    assert runledger("--organization", "org-other", "views", "list", "--json").json == []


def test_an_unknown_view_and_a_wrong_condition_are_refused(runledger: Command, runs: Path) -> None:
    runledger("views", "save", "slow-refunds", "num_steps > 1")
    unknown = runledger("runs", "list", "--view", "slow-refund")
    assert unknown.code == 1
    assert "did you mean slow-refunds?" in unknown.err
    wrong = runledger("views", "save", "x", "statsu = 'failed'")
    assert wrong.code == 1
    assert "did you mean status?" in wrong.err
    assert runledger("views", "save", "a/b", "true").code == 1

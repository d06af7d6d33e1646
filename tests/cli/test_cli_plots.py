"""Bars: 80 columns without a terminal, each as long as what it stands for."""

from pathlib import Path

import pytest
from command_line import RUN, Command

from runledger.cli.bars import Bar, print_bars

BLOCKS = "▏▎▍▌▋▊▉█▐▕"


def _widths(out: str) -> list[int]:
    return [sum(char in BLOCKS for char in line) for line in out.splitlines()]


@pytest.mark.parametrize("columns", [80, 120])
def test_bars_fill_the_width_in_proportion(
    columns: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    print_bars([Bar("all", 0, 100, "100"), Bar("half", 50, 100, "50"), Bar("none", 0, 0, "0")])
    out = capsys.readouterr().out
    whole, half, none = _widths(out)
    assert {len(line.rstrip()) for line in out.splitlines()} <= set(range(columns + 1))
    assert whole > columns // 2
    assert abs(2 * half - whole) <= 2
    assert none == 0
    print_bars([Bar("x" * 200, 0, 1, "y"), Bar("\x1b[31mred", 0, 10**18, "")])
    out = capsys.readouterr().out
    assert "…" in out
    assert "\x1b" not in out
    assert max(map(len, out.splitlines())) <= columns
    print_bars([])


def test_what_is_short_is_seen(capsys: pytest.CaptureFixture[str]) -> None:
    print_bars(
        [Bar("long", 0, 10**9, ""), Bar("short", 10**9 - 1, 10**9, ""), Bar("least", 0, 1, "")]
    )
    assert all(_widths(capsys.readouterr().out))


def test_lists_and_runs_are_plotted(runledger: Command, runs: Path) -> None:
    usage = runledger("usage", "--by", "model", "--plot").out
    assert "tokens" in usage
    assert any(_widths(usage))
    spans = runledger("percentiles", "--plot").out
    assert spans.startswith("all runs")
    assert "p50" in spans
    shown = runledger("runs", "show", RUN.format(1), "--plot").out
    assert "run_id" in shown
    assert "step_id" not in shown


@pytest.mark.parametrize("command", [("usage",), ("percentiles",), ("runs", "show", RUN.format(1))])
def test_a_plot_is_no_json(runledger: Command, command: tuple[str, ...]) -> None:
    assert runledger(*command, "--plot", "--json").code == 2

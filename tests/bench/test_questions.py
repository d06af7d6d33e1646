"""Every question of the bench is asked at a tiny size: it must answer, whatever the figures are."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.bench.__main__ import QUESTIONS, ask
from scripts.bench.bench import SIZES, Bench
from scripts.bench.machine import describe
from scripts.bench.rounds import alternate, percentile
from scripts.bench.row import Figure, Mark, Row


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench(SIZES["tiny"], tmp_path_factory.mktemp("bench"))
    yield made
    made.close()
    assert not made.directory.exists()


@pytest.mark.parametrize("question", QUESTIONS)
def test_a_question_answers_with_rows_that_json_can_carry(question: str, bench: Bench) -> None:
    rows = ask(question, bench)
    assert rows
    for row in rows:
        assert math.isfinite(row.ours)
        assert row.ours > 0
        assert row.met in (None, True, False)
        assert (row.met is None) == (row.mark is None)
        again = json.loads(json.dumps(row.as_json(question)))
        assert again["figure"] == row.figure
        assert again["met"] is row.met


def test_every_file_with_rows_is_a_question() -> None:
    files = Path(__file__).parents[2].joinpath("scripts", "bench").glob("*.py")
    asked = {file.stem for file in files if "\ndef rows(bench: " in file.read_text()}
    assert asked == set(QUESTIONS)


def test_sides_are_measured_in_turns() -> None:
    order = []

    def side(name: str, figures: list[float]) -> float:
        order.append(name)
        return figures.pop(0)

    ours, theirs = [10.0, 30.0, 20.0], [5.0, 10.0, 20.0]
    measured = alternate(3, {"a": lambda: side("a", ours), "b": lambda: side("b", theirs)})
    assert order == ["a", "b"] * 3
    assert measured.median("a") == 20
    # The median of 2, 3 and 1, not the ratio of the medians.
    assert measured.ratio("a", "b") == 2


def test_a_mark_is_met_by_the_ratio_or_by_our_own_figure() -> None:
    peer = Figure("peer", 10)
    assert Row("f", 25, "x", peer, mark=Mark("≥", 2.5)).met is True
    assert Row("f", 24, "x", peer, mark=Mark("≥", 2.5)).met is False
    assert Row("f", 24, "x", peer, ratio=3, mark=Mark("≥", 2.5)).met is True
    assert Row("f", 2, "ms", mark=Mark("≤", 2, "ours")).met is True
    assert Row("f", 2.1, "ms", mark=Mark("≤", 2, "ours")).met is False
    assert Row("f", 2.1, "ms", mark=Mark("≤", 2)).met is None
    assert Row("f", 2.1, "ms", peer).met is None


def test_the_machine_is_described(tmp_path: Path) -> None:
    described = describe(tmp_path)
    assert described["fdatasync_ms"] > 0
    assert json.dumps(described)


def test_percentiles_interpolate() -> None:
    assert percentile([7.0], 99) == 7
    assert percentile([1.0, 2.0, 3.0], 50) == 2
    assert percentile([0.0, 100.0], 95) == 95

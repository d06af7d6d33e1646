"""The table of a generation's states is what the code does, and what the page shows."""

from collections.abc import Callable
from pathlib import Path

import pytest

from projections.fold.generation import Generation
from projections.generations.generations import Generations
from projections.generations.manifest import NONE, STEPS, State, expect_step
from runledger.errors import ReadModelsError
from scripts.draw_generations import PAGE, page

STATES: tuple[State, ...] = ("building", "candidate", "live", "kept")
FOLLOWS = {
    "building": {NONE, "building", "candidate"},
    "candidate": {NONE, "building"},
    "live": {NONE, "building", "candidate", "kept", "live"},
    "kept": {"live"},
}


@pytest.fixture
def in_state(tmp_path: Path) -> Callable[[str], tuple[Generations, Generation]]:
    """Makes generation 2 in a state."""
    ways: dict[str, tuple[State, ...]] = {
        NONE: (),
        "building": ("building",),
        "candidate": ("building", "candidate"),
        "live": ("live",),
        "kept": ("live", "kept"),
    }

    def make(state: str) -> tuple[Generations, Generation]:
        generations = Generations(tmp_path / "runs.duckdb")
        generations.folder.mkdir()
        generation = Generation(generations.file(2), number=2)
        for step in ways[state]:
            generations.record(generation, step)
        return generations, generation

    return make


@pytest.mark.parametrize("after", STATES)
@pytest.mark.parametrize("before", [NONE, *STATES])
def test_only_the_steps_of_the_table_are_taken(
    in_state: Callable[[str], tuple[Generations, Generation]], before: str, after: State
) -> None:
    generations, generation = in_state(before)
    try:
        if before in FOLLOWS[after]:
            assert generations.record(generation, after).state == after
        else:
            with pytest.raises(
                ReadModelsError, match=f"to become {after}, found one that is {before}"
            ):
                generations.record(generation, after)
    finally:
        generation.close()


def test_a_live_generation_is_not_dropped(
    in_state: Callable[[str], tuple[Generations, Generation]],
) -> None:
    generations, generation = in_state("live")
    generation.close()
    generations.path.write_bytes(generations.file(2).read_bytes())
    with pytest.raises(ReadModelsError, match="expected one that is not live"):
        generations.drop(2)


def test_every_step_is_one_that_is_expected() -> None:
    for step in STEPS:
        for state in step.allowed:
            if step.to != NONE:
                expect_step(1, state, step.to)


def test_the_page_shows_the_table() -> None:
    """If this fails: make reference."""
    text = PAGE.read_text(encoding="utf-8")
    assert text == page(text)

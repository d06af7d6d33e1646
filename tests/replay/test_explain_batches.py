"""A difference that shows only when several events are folded in one batch is explained by the
smallest run of them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from replaying import change, copied_sql, open_live

from projections.compare.batch_of_events import smallest_run
from projections.operator.local import Operations
from projections.read_models.catalog import BESIDE
from projections.replay.replay import build
from runledger.store import Store


def test_a_bug_in_what_a_batch_creates_is_explained(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = copied_sql(tmp_path / "wrong")
    # Of runs that one batch creates and goes on with: event by event, it is added by an update.
    change(
        wrong / "runs" / "apply.sql",
        "c.run_ns, c.num_steps,",
        "c.run_ns, 2 * c.num_steps AS num_steps,",
    )
    monkeypatch.setenv(BESIDE, str(wrong))
    live = open_live(store, tmp_path / "r.duckdb")
    monkeypatch.setenv(BESIDE, str(copied_sql(tmp_path / "right")))
    number = build(store, live.path).number
    compared = Operations(store, live).compare(number)
    live.close()
    (why,) = [found for found in compared.explanations if found.table == "runs"]
    assert why.note is None
    assert why.topic == "run.step_recorded"
    # From its creation to its first step, as one batch.
    assert why.batch_from == 1
    assert why.nth is not None
    assert why.nth > 1
    steps = {cell.column: (cell.old, cell.new) for cell in why.cells}
    assert steps["num_steps"] == ("2", "1")


@given(st.integers(0, 60), st.sets(st.integers(0, 59), max_size=4))
def test_the_run_holds_what_makes_the_difference_and_no_more(count: int, needed: set[int]) -> None:
    def differs(first: int, end: int) -> bool:
        return set(range(first, end)) >= needed and end > first

    found = smallest_run(count, differs)
    if count == 0 or not needed <= set(range(count)):
        assert found is None
    elif needed:
        assert found == (min(needed), max(needed))
    else:
        assert found is not None
        assert found[0] == found[1]

"""The laws of every read model found on disk: replay, batch boundaries, and what the rows are."""

import math
from contextlib import closing
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from projections.archive.store import open_log
from projections.archive.writer import archive
from projections.read_models.catalog import discover
from runledger.store import open_store
from tests.projections import oracle
from tests.projections.histories import History, histories
from tests.projections.reading import parsed, projected, projected_by_pieces

pytestmark = pytest.mark.slow

MODELS = discover()
PERCENTILES = ("p50", "p90", "p95", "p99")


def test_the_read_models_of_the_design_are_found_on_disk() -> None:
    assert {model.name for model in MODELS} >= {
        *("runs", "steps", "tool_calls", "agents", "usage_totals", "duration_percentiles")
    }


@settings(deadline=None)
@given(histories, st.sampled_from([1, 2, 7]))
def test_replay_equals_incremental(history: History, batch_events: int) -> None:
    whole = projected(history, history.head, history.head)
    assert projected(history, history.head, batch_events) == whole


@settings(deadline=None)
@given(histories, st.data())
def test_batch_boundaries_do_not_matter(history: History, data: st.DataObject) -> None:
    cuts = data.draw(st.sets(st.integers(1, history.head)))
    found = projected_by_pieces(history, {*cuts, history.head})
    assert found == projected(history, history.head, history.head)


@settings(deadline=None, max_examples=15)
@given(histories, st.sampled_from([20, 1_000]), st.sampled_from([7, 1_000]))
def test_an_archive_gives_the_same(history: History, segment: int, batch_events: int) -> None:
    with TemporaryDirectory() as folder:
        with closing(open_store(f"sqlite:///{folder}/log.db")) as store:
            history.record(store)
            archive(store, f"{folder}/archive", segment_events=segment)
        with closing(open_log(f"archive:{folder}/archive")) as archived:
            assert archived.head() == history.head
            found = projected(archived.log_reader(), history.head, batch_events, bulk=True)
    assert found == projected(history, history.head, history.head)


@settings(deadline=None)
@given(histories, st.sampled_from([3, 1000]), st.data())
def test_the_rows_are_what_a_plain_fold_of_the_events_gives(
    history: History, batch_events: int, data: st.DataObject
) -> None:
    upto = data.draw(st.sampled_from([history.head, history.head // 2 + 1]))
    found = parsed(projected(history, upto, batch_events))
    expected = parsed(oracle.tables(history.events(upto)))
    exact = expected.pop("duration_percentiles")
    interpolated = found.pop("duration_percentiles")
    assert len(interpolated) == len(exact)
    for row, want in zip(interpolated, exact, strict=True):
        for name in PERCENTILES:
            assert math.isclose(row.pop(name), want.pop(name), rel_tol=1e-12)
        assert row == want
    # Rows that the oracle does not know of have laws of their own.
    unknown = {"callbacks", "callback_attempts", "parked_runs", "parked_events"}
    assert found.keys() - unknown == expected.keys()
    for table, rows in expected.items():
        assert found[table] == rows, table

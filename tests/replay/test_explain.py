"""Why a run differs: whichever run is asked for, in every table, to the first event."""

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import duckdb
import pytest
from replaying import cache_reads, open_live
from typer.testing import CliRunner

from projections.compare.comparison import Comparison
from projections.compare.explain import Explanation
from projections.generations.live import LiveReadModels
from projections.operator.local import Operations
from projections.operator.operator import RemoteOperator, serve
from projections.replay.replay import Plan, build, replay
from runledger.cli.main import app
from runledger.errors import InvalidArgument, NotFound
from runledger.store import Store
from runledger.store.protocol import EncodedEvent, StreamWrite


@pytest.fixture
def cached(tmp_path: Path, url: str) -> list[str]:
    """The runs with a cache read, in the order of their ids."""
    return sorted(cache_reads(tmp_path / "runs.db")[0])


@pytest.fixture
def uncached(store: Store) -> str:
    """A run without any step."""
    run = "run-00000000-0000-4000-8000-000000000001"
    (created,) = store.read_log(0, 1, ("run.created",))
    event = EncodedEvent(created.topic, created.facts, None)
    store.append([(StreamWrite(run, 0, (event,)),)])
    return run


@pytest.fixture
def compare(
    store: Store, live: LiveReadModels, operations: Operations
) -> Callable[..., Comparison]:
    """Compares live, which has the bug, with a generation that has not."""
    number = build(store, live.path).number
    return lambda **options: operations.compare(number, **options)


def _first_cached_step(store: Store, run: str) -> tuple[int, int]:
    """Return the position of the first step that read a cache, and how many tokens."""
    for row in store.read_stream(run, contents=False):
        if count := getattr(row.event, "cache_read_tokens", None):
            return row.position, count
    raise AssertionError(run)


def _is_the_bug(store: Store, found: Explanation) -> bool:
    assert found.stream is not None
    position, count = _first_cached_step(store, found.stream)
    cells = [(cell.column, cell.old, cell.new) for cell in found.cells]
    return (
        found.topic == "run.step_recorded"
        and found.position == position
        and cells == [("cache_read_tokens", str(2 * count), str(count))]
    )


def test_a_run_that_is_no_sample_is_explained_in_every_table(
    store: Store, compare: Callable[..., Comparison], cached: list[str]
) -> None:
    last = cached[-1]
    sampled = compare(limit=1)
    assert all(found.stream != last for found in sampled.explanations if found.table == "runs")
    assert sampled.runs_unchanged == []

    asked = compare(limit=1, explain_runs=[last])

    assert [found.table for found in asked.explanations] == ["runs", "usage_totals"]
    assert {found.stream for found in asked.explanations} == {last}
    assert all(_is_the_bug(store, found) for found in asked.explanations)
    assert asked.explanations[0].key == {"run_id": last}
    assert "day" in asked.explanations[1].key
    (runs,) = [table for table in asked.tables if table.table == "runs"]
    assert [row.key["run_id"] for row in runs.sample] == [cached[0], last]
    assert [cell.column for cell in runs.sample[1].cells] == ["cache_read_tokens"]


def test_of_a_run_that_is_as_it_was_this_is_said(
    compare: Callable[..., Comparison], cached: list[str], uncached: str
) -> None:
    found = compare(explain_runs=[uncached, cached[5], cached[2]])
    assert found.runs_unchanged == [uncached]
    assert [e.stream for e in found.explanations if e.table == "runs"] == [cached[5], cached[2]]


def test_a_row_that_was_edited_is_explained_as_such(
    store: Store, read_models: Path, projected_log: dict[str, Path], fix: Callable[[], None]
) -> None:
    fix()
    read_models.write_bytes(projected_log["right"].read_bytes())
    with duckdb.connect(str(read_models)) as db:
        ((run,),) = db.execute("SELECT max(run_id) FROM steps").fetchall()
        db.execute("UPDATE steps SET model = 'other' WHERE run_id = ?", [run])
    live = open_live(store, read_models)
    try:
        found = Operations(store, live).compare(
            build(store, read_models).number, explain=2, explain_runs=[run]
        )
    finally:
        live.close()
    (steps,) = [table for table in found.tables if table.differing]
    assert len(found.explanations) == min(2, steps.differing)
    for explanation in found.explanations:
        assert explanation.key["run_id"] == run
        assert explanation.note is not None
        assert "the live row is not what its events say" in explanation.note


def test_a_wrong_request_is_heard_of_before_anything_is_built(
    store: Store, live: LiveReadModels, operations: Operations, cached: list[str]
) -> None:
    def asked(plan: Plan) -> None:
        replay(lambda: nullcontext(operations), store, live.path, plan)

    with pytest.raises(NotFound, match="run with id run-elsewhere not found"):
        asked(Plan(explain_runs=("run-elsewhere",)))
    for plan in (
        Plan(explain_runs=(cached[0],), explain=0),
        Plan(explain_runs=(cached[0],), limit=0),
    ):
        with pytest.raises(InvalidArgument, match="expected 1 or more rows"):
            asked(plan)
    assert live.generations.numbers() == [1]


def test_the_process_that_holds_the_read_models_explains_too(
    store: Store, live: LiveReadModels, operations: Operations, cached: list[str], uncached: str
) -> None:
    number = build(store, live.path).number
    server = serve(live, operations)
    try:
        asked = [cached[-1], uncached]
        found = RemoteOperator(live.path).compare(number, explain_runs=asked)
    finally:
        server.close()
    assert found.runs_unchanged == [uncached]
    assert {e.stream for e in found.explanations} == {cached[-1]}


def test_the_commands_explain_a_run(
    url: str,
    read_models: Path,
    projected_log: dict[str, Path],
    fix: Callable[[], None],
    cached: list[str],
    uncached: str,
) -> None:
    read_models.write_bytes(projected_log["wrong"].read_bytes())
    fix()

    def run(*words: str) -> str:
        settings = {"RUNLEDGER_STORE": url, "RUNLEDGER_READ_MODELS": str(read_models)}
        done = CliRunner().invoke(app, list(words), env=settings, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        return done.output

    text = run("replay", "--limit", "1", "--explain-run", cached[-1])
    assert f"why runs differs for run_id={cached[-1]}" in text
    assert f"of {cached[-1]}: run.step_recorded" in text
    text = run("generations", "compare", "2", "--explain-run", cached[3], "--explain-run", uncached)
    assert f"why runs differs for run_id={cached[3]}" in text
    assert f"nothing that is said of {uncached} differs" in text

"""Generations: states, numbers, going on, dropping, and the command line."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

import duckdb
import pytest
from replaying import open_live
from typer.testing import CliRunner, Result

from projections.compare.comparison import Thresholds, thresholds
from projections.generations.generations import Generations
from projections.generations.live import LiveReadModels
from projections.operator.local import Operations
from projections.replay.replay import Plan, build, replay
from runledger.cli.main import app
from runledger.errors import InvalidArgument, ReadModelsError
from runledger.store import Store

Command = Callable[..., Result]


@pytest.fixture
def runledger(url: str, read_models: Path) -> Command:
    """Runs a command line."""

    def run(*words: str) -> Result:
        settings = {"RUNLEDGER_STORE": url, "RUNLEDGER_READ_MODELS": str(read_models)}
        result = CliRunner().invoke(app, list(words), env=settings)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def states(generations: Generations) -> dict[int, str]:
    return {entry.number: entry.state for entry in generations.entries()}


def test_a_generation_goes_from_candidate_to_live_to_kept(
    store: Store, live: LiveReadModels, operations: Operations
) -> None:
    seen: list[dict[int, str]] = []
    built = build(store, live.path, progress=lambda *_: seen.append(states(live.generations)))
    assert seen
    assert all(state == {1: "live", 2: "building"} for state in seen)
    assert states(live.generations) == {1: "live", 2: "candidate"}
    operations.switch(built.number)
    assert states(live.generations) == {1: "kept", 2: "live"}
    operations.switch(1)
    assert states(live.generations) == {1: "live", 2: "kept"}
    entry = live.generations.get(1)
    assert entry.position == store.head()
    assert entry.rows["runs"] == live.generation.rows()["runs"]
    assert entry.size == live.path.stat().st_size


def test_a_closed_generation_tells_how_far_it_is(store: Store, read_models: Path, fix) -> None:
    fix()
    open_live(store, read_models).close()
    (entry,) = Generations(read_models).entries()
    assert (entry.state, entry.position) == ("live", store.head())
    assert entry.rows["runs"] > 900


def test_what_was_built_is_brought_up_to_date_unless_its_sql_changed(
    store: Store, live: LiveReadModels, tmp_path: Path
) -> None:
    assert build(store, live.path).number == 2
    assert build(store, live.path).number == 2
    assert build(store, live.path, fresh=True).number == 3
    apply = tmp_path / "right" / "agents" / "apply.sql"
    apply.write_text(apply.read_text() + "\n-- again: nothing\nSELECT 1;\n")
    assert build(store, live.path).number == 4


def test_after_a_switch_the_newest_old_ones_are_kept(
    store: Store, live: LiveReadModels, operations: Operations
) -> None:
    for number in (2, 3, 4):
        operations.switch(build(store, live.path, fresh=True).number)
        assert live.generation.about.number == number
    build(store, live.path, fresh=True)
    assert live.generations.prune(keep=1, spare=[5]) == [1, 2]
    assert states(live.generations) == {3: "kept", 4: "live", 5: "candidate"}
    assert live.generations.prune(keep=0) == [3, 5]
    assert live.generations.next_number() == 5


def test_without_live_read_models_the_first_replay_makes_them(
    runledger: Command, read_models: Path, fix
) -> None:
    fix()
    dry = runledger("replay")
    assert dry.exit_code == 0
    assert not read_models.exists()
    assert runledger("replay", "--switch").exit_code == 0
    assert read_models.exists()
    assert "the read models are what the log says" in runledger("verify").stdout


def test_the_live_file_is_a_plain_database(store: Store, live: LiveReadModels) -> None:
    Operations(store, live).switch(build(store, live.path).number)
    live.close()
    assert not live.path.is_symlink()
    with duckdb.connect(str(live.path), read_only=True) as db:
        assert db.execute("SELECT count(*) > 900 FROM runs").fetchall() == [(True,)]


def test_the_story_on_the_command_line(
    runledger: Command, store: Store, read_models: Path, tmp_path: Path, fix
) -> None:
    open_live(store, read_models).close()
    fix()
    out = tmp_path / "diff.parquet"
    dry = runledger("replay", "--limit", "2", "--out", str(out))
    assert dry.exit_code == 0
    assert "read models made by other SQL: agents, runs, usage_totals" in dry.stdout
    assert "run.step_recorded at position" in dry.stdout
    assert "not switched; `runledger generations switch 2` does" in dry.stdout
    assert out.exists()
    for threshold in (("--max-changed", "0.1%"), ("--fail-if-changed", "runs.cache_read_tokens")):
        refused = runledger("replay", "--switch", *threshold)
        assert refused.exit_code == 3
        assert "exceeded: runs" in refused.stdout
    within = ("--max-changed", "100%", "--fail-if-changed", "runs.status")
    done = runledger("replay", "--switch", "--json", "--limit", "0", *within)
    assert done.exit_code == 0
    said = json.loads(done.stdout)
    assert said["live"]["number"] == 2
    assert said["exceeded"] == []
    listed = json.loads(runledger("generations", "list", "--json").stdout)
    assert {entry["number"]: entry["state"] for entry in listed} == {1: "kept", 2: "live"}
    assert "state" in runledger("generations", "show", "1").stdout
    assert runledger("verify", "--sample", "10").exit_code == 0
    compared = runledger("generations", "compare", "1", "--json")
    assert json.loads(compared.stdout)["new"] == 1
    assert runledger("generations", "switch", "1").stdout.startswith("generation 1 is live")
    verified = runledger("verify")
    assert verified.exit_code == 1
    assert "WRONG sql: agents, runs, usage_totals" in verified.stdout
    assert runledger("generations", "drop", "2").exit_code == 0
    missing = runledger("generations", "switch", "2")
    assert (missing.exit_code, missing.stdout) == (1, "")
    assert "generation with id 2 not found: there are 1" in missing.stderr
    part = runledger("replay", "--events-of-type", "run.failed")
    assert part.stdout.startswith("touches ")
    assert "buckets of rows proved to be as they were" in part.stdout
    changed = runledger("replay", "--changed")
    assert "compared with generation 1" in changed.stdout


def test_answers_as_of_a_moment_on_the_command_line(runledger: Command) -> None:
    for words in (
        ("runs", "list", "--limit", "1"),
        ("usage",),
        ("percentiles",),
        ("agents",),
        ("sql", "SELECT max(last_position) AS last FROM runs"),
    ):
        found = runledger(*words, "--as-of", "1000", "--organization", "org-1", "--json")
        assert found.exit_code == 0, found.stderr
        assert json.loads(found.stdout)
    (row,) = json.loads(found.stdout)
    assert 900 < row["last"] <= 1000
    refused = runledger("usage", "--as-of", "1000000")
    assert refused.exit_code == 1
    assert "expected a position from 0 to 9000" in refused.stderr


@pytest.mark.parametrize(
    ("text", "share"), [("0.1%", 0.001), ("0.001", 0.001), ("100%", 1), ("0", 0), (" 5% ", 0.05)]
)
def test_a_share_is_read(text: str, share: float) -> None:
    assert thresholds(text) == Thresholds(max_changed=share)


@pytest.mark.parametrize("text", ["", "101%", "1.5", "-1%", "a", "1%%", "nan"])
def test_what_is_no_share_is_refused(text: str) -> None:
    with pytest.raises(InvalidArgument, match=r"expected a share like 0\.1%"):
        thresholds(text)


def test_a_table_that_is_not_there_is_no_threshold(
    store: Store, live: LiveReadModels, operations: Operations
) -> None:
    comparison = operations.compare(build(store, live.path).number)
    assert thresholds(None, ["agents", "runs.status"]).exceeded(comparison) == []
    assert len(thresholds(None, ["runs"]).exceeded(comparison)) == 1
    for name in ("planes", "planes.status", "runs.colour"):
        with pytest.raises(InvalidArgument, match=name):
            thresholds(None, [name]).exceeded(comparison)
    before = live.generations.entries()
    desk = nullcontext(operations)
    plan = Plan(thresholds=thresholds(None, ["planes.status"]))
    with pytest.raises(InvalidArgument, match="no such table: 'planes.status'; there are agents"):
        replay(lambda: desk, store, live.path, plan, fresh=True)
    assert live.generations.entries() == before, "said before anything is built"


def test_two_replays_of_one_generation_do_not_meet(
    store: Store, live: LiveReadModels, tmp_path: Path
) -> None:
    met: list[str] = []

    def again(_count: int, _position: int) -> None:
        try:
            live.generations.drop(2)
        except ReadModelsError as e:
            met.append(str(e))

    build(store, live.path, progress=again)
    assert met


def test_a_switch_by_a_symbolic_link_changes_the_file_and_leaves_the_link(
    store: Store, read_models: Path, tmp_path: Path
) -> None:
    open_live(store, read_models).close()
    link = tmp_path / "elsewhere" / "link.duckdb"
    link.parent.mkdir()
    link.symlink_to(read_models)
    live = open_live(store, link)
    try:
        built = build(store, link)
        Operations(store, live).switch(built.number)
        seen = states(live.generations)
    finally:
        live.close()
    assert link.is_symlink()
    assert seen == {1: "kept", built.number: "live"}
    by_its_name = open_live(store, read_models)
    try:
        assert by_its_name.generation.about.number == built.number
    finally:
        by_its_name.close()
    assert [path.name for path in link.parent.iterdir()] == ["link.duckdb"]

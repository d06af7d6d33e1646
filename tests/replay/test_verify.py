"""Verify finds, by name: rows edited by hand, lost checkpoints, other SQL, unknown events."""

import shutil
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest
from replaying import change

from projections.compare.verify import Verification
from projections.generations.live import LiveReadModels
from projections.operator.local import Operations
from projections.read_models.catalog import BESIDE
from runledger.errors import ReadModelsDamaged
from runledger.store import Store
from runledger.store.protocol import EncodedEvent, StreamWrite

Verify = Callable[..., Verification]


@pytest.fixture
def sound(read_models: Path, projected_log: dict[str, Path], fix: Callable[[], None]) -> Path:
    """Closed read models made by the SQL that is on disk."""
    fix()
    shutil.copyfile(projected_log["right"], read_models)
    return read_models


@pytest.fixture
def verify(store: Store, sound: Path) -> Verify:
    """Verifies what lies there."""

    def run(sample: int | None = None) -> Verification:
        live = LiveReadModels(store, sound)
        try:
            return Operations(store, live).verify(sample)
        finally:
            live.close()

    return run


def edit(path: Path, statement: str) -> None:
    with duckdb.connect(str(path)) as db:
        assert db.execute(statement).fetchall() != [(0,)]


def kinds(found: Verification) -> list[str]:
    return [problem.kind for problem in found.problems]


@pytest.mark.parametrize("sample", [None, 200])
def test_sound_read_models_are_clean(verify: Verify, sample: int | None) -> None:
    found = verify(sample)
    assert found.clean
    assert found.rows > 500
    assert found.runs == sample


@pytest.mark.parametrize(
    ("table", "statement"),
    [
        ("runs", "UPDATE runs SET total_tokens = total_tokens + 1"),
        ("steps", "UPDATE steps SET model = 'gpt-5' WHERE model = 'gpt-4.1'"),
        ("tool_calls", "DELETE FROM tool_calls"),
        ("runs", "DELETE FROM runs"),
        ("run_durations", "INSERT INTO run_durations FROM run_durations"),
    ],
)
@pytest.mark.parametrize("sample", [None, 30])
def test_rows_edited_by_hand_are_found(
    verify: Verify, sound: Path, table: str, statement: str, sample: int | None
) -> None:
    edit(sound, statement)
    found = verify(sample)
    assert set(kinds(found)) == {"rows"}
    assert any(problem.detail.startswith(f"{table}: ") for problem in found.problems)


def test_one_edited_total_is_named_with_both_values(verify: Verify, sound: Path) -> None:
    edit(
        sound,
        "UPDATE usage_totals SET steps = 123456 WHERE (organization, agent_id, model, day) ="
        " (SELECT min((organization, agent_id, model, day)) FROM usage_totals)",
    )
    (problem,) = verify().problems
    assert problem.kind == "rows"
    assert problem.detail.startswith("usage_totals: 1 rows differ; row org-0, ")
    assert problem.detail.endswith("found '123456'")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE generation SET position = 100", "up to the checkpoint 100, found some of 9000"),
        ("UPDATE generation SET position = 8999", "the checkpoint 8999, found some of 9000"),
        (
            "UPDATE generation SET position = 9001",
            "expected a checkpoint that a batch ended at, found 9001",
        ),
        ("DELETE FROM generation", "expected one checkpoint, found 0"),
    ],
)
def test_a_checkpoint_that_cannot_be_is_an_error_for_everybody(
    store: Store, verify: Verify, sound: Path, statement: str, words: str
) -> None:
    edit(sound, statement)
    before = sound.read_bytes()
    for opening in (verify, lambda: LiveReadModels(store, sound)):
        with pytest.raises(ReadModelsDamaged, match=f"{words}.*`runledger replay --switch`"):
            opening()
    assert sound.read_bytes() == before


@pytest.mark.parametrize("sample", [None, 30])
def test_a_row_of_an_event_that_is_not_there_yet_is_found(
    verify: Verify, sound: Path, sample: int | None
) -> None:
    edit(sound, "UPDATE runs SET ended_position = 9001")
    found = verify(sample)
    assert kinds(found) == ["checkpoint"]
    assert found.problems[0].detail == "the checkpoint is 9000, but runs speaks of 9001"


def test_a_checkpoint_set_forward_within_the_log_is_refused(
    verify: Verify, store: Store, sound: Path
) -> None:
    rows = store.read_log(0, 1, ("run.created",))
    event = EncodedEvent(rows[0].topic, rows[0].facts, None)
    store.append([(StreamWrite("run-00000000-0000-4000-8000-000000000001", 0, (event,)),)])
    edit(sound, "UPDATE generation SET position = 9001")
    with pytest.raises(ReadModelsDamaged, match="found 9001: it was set by hand"):
        verify()


def test_sql_that_is_not_the_one_that_made_the_rows_is_named(
    verify: Verify, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(BESIDE, str(tmp_path / "wrong"))
    found = verify()
    assert kinds(found) == ["sql"], "the rows are still what their own SQL makes of the log"
    assert found.problems[0].detail.startswith("agents, runs, usage_totals: the SQL on disk")


def test_a_comment_makes_no_other_sql(
    verify: Verify, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(
        tmp_path / "right" / "runs" / "apply.sql", "-- changes:", "-- what changed.\n-- changes:"
    )
    assert verify(1).clean


def test_an_event_that_nothing_understands_is_named(verify: Verify, store: Store) -> None:
    run = "run-00000000-0000-4000-8000-000000000001"
    unknown = EncodedEvent("run.teleported", b'{"revision":1}', None)
    store.append([(StreamWrite(run, 0, (unknown,)),)])
    verify()
    found = verify()
    assert kinds(found) == ["event"]
    assert "run.teleported" in found.problems[0].detail

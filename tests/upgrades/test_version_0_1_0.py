"""A ledger of version 0.1.0 opens unchanged, answers by its own SQL, and asks for a replay."""

import lzma
from contextlib import closing
from pathlib import Path

import pytest

from projections.fold.generation import Generation
from projections.fold.layouts import LAYOUT
from projections.generations.live import LiveReadModels
from projections.operator.local import Operations
from projections.replay.changed_models import build_changed
from projections.replay.replay import build
from runledger.errors import ReadModelsError
from runledger.store import Store, open_store

pytestmark = pytest.mark.slow

MADE = Path(__file__).parent / "version_0_1_0"


@pytest.fixture
def read_models(tmp_path: Path) -> Path:
    for name in ("runs.db", "runs.duckdb"):
        with lzma.open(MADE / f"{name}.xz") as packed:
            (tmp_path / name).write_bytes(packed.read())
    return tmp_path / "runs.duckdb"


@pytest.fixture
def store(read_models: Path) -> Store:
    return open_store(f"sqlite:///{read_models.with_suffix('.db')}")


@pytest.fixture
def live(store: Store, read_models: Path) -> LiveReadModels:
    return LiveReadModels(store, read_models)


def test_it_answers_and_asks_for_a_replay(
    store: Store, read_models: Path, caplog: pytest.LogCaptureFixture
) -> None:
    live = LiveReadModels(store, read_models)
    assert live.ask(lambda q: q.rows("SELECT count(*) AS runs FROM runs")) == [{"runs": 165}]
    assert "usage_totals is not the one that made their rows" in caplog.text
    assert "runledger replay" in caplog.text
    assert live.generation.about.layout == 1
    keys = {table: key for model in live.generation.models for table, key in model.keys.items()}
    assert keys["usage_totals"] == ("organization", "project_id", "agent_id", "model", "day")
    assert [model.name for model in live.generation.models] == sorted(
        model.name for model in live.generation.models
    )
    assert "sql" in [problem.kind for problem in Operations(store, live).verify(5).problems]
    live.close()


def test_a_question_that_it_cannot_answer_says_what_to_do(
    store: Store, live: LiveReadModels
) -> None:
    with pytest.raises(ReadModelsError, match="built by an older version.*replay --switch"):
        live.ask(lambda q: q.rows("SELECT version FROM runs LIMIT 1"))
    operations = Operations(store, live)
    operations.switch(build(store, live.path).number)
    assert len(live.ask(lambda q: q.rows("SELECT version FROM runs LIMIT 1"))) == 1
    live.close()


def test_it_is_compared_with_todays_and_switched(store: Store, live: LiveReadModels) -> None:
    operations = Operations(store, live)
    built = build(store, live.path)
    comparison = operations.compare(built.number)
    assert comparison.models_changed == sorted(model.name for model in live.generation.models)
    differing = {table.table for table in comparison.tables if table.differing}
    # How the tokens of a step are split was decided again since; nothing else may differ.
    assert differing <= {"runs", "steps", "usage_totals"}
    operations.switch(built.number)
    assert (live.changed, live.generation.about.layout) == ([], LAYOUT)
    operations.switch(1)
    assert live.generation.about.layout == 1
    assert live.ask(lambda q: q.rows("SELECT count(*) AS runs FROM runs")) == [{"runs": 165}]
    live.close()


def test_a_copy_of_it_is_brought_to_todays_layout(store: Store, live: LiveReadModels) -> None:
    operations = Operations(store, live)
    built = build_changed(operations, store, live.path)
    assert built is not None
    with closing(Generation(live.generations.file(built.number))) as made:
        assert (made.about.layout, made.changed) == (LAYOUT, [])
    operations.switch(built.number)
    assert operations.verify().clean
    live.close()


def test_a_row_that_was_edited_is_explained(store: Store, read_models: Path) -> None:
    live = LiveReadModels(store, read_models)
    edit = "UPDATE agents SET last_stop_reason = 'edited' WHERE agent_id = 'agent-1'"
    with live.generation.transaction() as db:
        db.execute(edit)
    operations = Operations(store, live)
    comparison = operations.compare(build(store, live.path).number)
    (why,) = [found for found in comparison.explanations if found.table == "agents"]
    assert why.note is not None
    live.close()

"""A log of a few thousand runs, and read models whose SQL counts cache reads twice."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from replaying import EVENTS, copied_sql, open_live, planted_bug

from projections.fold import feed
from projections.fold.engine import Engine
from projections.fold.generation import Generation
from projections.generations.live import LiveReadModels
from projections.operator.local import Operations
from projections.read_models.catalog import BESIDE, discover
from runledger.store import Store, open_store
from scripts.bench.generate import generate

Fix = Callable[[], None]


@pytest.fixture(autouse=True)
def _two_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the log be read in two batches, as a long one is."""
    monkeypatch.setattr(feed, "FIRST_EVENTS", EVENTS * 2 // 3)


@pytest.fixture(scope="session")
def large_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store file with some thousand runs; tests work on copies."""
    file = tmp_path_factory.mktemp("log") / "runs.db"
    generate(f"sqlite:///{file}", EVENTS)
    return file


@pytest.fixture(scope="session")
def projected_log(large_log: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Read models of that log, by the SQL with the bug (`wrong`) and without; copied by tests."""
    folder = tmp_path_factory.mktemp("projected")
    store = open_store(f"sqlite:///{large_log}")
    sql = {"wrong": planted_bug(folder / "wrong"), "right": copied_sql(folder / "right")}
    made = {which: folder / f"{which}.duckdb" for which in sql}
    for which, file in made.items():
        with closing(Generation(file, discover(sql[which]))) as generation:
            with closing(store.log_reader()) as reader:
                Engine(generation, reader).catch_up(store.head())
    store.close()
    return made


@pytest.fixture
def url(large_log: Path, tmp_path: Path) -> str:
    """The URL of a store with that log."""
    shutil.copyfile(large_log, tmp_path / "runs.db")
    return f"sqlite:///{tmp_path}/runs.db"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    """That store, open."""
    opened = open_store(url)
    yield opened
    opened.close()


@pytest.fixture
def read_models(tmp_path: Path) -> Path:
    """Where the read models are to lie."""
    return tmp_path / "runs.duckdb"


@pytest.fixture
def fix(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fix:
    """Plants the bug for this test; calling it repairs the SQL on disk."""
    right = copied_sql(tmp_path / "right")
    monkeypatch.setenv(BESIDE, str(planted_bug(tmp_path / "wrong")))
    return lambda: monkeypatch.setenv(BESIDE, str(right))


@pytest.fixture
def live(
    store: Store, read_models: Path, projected_log: dict[str, Path], fix: Fix
) -> Iterator[LiveReadModels]:
    """Live read models made by the SQL with the bug, which is mended on disk by now."""
    shutil.copyfile(projected_log["wrong"], read_models)
    opened = open_live(store, read_models)
    fix()
    yield opened
    opened.close()


@pytest.fixture
def operations(store: Store, live: LiveReadModels) -> Operations:
    """Return the operations on the store and its read models."""
    return Operations(store, live)

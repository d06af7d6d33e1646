"""An upgrade says what it changes before it changes it, and leaves the events as they are."""

import lzma
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from projections.fold.layouts import LAYOUT
from runledger.errors import StoreUnavailable
from runledger.migration import changes, migrate
from runledger.store import open_store
from runledger.store.layouts import LAYOUTS, stored_layout
from runledger.store.schema_version import SCHEMA_VERSION

MADE = Path(__file__).parent / "version_0_1_0"


@pytest.fixture
def old(tmp_path: Path) -> Path:
    for name in ("runs.db", "runs.duckdb"):
        with lzma.open(MADE / f"{name}.xz") as packed:
            (tmp_path / name).write_bytes(packed.read())
    return tmp_path


def events(folder: Path) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(folder / "runs.db")) as db:
        return db.execute("SELECT * FROM ledger_events ORDER BY 1").fetchall()


def test_the_newest_layout_is_the_last_of_the_list() -> None:
    assert max(LAYOUTS) == SCHEMA_VERSION


def test_a_dry_run_names_both_parts_and_changes_neither(old: Path) -> None:
    url, before = f"sqlite:///{old}/runs.db", (old / "runs.db").read_bytes()
    store, read_models = changes(url, old / "runs.duckdb")
    assert (store.found, store.newest, store.by) == (1, SCHEMA_VERSION, "runledger migrate")
    assert store.adds == [LAYOUTS[number] for number in range(2, SCHEMA_VERSION + 1)]
    assert (read_models.found, read_models.newest) == (1, LAYOUT)
    assert read_models.by == "runledger replay --switch"
    assert (old / "runs.db").read_bytes() == before


def test_a_migration_adds_beside_the_log(old: Path) -> None:
    url, before = f"sqlite:///{old}/runs.db", events(old)
    migrate(url)
    assert stored_layout(url) == SCHEMA_VERSION
    assert changes(url, old / "runs.duckdb")[0].by is None
    assert events(old) == before


def test_nothing_is_made_where_nothing_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/none.db"
    assert [change.found for change in changes(url, tmp_path / "none.duckdb")] == [None, None]
    with pytest.raises(StoreUnavailable):
        migrate(url)
    assert list(tmp_path.iterdir()) == []


def test_both_databases_tell_their_layout(store_url: str) -> None:
    assert stored_layout(store_url) is None
    open_store(store_url).close()
    assert stored_layout(store_url) == SCHEMA_VERSION

"""A log of a few hundred runs."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from runledger.store import Store, open_store
from scripts.bench.generate import generate

EVENTS = 2_500


@pytest.fixture(scope="session")
def generated_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store file that is not changed; tests work on copies."""
    file = tmp_path_factory.mktemp("log") / "runs.db"
    generate(f"sqlite:///{file}", EVENTS)
    return file


@pytest.fixture
def url(generated_log: Path, tmp_path: Path) -> str:
    """The URL of a store with that log."""
    shutil.copyfile(generated_log, tmp_path / "runs.db")
    return f"sqlite:///{tmp_path}/runs.db"


@pytest.fixture
def log(url: str) -> Iterator[Store]:
    """That store, open."""
    opened = open_store(url)
    yield opened
    opened.close()

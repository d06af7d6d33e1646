"""A log of a few hundred runs."""

import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from projections.archive.writer import archive
from runledger.store import Store, open_store
from scripts.bench.generate import generate

EVENTS = 2_500


@pytest.fixture(scope="session")
def generated_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store file that is not changed; tests work on copies."""
    file = tmp_path_factory.mktemp("log") / "runs.db"
    generate(f"sqlite:///{file}", EVENTS)
    return file


@pytest.fixture(scope="session")
def archived(generated_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of that log, in three segments; tests work on copies."""
    folder = tmp_path_factory.mktemp("archived") / "a"
    with closing(open_store(f"sqlite:///{generated_log}")) as log:
        archive(log, folder, segment_events=1_000)
    return folder


@pytest.fixture
def folder(archived: Path, tmp_path: Path) -> Path:
    """A copy of that archive, in the folder `a` of the test."""
    return Path(shutil.copytree(archived, tmp_path / "a"))


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

"""Small guarantees of archive and fold that no other test checks."""

from contextlib import closing
from pathlib import Path

import duckdb
import pytest

from projections.archive.store import open_log
from projections.archive.writer import archive
from projections.files.write_errors import expect_written
from projections.fold import parking
from projections.fold.engine import Engine
from projections.fold.generation import Generation
from runledger.errors import ArchiveError, ReadModelsError
from runledger.store import Store
from tests.archive.spoiling import Log


def test_nobody_leads_callbacks_from_an_archive(log: Store, tmp_path: Path) -> None:
    archive(log, tmp_path / "a")
    with closing(open_log(f"archive:{tmp_path}/a")) as store:
        for name, leads in (("archive", True), ("callbacks", False), ("anything", False)):
            with store.leadership(name) as held:
                assert held is leads
            assert store.leads(name) is leads


@pytest.mark.parametrize(
    "name",
    [
        "mine.parquet",
        "events-2026.parquet",
        "raw-1-2.parquet",
        "my-events-000000000001-000000000002.parquet",
        "events-000000000001-000000000002.parquet.bak",
    ],
)
def test_a_file_of_others_stays(log: Store, tmp_path: Path, name: str) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    (folder / name).write_bytes(b"of others")
    archive(log, folder)
    assert (folder / name).read_bytes() == b"of others"


def test_a_folder_of_others_stays_though_an_archiver_would_name_it_so(
    log: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "a" / ".unfinished"
    folder.mkdir(parents=True)
    (folder / "mine").write_bytes(b"of others")
    with pytest.raises(ArchiveError, match="it was left as it is"):
        archive(log, tmp_path / "a")
    assert (folder / "mine").read_bytes() == b"of others"
    # What a killed archiver left is taken away, an empty folder as well.
    (folder / "mine").rename(folder / "raw-0.parquet")
    archive(log, tmp_path / "a")
    assert not folder.exists()
    folder.mkdir()
    archive(log, tmp_path / "a")


@pytest.mark.parametrize("error", [ArchiveError, ReadModelsError])
def test_a_full_memory_is_an_error_of_ours(tmp_path: Path, error: type[Exception]) -> None:
    with pytest.raises(error, match="could not be written: no block"):
        with expect_written(tmp_path, error):
            raise duckdb.OutOfMemoryException("no block\nmore")


def test_the_first_of_two_reasons_is_kept() -> None:
    rows = []
    for number in range(20):
        topics = ("run.teleported", "run.beamed")
        for version, topic in enumerate(topics if number % 2 else topics[::-1], 1):
            rows.append((len(rows) + 1, f"run-{number}", version, topic, b"{}"))
    generation = Generation(":memory:")
    Engine(generation, Log(tuple(rows))).catch_up(len(rows))
    found = parking.parked(generation.cursor())
    generation.close()
    assert len(found) == 20
    for row in found:
        assert row.version == 1
        assert row.topic == rows[row.position - 1][3]
        assert row.topic in row.reason

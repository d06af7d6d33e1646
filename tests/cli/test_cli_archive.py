"""Commands that write refuse an archive once, before they read anything."""

from contextlib import closing
from pathlib import Path

import pytest
from command_line import RUN, Command

from projections.archive.writer import archive
from runledger.store import open_store

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    "words",
    [
        ("import", "jsonl", "nowhere.jsonl"),
        ("import", "tau2", "nowhere.json"),
        ("expire", "--older-than", "1ns"),
        ("dispatch",),
        ("runs", "cancel", RUN.format(3)),
        ("runs", "delete", RUN.format(3), "--yes"),
        ("callbacks", "redeliver", "--run", RUN.format(3)),
    ],
)
def test_what_would_write_is_one_line(
    runledger: Command, runs: Path, tmp_path: Path, words: tuple[str, ...]
) -> None:
    with closing(open_store(f"sqlite:///{tmp_path}/runs.db")) as store:
        archive(store, tmp_path / "a")
    refused = runledger(*words, "--store", f"archive:{tmp_path}/a")
    assert refused.code == 1, refused.err
    assert refused.err.count("\n") == 1
    assert "found an archive, which can only be read" in refused.err


def test_read_models_beyond_an_archive_are_told_from_damaged_ones(
    runledger: Command, runs: Path, tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/runs.db"
    with closing(open_store(url)) as store:
        archive(store, tmp_path / "a")
    assert runledger("runs", "cancel", RUN.format(3)).code == 0
    assert runledger("runs", "list").code == 0
    refused = runledger("runs", "list", "--store", f"archive:{tmp_path}/a")
    assert "bring the archive up to date with `runledger archive`" in refused.err
    assert "--switch" not in refused.err


def test_an_archive_is_verified_where_the_store_is_lost(
    runledger: Command, runs: Path, tmp_path: Path
) -> None:
    assert runledger("archive", str(tmp_path / "a")).code == 0
    lost = ["archive", str(tmp_path / "a"), "--verify", "--store", f"sqlite:///{tmp_path}/lost.db"]
    assert "every byte as it was written" in runledger(*lost).out
    for file in (tmp_path / "a").glob("raw-*"):
        file.chmod(0o644)
        file.write_bytes(b"x" * file.stat().st_size)
    done = runledger(*lost)
    assert (done.code, "expected SHA-256" in done.err) == (1, True)


@pytest.mark.parametrize("where", ["", "usage_totals"])
def test_a_folder_without_read_models_in_it_is_refused(
    runledger: Command, runs: Path, tmp_path: Path, where: str
) -> None:
    (tmp_path / "mine" / "usage_totals").mkdir(parents=True)
    if where:
        (tmp_path / "mine" / where / "schema.sql").write_text("")
    beside = {"RUNLEDGER_PROJECTIONS": str(tmp_path / "mine" / where)}
    done = runledger("runs", "list", env=beside)
    assert done.code == 1
    assert "expected a folder with folders of read models in it" in done.err

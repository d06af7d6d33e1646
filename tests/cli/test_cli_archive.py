"""Commands that write refuse an archive once, before they read anything."""

from contextlib import closing
from pathlib import Path

import pytest
from command_line import RUN, Command

from projections.archive_writer import archive
from runledger.store import open_store


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

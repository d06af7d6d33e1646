"""A file that is named as output is new, or of the kind that is written: nothing else is lost."""

import gzip
import os
from pathlib import Path

import duckdb
import pytest
from command_line import Command, command, with_runs

pytestmark = pytest.mark.slow


@pytest.fixture
def replayed(runledger: Command, runs: Path) -> Path:
    """The folder of the runs, with a generation 2 beside the live read models."""
    assert runledger("project").code == 0
    assert runledger("replay").code == 0
    return runs


@pytest.fixture(scope="module")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Such a folder, with an archive and foreign files in it; tests that share it write nothing."""
    folder = with_runs(tmp_path_factory.mktemp("untouched"))
    runledger = command(folder)
    for words in (("project",), ("replay",), ("archive", str(folder / "archive"))):
        assert runledger(*words).code == 0
    os.link(folder / "runs.db", folder / "link.db")
    (folder / "other.db").write_bytes(b"SQLite format 3\0 of somebody else")
    (folder / "notes.txt").write_text("dear diary\n")
    (folder / "folder").mkdir()
    return folder


EXPORT = ("export", "jsonl", "-o")
REPLAY = ("replay", "--out")
COMPARE = ("generations", "compare", "2", "--out")


@pytest.mark.parametrize("words", [EXPORT, REPLAY, COMPARE], ids=["export", "replay", "compare"])
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("runs.db", "found the store"),
        ("link.db", "found the store"),
        ("runs.db-wal", "found the store"),
        ("runs.duckdb", "found the read models"),
        ("runs.duckdb.generations/000002.duckdb", "found a place among the generations"),
        ("runs.duckdb.generations/new.parquet", "found a place among the generations"),
        ("other.db", "found a file of another kind"),
        ("notes.txt", "found a file of another kind"),
        ("folder", "found what is no file"),
        ("archive/new.parquet", "found a place in an archive"),
    ],
)
def test_what_is_something_else_is_never_overwritten(
    untouched: Path, words: tuple[str, ...], name: str, said: str
) -> None:
    runledger = command(untouched)
    target = untouched / name
    before = target.read_bytes() if target.is_file() else None
    refused = runledger(*words, str(target))
    assert refused.code == 1
    assert said in refused.err
    assert str(target) in refused.err
    assert (target.read_bytes() if target.is_file() else None) == before
    assert runledger("runs", "list").code == 0


@pytest.mark.parametrize("words", [REPLAY, COMPARE], ids=["replay", "compare"])
def test_a_report_replaces_a_parquet_file_if_it_is_told_to(
    runledger: Command, replayed: Path, words: tuple[str, ...]
) -> None:
    out = replayed / "diff.parquet"
    duckdb.sql(f"COPY (SELECT 1 AS one) TO '{out}'")
    kept = out.read_bytes()
    assert "--overwrite" in runledger(*words, str(out)).err
    assert out.read_bytes() == kept
    assert runledger(*words, str(out), "--overwrite").code == 0
    assert "one" not in duckdb.sql(f"FROM '{out}'").columns
    assert list(replayed.glob(".diff*")) == []


@pytest.mark.parametrize("name", ["events.jsonl", "events.jsonl.gz"])
def test_an_export_replaces_an_export_if_it_is_told_to(
    runledger: Command, runs: Path, name: str
) -> None:
    out = runs / name
    assert runledger(*EXPORT, str(out)).code == 0
    first = out.read_bytes()
    assert "--overwrite" in runledger(*EXPORT, str(out)).err
    out.write_bytes(b"")
    assert runledger(*EXPORT, str(out), "--overwrite").code == 0
    assert out.read_bytes() == first
    for foreign in (b'{"some": "JSON"}\n', gzip.compress(b"words\n"), b"\x1f\x8b damaged"):
        out.write_bytes(foreign)
        assert "found a file of another kind" in runledger(*EXPORT, str(out)).err
        assert out.read_bytes() == foreign


def test_a_file_beside_the_export_stays(runledger: Command, runs: Path) -> None:
    beside = runs / "events.jsonl.part"
    beside.write_text("mine")
    assert runledger(*EXPORT, str(runs / "events.jsonl")).code == 0
    assert beside.read_text() == "mine"

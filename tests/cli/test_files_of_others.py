"""For every command with a path: a file there that the ledger did not make survives, unchanged."""

import sqlite3
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import duckdb
import pytest
from command_line import Command

from runledger.ids import new_id

pytestmark = pytest.mark.slow


@pytest.fixture(params=["text", "empty", "duckdb", "duckdb with a log", "sqlite", "parquet"])
def stranger(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A file of another program, named as an operator might name a file of the ledger."""
    file = tmp_path / "notes.txt"
    match request.param:
        case "text":
            file.write_text("dear diary\n" * 1000)
        case "empty":
            file.touch()
        case "duckdb":
            with duckdb.connect(str(file)) as db:
                db.execute("CREATE TABLE generation AS SELECT range AS layout FROM range(3)")
        case "duckdb with a log":
            with duckdb.connect(str(file)) as db:
                db.execute("CREATE TABLE mine AS FROM range(3)")
                db.execute("PRAGMA disable_checkpoint_on_shutdown")
                db.execute("CREATE TABLE later AS FROM range(3)")
            assert Path(f"{file}.wal").exists()
        case "sqlite":
            with sqlite3.connect(file) as db:
                db.execute("CREATE TABLE mine (a)")
        case "parquet":
            duckdb.sql(f"COPY (SELECT 1 AS one) TO '{file}' (FORMAT parquet)")
    return file


def digests(folder: Path) -> dict[str, str]:
    """Return the digest of every file of others in a folder."""
    names = ("notes.txt", "notes.txt.wal")
    files = [folder / name for name in names if (folder / name).exists()]
    return {file.name: sha256(file.read_bytes()).hexdigest() for file in files}


@pytest.fixture
def unchanged(stranger: Path) -> Iterator[None]:
    before = digests(stranger.parent)
    yield
    assert digests(stranger.parent) == before
    assert not list(stranger.parent.glob("notes.txt.damaged*"))


@pytest.mark.usefixtures("unchanged")
def test_read_models_are_put_in_the_place_of_no_other_file(
    runledger: Command, runs: Path, stranger: Path
) -> None:
    there = ("--read-models", str(stranger))
    for words in (
        ("project",),
        ("runs", "list"),
        ("replay",),
        ("replay", "--switch"),
        ("replay", "--switch"),
        ("verify",),
        ("publish", str(runs / "published")),
        ("export", "parquet", str(runs / "exported")),
    ):
        refused = runledger(*words, *there)
        assert refused.code == 1, words
        assert str(stranger) in refused.err
    assert runledger("doctor", *there).code == 1
    assert not Path(f"{stranger}.generations").exists()


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    "words",
    [
        ("export", "jsonl", "--output"),
        ("replay", "--out"),
        ("archive",),
        ("publish",),
        ("export", "parquet"),
        ("export", "parquet", "--overwrite"),
        ("demo", "--directory"),
    ],
    ids=" ".join,
)
def test_nothing_is_written_in_the_place_of_another_file(
    runledger: Command, runs: Path, stranger: Path, words: tuple[str, ...]
) -> None:
    assert runledger("project").code == 0
    refused = runledger(*words, str(stranger))
    assert refused.code == 1
    assert str(stranger) in refused.err


def test_a_store_is_put_in_the_place_of_no_other_database(
    runledger: Command, tmp_path: Path
) -> None:
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE mine (a)")
    before = other.read_bytes()
    (tmp_path / "events.jsonl").touch()
    for words in (("import", "jsonl", str(tmp_path / "events.jsonl")), ("project",)):
        refused = runledger(*words, "--store", f"sqlite:///{other}")
        assert refused.code == 1
        assert "a SQLite database of another program" in refused.err or "no ledger" in refused.err
    assert other.read_bytes() == before


def test_a_file_that_took_the_place_of_read_models_is_kept(runledger: Command, runs: Path) -> None:
    live = runs / "runs.duckdb"
    kept = set()
    for _ in range(2):
        assert runledger("project").code == 0
        text = f"notes {new_id('run')}"
        live.write_text(text)
        assert runledger("replay", "--switch").code == 0
        kept.add(text)
        found = {file.read_text() for file in runs.glob("runs.duckdb.damaged*")}
        assert found == kept

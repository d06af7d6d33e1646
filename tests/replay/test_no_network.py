"""DuckDB fetches nothing, whatever it is asked or given."""

import asyncio
import sqlite3
from pathlib import Path

import duckdb
import pytest

from projections.files.duckdb_connection import connect
from projections.fold.generation import Generation
from runledger import RunLedger
from runledger.errors import ReadModelsError

ROOT = Path(__file__).parents[2]


def test_a_sqlite_file_is_told_from_read_models(tmp_path: Path) -> None:
    path = tmp_path / "runs.db"

    async def ask() -> None:
        async with RunLedger.open(f"sqlite:///{path}"):
            pass
        async with RunLedger.open(f"sqlite:///{path}", path):
            pass

    with pytest.raises(ReadModelsError, match="expected a DuckDB file, found a SQLite database"):
        asyncio.run(ask())
    with pytest.raises(ReadModelsError, match="found a SQLite database"):
        Generation(path, read_only=True)
    with sqlite3.connect(path) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_no_extension_is_loaded_or_installed_by_itself() -> None:
    with connect() as db:
        settings = db.execute(
            "SELECT current_setting('autoinstall_known_extensions'),"
            " current_setting('autoload_known_extensions')"
        ).fetchone()
        assert settings == (False, False)
        with pytest.raises(duckdb.Error):
            db.execute("FROM 'https://127.0.0.1:1/x.parquet'")


def test_every_database_is_opened_so() -> None:
    opening = {
        file.name
        for package in ("projections", "runledger")
        for file in (ROOT / package).rglob("*.py")
        if "duckdb.connect(" in file.read_text()
    }
    assert opening == {"duckdb_connection.py"}

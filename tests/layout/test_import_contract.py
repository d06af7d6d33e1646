"""The import contract refuses what it is there to refuse: one wrong import for each rule."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]


class Wrong(NamedTuple):
    """An import that some rule forbids: the file that it is written into, and its target."""

    file: str
    imports: str

    @property
    def importer(self) -> str:
        return self.file.removesuffix(".py").removesuffix("/__init__").replace("/", ".")


WRONG = [
    Wrong("runledger/server/health.py", "runledger.cli"),
    Wrong("runledger/ledger/part.py", "runledger.compat"),
    Wrong("runledger/health.py", "runledger.ledger"),
    Wrong("runledger/handles/run_handle.py", "runledger.importers"),
    Wrong("runledger/command_handling/run_cache.py", "runledger.callbacks"),
    Wrong("runledger/records.py", "runledger.command_handling"),
    Wrong("runledger/run/state.py", "runledger.store"),
    Wrong("runledger/events.py", "runledger.run"),
    Wrong("runledger/usage/buckets.py", "runledger.events"),
    Wrong("runledger/ids.py", "runledger.usage"),
    Wrong("runledger/errors.py", "runledger.ids"),
    Wrong("projections/operator/local.py", "projections.replay"),
    Wrong("projections/compare/diff.py", "projections.operator"),
    Wrong("projections/generations/live.py", "projections.compare"),
    Wrong("projections/queries/queries.py", "projections.generations"),
    Wrong("projections/fold/engine.py", "projections.archive"),
    Wrong("projections/files/write_errors.py", "projections.fold"),
    Wrong("projections/compare/verify.py", "runledger.ledger"),
    Wrong("projections/fold/feed.py", "runledger.callbacks"),
    Wrong("runledger/store/appender.py", "projections.fold"),
    Wrong("runledger/health.py", "projections.files.writer_lock"),
    Wrong("runledger/command_handling/handler.py", "psycopg"),
    Wrong("runledger/compat/manager.py", "sqlite3"),
    Wrong("runledger/ledger/open_ledger.py", "eventsourcing"),
    Wrong("runledger/arguments.py", "duckdb"),
    Wrong("runledger/parameters.py", "typer"),
    Wrong("runledger/callbacks/courier.py", "httpx"),
]


def lint(folder: Path) -> str:
    """Return what the import linter says of a copy; it must have found something."""
    told = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), "--no-cache"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1, told.stdout + told.stderr
    return told.stdout + told.stderr


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contract")
    for package in ("runledger", "projections"):
        shutil.copytree(
            ROOT / package, folder / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copyfile(ROOT / "pyproject.toml", folder / "pyproject.toml")
    return folder


@pytest.fixture(scope="module")
def told(copied: Path) -> str:
    for wrong in WRONG:
        file = copied / wrong.file
        file.write_text(f"{file.read_text()}\nimport {wrong.imports}\n")
    return " ".join(lint(copied).split())


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: f"{wrong.importer} to {wrong.imports}")
def test_an_import_against_the_contract_is_named(told: str, wrong: Wrong) -> None:
    assert f"{wrong.importer} -> {wrong.imports}" in told


def test_a_module_without_a_layer_is_refused(tmp_path: Path) -> None:
    for package in ("runledger", "projections"):
        shutil.copytree(
            ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copyfile(ROOT / "pyproject.toml", tmp_path / "pyproject.toml")
    (tmp_path / "runledger" / "newcomer.py").write_text('"""A module that has no layer."""\n')
    (tmp_path / "projections" / "stranger.py").write_text('"""Another one."""\n')
    said = lint(tmp_path)
    assert "newcomer" in said
    assert "stranger" in said

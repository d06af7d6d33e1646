"""The command line on a store with a few real runs in it."""

from pathlib import Path

import pytest
from command_line import Command, command, with_runs


@pytest.fixture
def runledger(tmp_path: Path) -> Command:
    """Runs a command line on the store and read models of this test."""
    return command(tmp_path)


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A folder with a store in it: a completed, a failed and a running run."""
    return with_runs(tmp_path)

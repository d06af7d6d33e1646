"""A ledger with read models on each kind of store."""

from collections.abc import Callable
from pathlib import Path

import pytest

from runledger import RunLedger


@pytest.fixture
def open_ledger(store_url: str, tmp_path: Path) -> Callable[[], RunLedger]:
    """Gives a ledger to be opened by `async with`."""
    return lambda: RunLedger.open(store_url, tmp_path / "runs.duckdb")

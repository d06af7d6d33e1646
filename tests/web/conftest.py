"""A server with the page, over runs of every fate and one run whose texts attack the reader."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# The servers and the runs of the server's own tests.
sys.path.append(str(Path(__file__).parents[1] / "server"))

from hostile import make_hostile_run
from running import RunningServer
from sample import make_sample

from projections.queries.sql_process import SqlLimits
from runledger.server.limits import Limits
from runledger.web.mount import mount_page

# A machine that does much else must not make an answer of a test late.
UNHURRIED = Limits(answer_seconds=600)


@pytest.fixture(scope="session")
def page(tmp_path_factory: Any) -> Iterator[RunningServer]:
    """A server with runs; tests that share it do not write."""
    folder: Path = tmp_path_factory.mktemp("page")
    store = f"sqlite:///{folder}/runs.db"
    with RunningServer(
        store,
        folder / "runs.duckdb",
        limits=UNHURRIED,
        prepare=mount_page,
        services=lambda _: {"operations_folder": folder / "operations"},
    ) as server:
        server.services.sql._limits = SqlLimits(seconds=600)
        server.do(make_sample(server.ledger))
        server.do(make_hostile_run(server.ledger))
        # The first of these tests, whichever it is, finds what the others do.
        server.do(server.ledger.project())
        yield server


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[RunningServer]:
    """A server on an empty ledger, for tests that write."""
    store = f"sqlite:///{tmp_path}/runs.db"
    with RunningServer(
        store, tmp_path / "runs.duckdb", limits=UNHURRIED, prepare=mount_page
    ) as server:
        yield server

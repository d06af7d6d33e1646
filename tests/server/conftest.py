"""Servers on real sockets: one with the demo's runs for reading, fresh ones for everything else."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from running import RunningServer
from sample import make_sample


@contextmanager
def _shared(request: pytest.FixtureRequest, folder: Path) -> Iterator[RunningServer]:
    if request.param == "sqlite":
        with RunningServer(f"sqlite:///{folder}/runs.db", folder / "runs.duckdb") as server:
            yield server
        return
    address = request.getfixturevalue("postgres")
    schema = f"t{uuid.uuid4().hex}"
    url = f"{address}{'&' if '?' in address else '?'}schema={schema}"
    with RunningServer(url, folder / "runs.duckdb") as server:
        yield server
    with psycopg.connect(address, autocommit=True) as db:
        db.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def sample(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[RunningServer]:
    """A server with runs of every fate; tests that share it do not write."""
    with _shared(request, tmp_path_factory.mktemp("sample")) as server:
        server.do(make_sample(server.ledger))
        yield server


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def empty(request: pytest.FixtureRequest, tmp_path_factory: Any) -> Iterator[RunningServer]:
    """A server on an empty store; tests that share it do not write."""
    with _shared(request, tmp_path_factory.mktemp("empty")) as server:
        yield server


@pytest.fixture
def start(store_url: str, tmp_path: Path) -> Iterator[Callable[..., RunningServer]]:
    """Starts servers on the same empty store; they are stopped after the test."""
    started: list[RunningServer] = []

    def make(**options: Any) -> RunningServer:
        options.setdefault("read_models", tmp_path / "runs.duckdb")
        started.append(RunningServer(store_url, **options).__enter__())
        return started[-1]

    yield make
    for server in started:
        server.stop()


@pytest.fixture
def server(start: Callable[..., RunningServer]) -> RunningServer:
    """A server on an empty store."""
    return start()

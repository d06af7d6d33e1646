"""One ledger here and one over HTTP, on each kind of store: the same tests are for both."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from runledger import RunLedger

# The server of the server's own tests.
sys.path.append(str(Path(__file__).parents[1] / "server"))

from running import RunningServer


@pytest.fixture
def server(store_url: str, tmp_path: Path) -> Iterator[RunningServer]:
    """A server on an empty store."""
    with RunningServer(store_url, tmp_path / "runs.duckdb") as running:
        yield running


@pytest.fixture
def remote(server: RunningServer) -> Callable[..., Any]:
    """Makes remote ledgers of the server."""

    def make(**options: Any) -> Any:
        return RunLedger.open(options.pop("url", server.url), **{"retry_for": 10, **options})

    return make


@pytest.fixture(params=["local", "remote"])
def opened(
    request: pytest.FixtureRequest, store_url: str, tmp_path: Path
) -> Iterator[Callable[[], Any]]:
    """Opens a ledger on an empty store, in this process or on a server."""
    if request.param == "local":
        yield lambda: RunLedger.open(store_url, tmp_path / "runs.duckdb")
    else:
        yield request.getfixturevalue("remote")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine in an event loop of its own."""
    if not asyncio.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = pyfuncitem._fixtureinfo.argnames
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True

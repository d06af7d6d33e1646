"""One ledger on each kind of store for all of these tests; every test has an organization alone."""

import asyncio
import inspect
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from runledger import Actor, RunLedger
from runledger.compat import MessageManager, RunManager, StepManager, User
from runledger.ids import new_id


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine in an event loop of its own."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    names = inspect.signature(pyfuncitem.obj).parameters
    asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in names}))
    return True


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def shared_ledger(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunLedger]:
    """An open ledger with read models, for any number of tests, each in its own event loop."""
    directory = tmp_path_factory.mktemp("run_manager")
    if request.param == "sqlite":
        url = f"sqlite:///{directory}/runs.db"
    else:
        address = request.getfixturevalue("postgres")
        url = f"{address}{'&' if '?' in address else '?'}schema=m{uuid.uuid4().hex}"
    ledger = RunLedger.open(url, directory / "runs.duckdb")
    asyncio.run(ledger.__aenter__())
    yield ledger
    asyncio.run(ledger.__aexit__(None, None, None))


@pytest.fixture
def ledger(shared_ledger: RunLedger) -> RunLedger:
    """The ledger of an organization that has nothing yet."""
    return shared_ledger.as_actor(Actor(new_id("org"), new_id("user")))


@pytest.fixture
def stranger(shared_ledger: RunLedger) -> RunLedger:
    """The same ledger for another organization."""
    return shared_ledger.as_actor(Actor(new_id("org"), new_id("user")))


@pytest.fixture
def agent() -> str:
    """The id of an agent that nobody has seen."""
    return new_id("agent")


@pytest.fixture
def user(ledger: RunLedger) -> User:
    """The one who acts in the ledger's organization."""
    return User(id=ledger.actor.user, organization_id=ledger.actor.organization)


@pytest.fixture
def manager(ledger: RunLedger) -> RunManager:
    return RunManager(ledger)


@pytest.fixture
def steps(ledger: RunLedger) -> StepManager:
    return StepManager(ledger)


@pytest.fixture
def tool_ids() -> dict[str, str]:
    """Tool name → id, as the message manager is told."""
    return {}


@pytest.fixture
def messages(ledger: RunLedger, tool_ids: dict[str, str]) -> MessageManager:
    return MessageManager(ledger, tool_ids=tool_ids.get)


@pytest.fixture
def own_ledger(store_url: str, tmp_path: Path) -> Callable[..., RunLedger]:
    """Makes ledgers on a store of this test's own, with the options that it needs."""

    def make(*, read_models: bool = True, **options: object) -> RunLedger:
        return RunLedger.open(
            store_url, tmp_path / "runs.duckdb" if read_models else None, **options
        )

    return make

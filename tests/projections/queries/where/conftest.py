"""One filled ledger for the tests of the filter language."""

import asyncio
from collections.abc import Iterator

import pytest
from where_ledger import ORGANIZATIONS, Rows, open_filled, read_rows

from runledger import Actor, RunLedger


@pytest.fixture(scope="module", params=[1, 2])
def filled(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunLedger]:
    """An open ledger with random runs of two organizations, which acts for the first."""
    ledger = open_filled(tmp_path_factory.mktemp("where"), runs=80, seed=request.param)
    yield ledger.as_actor(Actor(ORGANIZATIONS[0]))
    asyncio.run(ledger.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def rows(filled: RunLedger) -> Rows:
    """What the first organization has in it."""
    return asyncio.run(read_rows(filled, ORGANIZATIONS[0]))

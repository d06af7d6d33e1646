"""An event that the disk has altered since it was kept is never projected: its run is parked."""

import asyncio
from contextlib import closing

import pytest

from projections.fold.engine import Engine
from projections.fold.generation import Generation
from projections.fold.parking import parked
from runledger import RunLedger
from runledger.errors import LogDamaged
from runledger.store import open_store
from runledger.store.checked_reader import CheckedLogReader
from runledger.store.keeper import keep
from tests.store.going_back import alter, take_away

pytestmark = pytest.mark.slow

RUNS = 400


@pytest.fixture
def kept(store_url: str) -> str:
    """The URL of a store with some hundred runs, all of whose events are in tiles."""

    async def record() -> None:
        async with RunLedger.open(store_url) as ledger:
            for _ in range(RUNS):
                run = await ledger.create_run("agent-1")
                await ledger.record_step(run.run_id, provider="openai", model="m", prompt_tokens=7)
                await ledger.complete_run(run.run_id)

    asyncio.run(record())
    with closing(open_store(store_url)) as store:
        # The ledger's own keeper may have kept them all.
        keep(store, 10_000, rest=True)
        assert store.tiles_end()[1] > 1_000
    return store_url


def project(url: str, batch_events: int) -> tuple[list[int], int]:
    """Project a log; return the positions from which runs are parked, and the tokens counted."""
    with (
        closing(open_store(url)) as store,
        closing(CheckedLogReader(store)) as reader,
        closing(Generation(":memory:")) as generation,
    ):
        Engine(generation, reader, log=store, batch_events=batch_events).catch_up(store.head())
        db = generation.cursor()
        ((tokens,),) = db.execute("SELECT sum(prompt_tokens) FROM runs").fetchall()
        return [row.position for row in parked(db)], tokens


@pytest.mark.parametrize("batch_events", [100, 300, 1_000, 1_000_000])
def test_a_changed_digit_parks_its_run(kept: str, batch_events: int) -> None:
    assert project(kept, batch_events) == ([], 7 * RUNS)
    for position in (3, 255, 258, 900):
        alter(kept, position, b'"prompt_tokens":7', b'"prompt_tokens":9')
    assert project(kept, batch_events)[0] == [3, 255, 258, 900]


@pytest.mark.parametrize("begun", [100, 300, 1_050])
def test_a_reader_that_begins_within_a_tile_compares_it_too(kept: str, begun: int) -> None:
    with closing(open_store(kept)) as store, closing(Generation(":memory:")) as generation:
        with closing(CheckedLogReader(store)) as reader:
            Engine(generation, reader, log=store).catch_up(begun)
        alter(kept, begun + 3, b'"recorded_at":"2', b'"recorded_at":"3')
        with closing(CheckedLogReader(store)) as reader:
            # As in a ledger that was closed for a while: a small batch, all of which has its tile.
            Engine(generation, reader, log=store).catch_up(begun + 20)
        assert [row.position for row in parked(generation.cursor())] == [begun + 3]


def test_events_that_are_gone_end_the_projection(kept: str) -> None:
    take_away(kept, 500)
    with pytest.raises(LogDamaged, match="expected 256 events"):
        project(kept, 1_000_000)

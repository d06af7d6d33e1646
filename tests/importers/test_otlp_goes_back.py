"""A log that goes back while runs are made of spans: the runs that it has lost are made again."""

import asyncio

import pytest
from test_otlp_retention import AT_ONCE, ORGANIZATION, TRACE, agent, chat, put, tokens

from runledger import RunLedger
from runledger.importers.otlp.assembly import Assembler
from runledger.store import Store, open_store
from tests.store.going_back import before_call, go_back
from tests.store.samples import append


def loses(store_url: str, common: int, others: int) -> None:
    """Take the newest events away, and let the log go on with others."""
    go_back(store_url, common)
    other = open_store(store_url)
    if others:
        other.append([append("others", 0, others)])
    other.close()


WRITES = {"sqlite": ("append", "_execute"), "postgr": ("append", "_execute_in")}
"""What a store writes events by, and what was made of spans."""


@pytest.mark.parametrize("others", [0, 20])
@pytest.mark.parametrize("call", range(1, 8))
def test_runs_that_the_log_lost_are_made_again(store_url: str, call: int, others: int) -> None:
    async def made() -> tuple[list[str], int]:
        async with RunLedger.open(store_url, None) as ledger:
            store: Store = ledger.store
            await ledger.create_run("agent-before")
            common = store.head()
            put(store, agent(1), chat(2, 1, 700), chat(3, 1, 77))
            before_call(
                store, call, lambda: loses(store_url, common, others), WRITES[store_url[:6]]
            )
            assembler = Assembler(store, ledger.handler, AT_ONCE)
            while await assembler.assemble():
                continue
            ((*_, runs, _, _),) = store.spans.traces(ORGANIZATION, TRACE)
            run_id = runs.strip('[]"')
            rows = store.read_stream(run_id)
            return [row.event.topic for row in rows], tokens(ledger, run_id)

    topics, counted = asyncio.run(made())
    assert topics[0] == "run.created"
    assert topics[-1] == "run.completed"
    assert counted == 777

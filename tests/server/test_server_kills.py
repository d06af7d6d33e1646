"""A server that is killed in the middle of a batch, and a client that repeats it with its key."""

import asyncio
import json
import os
import threading
import time
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from runledger import RunLedger
from runledger.ids import derived_id
from runledger.store import Store, open_store
from scripts.serving_process import ServingProcess

pytestmark = pytest.mark.slow

RUNS = 2_500
LINES = 4
KILLS = int(os.environ.get("RUNLEDGER_TEST_KILLS", "5"))


def _batch() -> bytes:
    lines = []
    for number in range(RUNS):
        run_id = derived_id("run", "killed", str(number))
        lines += [
            {"op": "create_run", "run_id": run_id, "agent_id": f"agent-{number % 7}"},
            {"op": "record_step", "run_id": run_id, "facts": {"prompt_tokens": 2}},
            {"op": "record_messages", "run_id": run_id, "messages": [{"role": "user"}]},
            {"op": "complete_run", "run_id": run_id},
        ]
    return b"\n".join(json.dumps(line).encode() for line in lines)


def _post(address: str, body: bytes) -> httpx.Response:
    headers = {"Content-Type": "application/x-ndjson", "Idempotency-Key": "killed"}
    return httpx.post(
        f"{address}/api/v1/batches", content=body, headers=headers, timeout=120, trust_env=False
    )


@pytest.mark.slow
def test_a_batch_is_executed_once_over_kills(store_url: str, tmp_path: Path) -> None:
    body, read_models = _batch(), tmp_path / "runs.duckdb"
    heads = []
    with closing(open_store(store_url)) as store:
        for number in range(1, KILLS + 1):
            with ServingProcess(store_url, read_models) as server:
                sending = threading.Thread(target=_ignore, args=(server.url, body))
                sending.start()
                _await_head(store, number * RUNS * LINES // (KILLS + 1))
                server.kill()
                sending.join()
            heads.append(store.head())
        # Otherwise no kill met a batch in its middle, and nothing was tried.
        assert any(0 < head < RUNS * LINES for head in heads), heads
    with ServingProcess(store_url, read_models) as server:
        while (answer := _post(server.url, body)).status_code == 503:
            pass
        assert answer.status_code == 200, answer.text[:500]
        results = answer.json()["results"]
        assert len(results) == RUNS * LINES
        while (again := _post(server.url, body)).status_code == 503:
            pass
        assert {one["status"] for one in again.json()["results"]} == {"unchanged"}
    asyncio.run(_check(store_url, read_models))


def _await_head(store: Store, position: int) -> None:
    """Wait until so many events of the batch are recorded; it may have been further before."""
    end = time.monotonic() + 120
    while store.head() < position:
        assert time.monotonic() < end, f"the batch stands at {store.head()} of {position}"
        time.sleep(0.005)


def _ignore(address: str, body: bytes) -> None:
    try:
        _post(address, body)
    except httpx.HTTPError:
        return


async def _check(store_url: str, read_models: Path) -> None:
    async with RunLedger.open(store_url, read_models) as ledger:
        (_, counted) = await ledger.sql(
            "SELECT count(*), sum(num_steps), sum(prompt_tokens) FROM runs WHERE status = 'completed'"
        )
        assert counted == [(RUNS, RUNS, 2 * RUNS)]
        for number in range(0, RUNS, 97):
            run_id = derived_id("run", "killed", str(number))
            assert len(await ledger.get_stored_messages(run_id)) == 1
        assert (await ledger.operator.verify()).clean

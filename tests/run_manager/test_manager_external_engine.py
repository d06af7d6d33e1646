"""Runs that an engine executes elsewhere: what it reports becomes part of the run, once."""

import asyncio
import logging

import pytest

from runledger.compat.default_ledger import runs_in_lettuce
from runledger.records import RunRecord


class Engine:
    """Answers what the test says, and counts how often it was asked."""

    def __init__(self, answer: object) -> None:
        self.answer = answer
        self.asked: list[RunRecord] = []

    async def status(self, run: RunRecord) -> str | None:
        self.asked.append(run)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


async def test_a_reported_end_is_recorded_once_so_that_lists_and_getters_agree(own_ledger, agent):
    engine = Engine("COMPLETED")
    async with own_ledger(runs_elsewhere=runs_in_lettuce, engine=engine) as ledger:
        run = await ledger.create_run(agent, metadata={"lettuce": True})
        shown = await asyncio.gather(*(ledger.get_run_with_status(run.run_id) for _ in range(4)))
        assert {one.status for one in shown} == {"completed"}
        again = await ledger.get_run_with_status(run.run_id)
        assert again == await ledger.get_run_by_id(run.run_id) == (await ledger.list_runs())[0]
        asked = len(engine.asked)
        assert asked <= 4  # an ended run is not asked about
        stored = await asyncio.to_thread(ledger.store.read_stream, run.run_id)
        assert [row.event.topic for row in stored] == ["run.created", "run.completed"]
        assert stored[-1].event.user == "external-engine"


@pytest.mark.parametrize(
    ("answer", "status", "stop_reason"),
    [
        ("failed", "failed", "error"),
        ("CANCELLED", "cancelled", "cancelled"),
        ("RUNNING", "running", None),
        ("created", "created", None),
        (None, "created", None),
    ],
)
async def test_what_the_engine_reports_is_mapped(own_ledger, agent, answer, status, stop_reason):
    async with own_ledger(
        runs_elsewhere=runs_in_lettuce, engine=Engine(answer), read_models=False
    ) as ledger:
        run = await ledger.create_run(agent, metadata={"lettuce": 1})
        for _ in range(2):
            found = await ledger.get_run_with_status(run.run_id)
            assert (found.status, found.stop_reason) == (status, stop_reason)
            assert found == await ledger.get_run_by_id(run.run_id)


@pytest.mark.parametrize("answer", [RuntimeError("no connection"), "TERMINATED", TimeoutError()])
async def test_an_engine_that_fails_falls_back_to_the_ledger(own_ledger, agent, answer, caplog):
    async with own_ledger(
        runs_elsewhere=runs_in_lettuce, engine=Engine(answer), read_models=False
    ) as ledger:
        run = await ledger.create_run(agent, metadata={"lettuce": True})
        with caplog.at_level(logging.WARNING):
            assert await ledger.get_run_with_status(run.run_id) == run
        assert run.run_id in caplog.text


async def test_the_engine_is_asked_only_about_its_own_runs(own_ledger, agent):
    engine = Engine("completed")
    async with own_ledger(
        runs_elsewhere=runs_in_lettuce, engine=engine, read_models=False
    ) as ledger:
        for metadata in ({}, {"lettuce": False}, {"lettuce": None}):
            run = await ledger.create_run(agent, metadata=metadata)
            assert (await ledger.get_run_with_status(run.run_id)).status == "created"
    assert engine.asked == []
    elsewhere = own_ledger(
        engine=engine, read_models=False, runs_elsewhere=lambda run: bool(run.background)
    )
    async with elsewhere as ledger:
        run = await ledger.create_run(agent, background=True)
        assert (await ledger.get_run_with_status(run.run_id)).status == "completed"
    assert len(engine.asked) == 1


async def test_an_end_recorded_while_the_engine_is_asked_stands(own_ledger, agent):
    class Slow(Engine):
        async def status(self, run: RunRecord) -> str | None:
            await ledger.cancel_run(run.run_id)
            return "completed"

    async with own_ledger(
        runs_elsewhere=runs_in_lettuce, engine=Slow(None), read_models=False
    ) as ledger:
        run = await ledger.create_run(agent, metadata={"lettuce": True})
        assert (await ledger.get_run_with_status(run.run_id)).status == "cancelled"

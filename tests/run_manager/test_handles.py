"""The handles of an agent loop: however a block is left, its run ends and its caller is told why."""

import asyncio

import pytest

from runledger import RunLedger
from runledger.errors import InvalidArgument, StoreUnavailable
from runledger.handles import RunHandle
from runledger.ids import new_id
from runledger.ledger.run_commands import LedgerCommands
from runledger.run import STATUS_OF

STEP = new_id("step")


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no text")


async def failed(run: RunHandle, error: BaseException, **facts: object) -> BaseException:
    """Leave the blocks of a run and a step with an exception; return the one that comes out."""
    try:
        async with run, run.step(model="m") as step:
            step.messages({"role": "user", "content": "hello"})
            step.fact(**facts)
            raise error
    except type(error) as e:
        return e


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ValueError("bad \udc80 name"), "bad \\udc80 name"),
        (Unspeakable(), "a text that could not be made: RuntimeError"),
        (KeyError("x" * 20_000), "'" + "x" * 9_999),
    ],
    ids=["half a surrogate pair", "no text", "long"],
)
async def test_whatever_an_exception_says_it_fails_the_run_and_comes_out(
    ledger: RunLedger, error: Exception, said: str
) -> None:
    run = ledger.run(agent_id="agent-a")
    assert await failed(run, error) is error
    found = await ledger.get_run_by_id(run.run_id)
    assert (found.status, found.error_type) == ("failed", type(error).__name__)
    assert found.error_message == said
    (step,) = await ledger.get_run_steps(run.run_id)
    assert (step.status, step.error_type) == ("failed", type(error).__name__)
    assert not hasattr(error, "__notes__")


@pytest.mark.parametrize("reason", STATUS_OF)
async def test_a_run_ends_as_the_reason_that_it_is_stopped_for(
    ledger: RunLedger, reason: str
) -> None:
    async with ledger.run(agent_id="agent-a") as run:
        run.stop(reason)
    found = await ledger.get_run_by_id(run.run_id)
    assert (found.status, found.stop_reason) == (STATUS_OF[reason], reason)
    assert found.run_ns is not None


@pytest.mark.parametrize("reason", ["nonsense", None, [], ""])
async def test_an_unknown_reason_is_refused_where_it_is_given(
    ledger: RunLedger, reason: object
) -> None:
    async with ledger.run(agent_id="agent-a") as run:
        with pytest.raises(InvalidArgument, match="^stop: expected one of end_turn"):
            run.stop(reason)
    assert (await ledger.get_run_by_id(run.run_id)).status == "completed"


async def test_what_is_wrong_of_a_step_is_refused_where_it_is_said(ledger: RunLedger) -> None:
    async with ledger.run(agent_id="agent-a") as run:
        async with run.step(model="m") as step:
            with pytest.raises(InvalidArgument, match="prompt_tokens"):
                step.usage(prompt_tokens=-1)
            with pytest.raises(InvalidArgument, match="no such fact: nonsense"):
                step.fact(nonsense=1)
            for beside in ("messages", "actor", "step_id"):
                with pytest.raises(InvalidArgument, match=f"not for {beside}"):
                    step.fact(**{beside: None})
            step.usage(prompt_tokens=5)
            step.usage(completion_tokens=7)
        with pytest.raises(InvalidArgument, match="no such fact: nonsense"):
            run.step(nonsense=1)
    (recorded,) = await ledger.get_run_steps(run.run_id)
    assert (recorded.prompt_tokens, recorded.completion_tokens) == (5, 7)


async def test_a_step_that_failed_is_recorded_even_where_what_was_said_of_it_is_refused(
    ledger: RunLedger,
) -> None:
    error = KeyError("original")
    run = ledger.run(agent_id="agent-a")
    assert await failed(run, error, request_id=7) is error
    assert "request_id" in error.__notes__[0]
    found = await ledger.get_run_by_id(run.run_id)
    assert (found.status, found.error_type) == ("failed", "KeyError")
    (recorded,) = await ledger.get_run_steps(run.run_id)
    assert (recorded.status, recorded.error_type) == ("failed", "KeyError")
    assert len(await ledger.get_stored_messages(run.run_id)) == 1


async def test_a_failure_that_cannot_be_recorded_hides_nothing(
    ledger: RunLedger, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(*_: object, **__: object) -> None:
        raise StoreUnavailable("no disk")

    monkeypatch.setattr(LedgerCommands, "fail_run", unavailable)
    error = KeyError("original")
    assert await failed(ledger.run(agent_id="agent-a"), error) is error
    assert error.__notes__[0].endswith("could not be recorded: no disk")


async def test_a_task_that_is_cancelled_anywhere_leaves_no_run_open(ledger: RunLedger) -> None:
    async def work(run: RunHandle) -> None:
        async with run, run.step(model="m"):
            await asyncio.sleep(0)

    runs = [ledger.run(agent_id="agent-a") for _ in range(60)]
    for moment, run in enumerate(runs):
        task = asyncio.create_task(work(run))
        for _ in range(moment):
            await asyncio.sleep(0.0002 * (moment % 3))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    # What was shielded is over once whatever came before it in the log is.
    await ledger.create_run("agent-a")
    found = {run.run_id: run.status for run in await ledger.list_runs(limit=100)}
    assert {found.get(run.run_id) for run in runs} <= {None, "cancelled", "completed"}
    assert "cancelled" in found.values()


async def test_a_handle_is_for_one_block(ledger: RunLedger) -> None:
    async with ledger.run(agent_id="agent-a") as run:
        with pytest.raises(InvalidArgument, match="its block was entered before"):
            await run.__aenter__()
        async with run.step(model="m") as step:
            pass
        with pytest.raises(InvalidArgument, match="its block was entered before"):
            await step.__aenter__()
        assert await run.record_step(step_id=STEP) == STEP
        assert (await run.patch_metadata({"a": 1})).metadata == {"a": 1}

"""The handles of an agent loop: however a block is left, its run ends and its caller is told why."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

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
async def test_an_unknown_reason_is_raised_once_the_run_has_ended(
    ledger: RunLedger, reason: object
) -> None:
    with pytest.raises(InvalidArgument, match="^stop: expected one of end_turn"):
        async with ledger.run(agent_id="agent-a") as run:
            run.stop(reason)
    found = await ledger.get_run_by_id(run.run_id)
    assert (found.status, found.stop_reason) == ("completed", "end_turn")
    assert found.metadata["not_recorded"]["stop_reason"].startswith("stop: expected")


async def test_what_is_refused_of_a_step_loses_none_of_the_rest(ledger: RunLedger) -> None:
    with pytest.raises(InvalidArgument, match="prompt_tokens") as raised:  # noqa: PT012
        async with ledger.run(agent_id="agent-a") as run:
            async with run.step(model="m", nonsense=1) as step:
                step.usage(prompt_tokens=-1, completion_tokens=3)
                step.fact(actor=None, tid="t", tags=["mine"])
                step.messages({"role": "robot"}, {"role": "user", "content": "hello"})
                step.usage(prompt_tokens=5)
                step.usage(completion_tokens=7)
            went_on = True
    assert went_on
    assert len(raised.value.__notes__) >= 2
    assert (await ledger.get_run_by_id(run.run_id)).status == "completed"
    (recorded,) = await ledger.get_run_steps(run.run_id)
    assert (recorded.prompt_tokens, recorded.completion_tokens) == (5, 7)
    assert (recorded.status, recorded.tid, recorded.model) == ("success", "t", "m")
    assert recorded.tags == ["mine", "reduced"]
    assert recorded.error_data["not_recorded"].keys() == {"nonsense", "usage", "actor", "messages"}
    assert len(await ledger.get_stored_messages(run.run_id)) == 1


async def test_what_is_refused_when_a_step_is_recorded_is_left_out(ledger: RunLedger) -> None:
    deep: dict[str, object] = {}
    for _ in range(300):
        deep = {"deeper": deep}
    taken = new_id("message")
    with pytest.raises(InvalidArgument):  # noqa: PT012
        async with ledger.run(agent_id="agent-a") as run:
            await run.messages({"id": taken, "role": "user", "content": "first"})
            async with run.step(model="m", request_id=7, error_data=deep) as step:
                step.usage(prompt_tokens=5)
                step.messages({"id": taken, "role": "user", "content": "another"})
                step.messages({"role": "assistant", "content": "answer"})
    (recorded,) = await ledger.get_run_steps(run.run_id)
    assert (recorded.prompt_tokens, recorded.status) == (5, "success")
    assert {"request_id", "messages"} <= recorded.error_data["not_recorded"].keys()
    stored = await ledger.get_stored_messages(run.run_id)
    assert [message.text() for message in stored] == ["first", "answer"]
    assert stored[1].step_id == recorded.step_id


async def test_errors_of_bookkeeping_are_logged_by_choice(
    ledger: RunLedger, caplog: pytest.LogCaptureFixture
) -> None:
    async with ledger.run(agent_id="agent-a", on_error="log") as run:
        async with run.step(model="m", step_id="step-of-mine") as step:
            step.usage(prompt_tokens=5)
        assert await run.messages({"role": "robot"}) == []
        patched = await run.patch_metadata({"a": 1, "b": float("nan")})
        assert patched.metadata == {"a": 1}
    found = await ledger.get_run_by_id(run.run_id)
    assert (found.status, found.prompt_tokens) == ("completed", 5)
    assert found.metadata["not_recorded"].keys() == {"messages", "metadata"}
    for said in ("step-of-mine", "robot", "metadata of run"):
        assert said in caplog.text
    with pytest.raises(InvalidArgument, match="on_error: expected 'raise' or 'log'"):
        ledger.run(agent_id="agent-a", on_error="ignore")


async def test_a_ledger_that_cannot_record_stops_no_work_where_it_is_to_be_logged(
    ledger: RunLedger, caplog: pytest.LogCaptureFixture
) -> None:
    done = []
    async with ledger.run(agent_id="no agent", on_error="log") as run:
        async with run.step(model="m") as step:
            step.usage(prompt_tokens=5)
            done.append("step")
        await run.heartbeat()
        done.append("run")
    assert done == ["step", "run"]
    assert "no agent" in caplog.text


async def test_the_exception_of_the_work_comes_out_with_what_was_refused(ledger: RunLedger) -> None:
    error = KeyError("original")
    with pytest.raises(KeyError) as raised:  # noqa: PT012
        async with ledger.run(agent_id="agent-a") as run, run.step(model="m") as step:
            step.usage(prompt_tokens=-1, completion_tokens=3)
            raise error
    assert raised.value is error
    assert "prompt_tokens" in error.__notes__[0]
    (recorded,) = await ledger.get_run_steps(run.run_id)
    assert (recorded.status, recorded.completion_tokens) == ("failed", 3)
    assert (await ledger.get_run_by_id(run.run_id)).error_type == "KeyError"


async def test_a_generator_that_is_closed_early_cancels_its_run(ledger: RunLedger) -> None:
    run = ledger.run(agent_id="agent-a")

    async def answer() -> AsyncIterator[int]:
        async with run, run.step(model="m") as step:
            step.usage(prompt_tokens=5)
            for token in range(10):
                yield token

    async with aclosing(answer()) as tokens:
        async for token in tokens:
            if token == 3:
                break
    found = await ledger.get_run_by_id(run.run_id)
    assert (found.status, found.prompt_tokens, found.error_type) == ("cancelled", 5, None)
    (step,) = await ledger.get_run_steps(run.run_id)
    assert step.status == "cancelled"


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


@pytest.mark.slow
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

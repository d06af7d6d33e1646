"""Wrong types, negative numbers, times without a zone: each is refused by name, nothing is kept."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from histories_of_a_run import BEGIN, PATHS, STEP, History, message

from runledger import RunLedger
from runledger.errors import InvalidArgument, InvalidId, LedgerError, NotFound
from runledger.run import commands as c

NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001
RUN = "run-00000000-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (c.RecordStep("step-1"), "Invalid step ID format: step-1"),
        (c.RecordStep(STEP, {"prompt_tokens": -1}), "prompt_tokens.*0 or more, found -1"),
        (c.RecordStep(STEP, {"completion_tokens": 1.5}), "completion_tokens.*found 1.5"),
        (c.RecordStep(STEP, {"prompt_tokens": True}), "prompt_tokens.*found True"),
        (c.RecordStep(STEP, {"prompt_tokens": "8"}), "prompt_tokens.*found '8'"),
        (c.RecordStep(STEP, {"prompt_tokens_details": {"cached_tokens": -5}}), "cached_tokens"),
        (c.RecordStep(STEP, {"completion_tokens_details": {"reasoning_tokens": "x"}}), "reasoning"),
        (c.RecordStep(STEP, {"step_ns": -1}), "step_ns"),
        (c.RecordStep(STEP, {"step_ns": "soon"}), "step_ns"),
        (c.RecordStep(STEP, {"status": "fine"}), "status"),
        (c.RecordStep(STEP, {"stop_reason": "tired"}), "stop_reason"),
        (c.RecordStep(STEP, {"model": 4.1}), "model"),
        (c.RecordStep(STEP, {"tags": "one"}), "tags"),
        (c.RecordStep(STEP, {"error_data": {"x": float("nan")}}), "error_data"),
        (c.RecordStep(STEP, {"mood": "good"}), "mood"),
        (c.RecordMessages([message(1)], NAIVE), "approval_deadline.*time zone"),
        (
            c.RecordMessages([message(1).model_copy(update={"id": "message-1"})]),
            "Invalid message ID format",
        ),
        (c.StartStep("step-2"), "Invalid step ID format"),
        (c.StartStep(STEP, model=5), "model"),  # type: ignore[arg-type]
        (c.PatchMetadata({"a": 1}, ["a"]), "'a'.*both set and removed"),
        (c.PatchMetadata({"a": float("inf")}), "patch"),
        (c.PatchMetadata({"a": object()}), "patch"),
        (c.CompleteRun("tired"), "stop_reason.*end_turn.*found 'tired'"),
        (c.CompleteRun("error"), "'error' means failed"),
        (c.CompleteRun(run_ns=-1), "run_ns"),
        (c.FailRun("end_turn"), "'end_turn' means completed"),
        (c.FailRun(error_message=5), "error_message"),  # type: ignore[arg-type]
        (c.CancelRun(reason=5), "reason"),  # type: ignore[arg-type]
    ],
)
def test_a_command_with_a_wrong_value_is_refused(command: c.Command, said: str) -> None:
    history = History(*PATHS["running"])
    before = len(history.events)
    with pytest.raises(InvalidArgument, match=f"(?s){said}"):
        history.do(command)
    assert len(history.events) == before


def test_a_run_with_a_wrong_value_is_refused() -> None:
    for command in (
        c.CreateRun("agent-a", metadata={"x": float("nan")}),
        c.CreateRun("agent-a", metadata=[("x", object())]),  # type: ignore[arg-type]
        c.CreateRun("agent-a", background="perhaps"),  # type: ignore[arg-type]
        c.CreateRun(""),
    ):
        with pytest.raises(InvalidArgument, match=r"run\.created"):
            History().do(command)


async def _refused(ledger: RunLedger, call: str, *args: Any, **kwargs: Any) -> LedgerError:
    with pytest.raises(LedgerError) as error:
        await getattr(ledger, call)(*args, **kwargs)
    return error.value


def test_the_ledger_refuses_wrong_arguments_and_writes_nothing(
    store_url: str, tmp_path: Path
) -> None:
    async def check() -> None:
        async with RunLedger.open(store_url) as ledger:
            await ledger.create_run("agent-a", run_id=RUN)
            head = ledger.store.head()
            refusals = [
                await _refused(ledger, "create_run", "agent a"),
                await _refused(ledger, "create_run", None),
                await _refused(ledger, "create_run", "agent-a", run_id="run-1"),
                await _refused(ledger, "create_run", "agent-a", at=NAIVE),
                await _refused(ledger, "create_run", "agent-a", status="happy"),
                await _refused(ledger, "create_run", "agent-a", conversation_id="c"),
                await _refused(ledger, "create_run", "agent-a", hold_conversation=True),
                await _refused(ledger, "record_step", RUN, prompt_tokens=-1),
                await _refused(ledger, "record_step", RUN, at=NAIVE),
                await _refused(ledger, "record_step", RUN, mood="good"),
                await _refused(ledger, "record_step", RUN, messages=["hello"]),
                await _refused(ledger, "record_step", RUN, messages=[{"role": "robot"}]),
                await _refused(ledger, "record_messages", RUN, [{"content": "who?"}]),
                await _refused(ledger, "complete_run", RUN, at=NAIVE),
                await _refused(ledger, "complete_run", RUN, at="2026-01-01"),
                await _refused(ledger, "update_run", RUN, completed_at=NAIVE, status="failed"),
                await _refused(ledger, "get_run_by_id", "run-1"),
                await _refused(ledger, "get_run_by_id", RUN + "\n"),
                await _refused(ledger, "get_run_by_id", 5),
                await _refused(ledger, "get_run_steps", RUN, limit=0),
                await _refused(ledger, "get_run_steps", RUN, order="sideways"),
                await _refused(ledger, "cancel_runs"),
            ]
            for error in refusals:
                assert isinstance(error, InvalidArgument), error
            assert ledger.store.head() == head
            unknown = RUN.replace("1", "2")
            assert isinstance(await _refused(ledger, "start_run", unknown), NotFound)
            assert isinstance(await _refused(ledger, "get_run_by_id", "run-x"), InvalidId)

    asyncio.run(check())


def test_a_step_of_the_past_and_an_end_before_the_beginning_are_no_negative_durations() -> None:
    history = History(*PATHS["running"])
    (ended,) = history.do(c.CompleteRun(), at=BEGIN - timedelta(days=1))
    assert ended.run_ns == 0  # type: ignore[attr-defined]

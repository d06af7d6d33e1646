"""Wrong types, negative numbers, times without a zone: each is refused by name, nothing is kept."""

import asyncio
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from histories_of_a_run import BEGIN, PATHS, STEP, History, message
from pydantic import ValidationError

from runledger import RunLedger
from runledger.errors import InvalidArgument, InvalidId, LedgerError, NotFound
from runledger.events import CATALOGUE
from runledger.run import commands as c

NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001
EARLIER = BEGIN - timedelta(days=1)
BACKWARDS = {"since": BEGIN.date(), "until": EARLIER.date()}
RUN = "run-00000000-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (c.RecordStep("step-1"), "Invalid step ID format: 'step-1'"),
        (c.RecordStep(STEP, {"prompt_tokens": -1}), "prompt_tokens.*0 or more, found -1"),
        (c.RecordStep(STEP, {"completion_tokens": 1.5}), "completion_tokens.*found 1.5"),
        (c.RecordStep(STEP, {"prompt_tokens": True}), "prompt_tokens.*found True"),
        (c.RecordStep(STEP, {"prompt_tokens": "8"}), "prompt_tokens.*found '8'"),
        (c.RecordStep(STEP, {"prompt_tokens_details": {"cached_tokens": -5}}), "cached_tokens"),
        (c.RecordStep(STEP, {"completion_tokens_details": {"reasoning_tokens": "x"}}), "reasoning"),
        (c.RecordStep(STEP, {"total_tokens": -1}), "total_tokens.*0 or more, found -1"),
        (
            c.RecordStep(STEP, {"prompt_tokens": 2**40 + 1}),
            "prompt_tokens.*1099511627776 .*at most",
        ),
        (
            c.RecordStep(STEP, {"prompt_tokens_details": {"cached_tokens": 2**62}}),
            "cache_read_tokens.*1099511627776 .*at most",
        ),
        (c.RecordStep(STEP, {"prompt_tokens_details": ["cached_tokens"]}), "expected a mapping"),
        (c.RecordStep(STEP, {"step_ns": -1}), "step_ns"),
        (c.RecordStep(STEP, {"step_ns": "soon"}), "step_ns"),
        (c.RecordStep(STEP, {"step_ns": "8"}), "step_ns.*found '8'"),
        (c.RecordStep(STEP, {"context_window_limit": True}), "context_window_limit.*found True"),
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
        (c.PatchMetadata(["a"]), "metadata: expected a mapping"),  # type: ignore[arg-type]
        (c.PatchMetadata(remove="draft"), "remove: expected a list of keys, found 'draft'"),
        (c.PatchMetadata(remove=["a", 1]), "remove.*text"),  # type: ignore[list-item]
        (c.PatchMetadata({"a": float("inf")}), "patch"),
        (c.PatchMetadata({"a": object()}), "patch"),
        (c.CompleteRun("tired"), "stop_reason.*end_turn.*found 'tired'"),
        (c.CompleteRun(["end_turn"]), "stop_reason"),  # type: ignore[arg-type]
        (c.CompleteRun("error"), "'error' means failed"),
        (c.CompleteRun(run_ns=-1), "run_ns"),
        (c.CompleteRun(run_ns=True), "run_ns.*found True"),
        (c.CompleteRun(run_ns="5"), "run_ns.*found '5'"),  # type: ignore[arg-type]
        (c.FailRun(run_ns=5.5), "run_ns.*found 5.5"),  # type: ignore[arg-type]
        (c.CancelRun(run_ns=False), "run_ns.*found False"),
        (c.FailRun("end_turn"), "'end_turn' means completed"),
        (c.FailRun(error_message=5), "error_message"),  # type: ignore[arg-type]
        (c.FailRun(error_data=[5]), "error_data"),  # type: ignore[arg-type]
        (c.CancelRun(reason=5), "reason"),  # type: ignore[arg-type]
    ],
)
def test_a_command_with_a_wrong_value_is_refused(command: c.Command, said: str) -> None:
    history = History(*PATHS["running"])
    before = len(history.events)
    with pytest.raises(InvalidArgument, match=f"(?s){said}"):
        history.do(command)
    assert len(history.events) == before


def _nested(depth: int) -> dict[str, Any]:
    outer: dict[str, Any] = {}
    for _ in range(depth):
        outer = {"deeper": outer}
    return outer


@pytest.mark.usefixtures("no_collection")
def test_a_run_with_a_wrong_value_is_refused() -> None:
    for command in (
        c.CreateRun("agent-a", metadata={"x": float("nan")}),
        c.CreateRun("agent-a", metadata=[("x", object())]),  # type: ignore[arg-type]
        c.CreateRun("agent-a", metadata="draft"),  # type: ignore[arg-type]
        c.CreateRun("agent-a", metadata=_nested(2_000)),
        c.CreateRun("agent-a", request_config="quiet"),  # type: ignore[arg-type]
        c.CreateRun("agent-a", background="perhaps"),  # type: ignore[arg-type]
        c.CreateRun("agent-a", background="yes"),  # type: ignore[arg-type]
        c.CreateRun("agent-a", hold_conversation=1),  # type: ignore[arg-type]
        c.CreateRun(""),
    ):
        with pytest.raises(InvalidArgument, match=r"run\.created"):
            History().do(command)


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (_nested(500), r"metadata\.deeper\..*…"),
        ({"a" * 100_000: object()}, r"metadata\.aaa"),
        ({str(n): object() for n in range(1_000)}, r"metadata\.0.*… and \d+ more"),
    ],
)
def test_a_refusal_is_never_as_large_as_what_it_refuses(
    metadata: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidArgument, match=said) as refused:
        History().do(c.CreateRun("agent-a", metadata=metadata))
    assert len(str(refused.value)) < 8_000


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
                await _refused(ledger, "record_step", RUN, provider=5),
                await _refused(ledger, "record_step", RUN, provider_name=["openai"]),
                await _refused(ledger, "record_step", RUN, messages=["hello"]),
                await _refused(ledger, "record_step", RUN, messages=[{"role": "robot"}]),
                await _refused(ledger, "record_messages", RUN, [{"content": "who?"}]),
                await _refused(ledger, "record_messages", RUN, [{"role": "user", "is_err": "no"}]),
                await _refused(ledger, "create_run", "agent-a", exist_ok="no"),
                await _refused(ledger, "expire_approvals", every_organization="no"),
                await _refused(ledger, "complete_run", RUN, at=NAIVE),
                await _refused(ledger, "complete_run", RUN, at="2026-01-01"),
                await _refused(ledger, "update_run", RUN, completed_at=NAIVE, status="failed"),
                await _refused(ledger, "get_run_by_id", "run-1"),
                await _refused(ledger, "get_run_by_id", RUN + "\n"),
                await _refused(ledger, "get_run_by_id", 5),
                await _refused(ledger, "get_run_steps", RUN, limit=0),
                await _refused(ledger, "get_run_steps", RUN, order="sideways"),
                await _refused(ledger, "get_run_steps", RUN, limit="5"),
                await _refused(ledger, "get_run_steps", RUN, limit=True),
                await _refused(ledger, "get_run_messages", RUN, limit=1.5),
                await _refused(
                    ledger, "get_run_messages", RUN, include_return_message_types="user_message"
                ),
                await _refused(ledger, "get_run_by_id", RUN, actor="me"),
                await _refused(ledger, "create_run", "agent-b", project_id=7),
                await _refused(ledger, "create_run", "agent-a", run_ns=5),
                await _refused(ledger, "create_run", "agent-a", stop_reason=["end_turn"]),
                await _refused(ledger, "record_messages", RUN, None),
                await _refused(ledger, "register_agent", "agent-a", name=7),
                await _refused(ledger, "expire_runs", older_than=300),
                await _refused(ledger, "expire_runs", older_than=timedelta.max),
                await _refused(ledger, "cancel_runs"),
                await _refused(ledger, "cancel_runs", agent_id=7),
                await _refused(ledger, "cancel_runs", conversation_id=""),
                await _refused(ledger, "list_agents", agent_id=7),
                await _refused(ledger, "usage_totals", since="today"),
                await _refused(ledger, "duration_percentiles", until=BEGIN),
                await _refused(ledger, "usage_totals", **BACKWARDS),
                await _refused(ledger, "duration_percentiles", **BACKWARDS),
                await _refused(ledger, "list_callbacks", since=BEGIN, until=EARLIER),
                await _refused(ledger, "list_callbacks", limit="5"),
                await _refused(ledger, "list_callbacks", limit=2**64),
                await _refused(ledger, "list_callbacks", since=NAIVE),
                await _refused(ledger, "retry_parked", RUN),
                await _refused(ledger, "sql", None),
                await _refused(ledger, "sql_rows", None, len),
            ]
            for error in refusals:
                assert isinstance(error, InvalidArgument), error
            assert ledger.store.head() == head
            unknown = RUN.replace("1", "2")
            assert isinstance(await _refused(ledger, "start_run", unknown), NotFound)
            for cursor in ("", "step-x", 7):
                for getter in ("get_run_steps", "get_run_messages"):
                    for side in ("after", "before"):
                        error = await _refused(ledger, getter, RUN, **{side: cursor})
                        assert isinstance(error, NotFound)
            assert isinstance(await _refused(ledger, "get_run_by_id", "run-x"), InvalidId)

    asyncio.run(check())


_INTEGER_OR_TRUTH = re.compile(r"\b(int|bool)\b")


def _numbers_and_truths() -> list[tuple[str, str]]:
    return [
        (event.topic, name)
        for event in CATALOGUE.values()
        for name, field in event.model_fields.items()
        if _INTEGER_OR_TRUTH.search(str(field.annotation))
    ]


@pytest.mark.parametrize(("topic", "name"), _numbers_and_truths())
def test_no_event_takes_a_text_for_a_number_or_a_truth(topic: str, name: str) -> None:
    for wrong in ("1", 1.0):
        with pytest.raises(ValidationError) as refused:
            CATALOGUE[topic](**{name: wrong})
        places = [fault["loc"][0] for fault in refused.value.errors()]
        assert name in places


@pytest.mark.parametrize(
    ("url", "given", "said"),
    [
        (None, {}, "store: expected a URL as text, found NoneType"),
        (b"postgresql://me:secret@x/y", {}, "store: expected a URL as text, found bytes"),
        ("sqlite:///x.db", {"read_models": 5}, "read_models: expected a path, found 5"),
        ("sqlite:///x.db", {"archive": ["a"]}, "archive: expected a path"),
        ("sqlite:///x.db", {"unknown_agents": "refuse"}, "expected register or reject"),
        ("sqlite:///x.db", {"on_changed": "build"}, "expected keep or rebuild, found 'build'"),
        ("sqlite:///x.db", {"create": "no"}, "create: expected True or False, found 'no'"),
        ("sqlite:///x.db", {"live": 0}, "live: expected True or False, found 0"),
        ("sqlite:///x.db", {"actor": "me"}, "actor: expected an Actor, found 'me'"),
        ("sqlite:///x.db", {"callbacks": "yes"}, "dispatch: expected True or False"),
    ],
)
def test_a_ledger_is_not_opened_with_wrong_arguments(url: Any, given: Any, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        RunLedger.open(url, **given)


@pytest.mark.parametrize(
    ("call", "given", "found"),
    [
        ("usage_totals", {"by": "model"}, "by: expected a list, found 'model'"),
        ("usage_totals", {"by": {"model": 1}}, "by: expected a list, found {'model'"),
        ("usage_totals", {"by": None}, "by: expected a list, found None"),
        ("usage_totals", {"by": [["model"]]}, r"found \[\['model'\]\]"),
        ("duration_percentiles", {"by": "day"}, "by: expected a list, found 'day'"),
        ("list_callbacks", {"statuses": "failed"}, "statuses: expected a list, found 'failed'"),
        ("list_callbacks", {"statuses": 5}, "statuses: expected a list, found 5"),
        ("list_callbacks", {"statuses": [["failed"]]}, r"found \[\['failed'\]\]"),
        ("redeliver_callbacks", {"statuses": "failed"}, "expected a list, found 'failed'"),
        ("list_runs", {"statuses": "failed"}, r"statuses.*valid list \(found 'failed'"),
        ("list_runs", {"agent_ids": {"a": 1}}, r"agent_ids.*valid list \(found {'a'"),
        (
            "record_messages",
            {"run_id": RUN, "messages": {"role": "user", "content": "hello"}},
            "messages: expected a list of messages, found {'role'",
        ),
        (
            "record_messages",
            {"run_id": RUN, "messages": message(1)},
            "messages: expected a list of messages, found Message",
        ),
        (
            "record_step",
            {"run_id": RUN, "messages": "hello"},
            "messages: expected a list of messages, found 'hello'",
        ),
    ],
)
def test_one_in_the_place_of_many_is_refused(
    tmp_path: Path, call: str, given: dict[str, Any], found: str
) -> None:
    async def check() -> None:
        url = f"sqlite:///{tmp_path}/runs.db"
        async with RunLedger.open(url, tmp_path / "runs.duckdb") as ledger:
            await ledger.create_run("agent-a", run_id=RUN)
            error = await _refused(ledger, call, **given)
            assert isinstance(error, InvalidArgument)
            assert re.search(found, str(error)), error

    asyncio.run(check())


def test_an_end_before_the_beginning_has_no_duration() -> None:
    history = History(*PATHS["running"])
    (ended,) = history.do(c.CompleteRun(), at=BEGIN - timedelta(days=1))
    assert ended.run_ns is None  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "moment",
    [
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
        datetime(1899, 12, 31, tzinfo=UTC),
        datetime(2190, 1, 1, tzinfo=UTC),
        datetime.max.replace(tzinfo=timezone(-timedelta(hours=14))),
    ],
)
def test_a_time_that_no_read_model_could_hold_is_refused(
    store_url: str, tmp_path: Path, moment: datetime
) -> None:
    async def check() -> None:
        async with RunLedger.open(store_url, tmp_path / "runs.duckdb") as ledger:
            await ledger.create_run("agent-a", run_id=RUN)
            for call, args in (
                ("create_run", ["agent-a"]),
                ("record_step", [RUN]),
                ("complete_run", [RUN]),
                ("expire_approvals", []),
            ):
                error = await _refused(ledger, call, *args, at=moment)
                assert isinstance(error, InvalidArgument)
                assert "expected a time from 1900 until 2190" in str(error)
            # The first and the last that are taken, a duration as long as can be between them.
            first = datetime(1900, 1, 1, tzinfo=UTC)
            last = datetime(2190, 1, 1, tzinfo=UTC) - timedelta(microseconds=1)
            run = await ledger.create_run("agent-a", status="failed", at=first, completed_at=last)
            assert run in await ledger.list_runs()
            assert await ledger.operator.parked() == []

    asyncio.run(check())


def test_the_most_tokens_that_steps_may_report_can_be_summed(
    store_url: str, tmp_path: Path
) -> None:
    async def check() -> None:
        async with RunLedger.open(store_url, tmp_path / "runs.duckdb") as ledger:
            for _ in range(3):
                run = await ledger.create_run("agent-a")
                for _ in range(3):
                    await ledger.record_step(run.run_id, prompt_tokens=2**40)
            (total,) = await ledger.usage_totals()
            assert total.prompt_tokens == 9 * 2**40
            assert (await ledger.list_runs())[0].prompt_tokens == 3 * 2**40

    asyncio.run(check())

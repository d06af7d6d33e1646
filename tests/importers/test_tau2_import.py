"""tau2-bench result files become runs: each simulation once, whole, with its own times."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from tau2_results import call, conversation, info, message, results, simulation, usage, write

from runledger import RunLedger
from runledger.importers.recorder import DIGEST
from runledger.importers.report import ImportReport
from runledger.importers.tau2.importer import Tau2Import
from runledger.importers.tau2.result_file import experiment
from runledger.importers.tau2.simulation import identity
from runledger.run import Actor

pytestmark = [pytest.mark.slow, pytest.mark.one_database]

Open = Callable[[], RunLedger]


async def bring(ledger: RunLedger, *paths: Path) -> ImportReport:
    return await Tau2Import(ledger.store, ledger.handler, Actor()).run(paths)


def in_ledger(open_ledger: Open, question: Callable[[RunLedger], Awaitable[Any]]) -> Any:
    async def answer() -> Any:
        async with open_ledger() as ledger:
            return await question(ledger)

    return asyncio.run(answer())


def test_a_simulation_is_a_run(open_ledger: Open, tmp_path: Path) -> None:
    given = simulation()
    path = write(tmp_path / "airline.json.gz", results(given))

    async def check(ledger: RunLedger) -> None:
        report = await bring(ledger, path)
        assert (report.recorded, report.refused) == (1, 0)
        run = await ledger.get_run_by_id(f"run-{given['id']}")
        assert run == (await ledger.list_runs())[0]
        assert run.agent_id == "agent-tau2-airline-gpt-4.1"
        assert (run.status, run.stop_reason) == ("completed", "end_turn")
        assert run.run_ns == 8_250_000_000
        assert run.created_at == run.started_at == datetime(2025, 8, 1, 16, tzinfo=UTC)
        assert run.completed_at == datetime(2025, 8, 1, 16, 0, 9, tzinfo=UTC)
        assert run.tools_used == ["check_phone", "get_user"]
        expected = {
            "source": "tau2",
            "source_file": "airline.json",
            "domain": "airline",
            "task_id": "7",
            "trial": 0,
            "seed": 300,
            "reward": 1.0,
            "agent_cost": 0.0125,
            "termination_reason": "user_stop",
        }
        assert run.metadata.items() >= expected.items()

    in_ledger(open_ledger, check)


def test_a_message_with_usage_is_a_step_of_its_model(open_ledger: Open, tmp_path: Path) -> None:
    given = simulation()
    path = write(tmp_path / "r.json", results(given))

    async def check(ledger: RunLedger) -> None:
        await bring(ledger, path)
        steps = await ledger.get_run_steps(f"run-{given['id']}")
        assert [(s.model, s.prompt_tokens, s.completion_tokens) for s in steps] == [
            ("gpt-4o", 100, 10),
            ("gpt-4.1", 200, 20),
            ("gpt-4o", 110, 11),
            ("gpt-4.1", 300, 30),
        ]
        assert steps[0].created_at == datetime(2025, 8, 1, 16, 0, 1, 500_000, tzinfo=UTC)
        totals = {row.model: row for row in await ledger.usage_totals()}
        assert totals["gpt-4o"].prompt_tokens == 210
        assert totals["gpt-4.1"].completion_tokens == 50
        assert totals["gpt-4.1"].cache_read_tokens is None

    in_ledger(open_ledger, check)


def test_every_message_and_call_is_kept(open_ledger: Open, tmp_path: Path) -> None:
    given = simulation()
    path = write(tmp_path / "r.json", results(given))

    async def check(ledger: RunLedger) -> None:
        await bring(ledger, path)
        kept = await ledger.get_stored_messages(f"run-{given['id']}")
        assert [m.role for m in kept] == [m["role"] for m in given["messages"]]
        assert kept[0].text() == "Hi! How can I help?"
        assert kept[0].step_id is None
        (asked,) = kept[4].tool_calls
        assert (asked.function.name, asked.requestor) == ("check_phone", "user")
        assert kept[2].tool_calls[0].function.arguments == '{"id": "u1"}'
        assert kept[3].step_id == kept[2].step_id is not None
        assert kept[3].tool_returns[0].func_response == '{"name": "Ann"}'
        assert kept[5].tool_returns[0].status == "error"
        assert kept[6].extra == {"turn_idx": 6, "raw_data": {"index": 0}, "usage": usage(300, 30)}
        _, rows = await ledger.sql("SELECT name, status FROM tool_calls ORDER BY called_at")
        assert rows == [("get_user", "success"), ("check_phone", "error")]

    in_ledger(open_ledger, check)


@pytest.mark.parametrize(
    ("reason", "status", "stop_reason"),
    [
        ("user_stop", "completed", "end_turn"),
        ("agent_stop", "completed", "end_turn"),
        ("max_steps", "completed", "max_steps"),
        ("too_many_errors", "failed", "error"),
        ("agent_error", "failed", "error"),
        ("user_error", "failed", "error"),
        ("infrastructure_error", "failed", "error"),
        ("unexpected_error", "failed", "error"),
        ("context_window_exceeded", "failed", "error"),
        ("timeout", "failed", "error"),
        ("TerminationReason.AGENT_STOP", "completed", "end_turn"),
    ],
)
def test_every_termination_reason_has_its_end(
    tmp_path: Path, reason: str, status: str, stop_reason: str
) -> None:
    path = write(tmp_path / "r.json", results(simulation(termination_reason=reason)))

    async def check() -> None:
        async with RunLedger.open(f"sqlite:///{tmp_path}/r.db", tmp_path / "r.duckdb") as ledger:
            await bring(ledger, path)
            (run,) = await ledger.list_runs()
            assert (run.status, run.stop_reason) == (status, stop_reason)
            assert run.metadata["termination_reason"] == reason
            assert run.run_ns == 8_250_000_000

    asyncio.run(check())


def test_without_usage_and_times_the_messages_are_kept_in_order(
    open_ledger: Open, tmp_path: Path
) -> None:
    bare = [
        {key: m[key] for key in ("role", "content", "tool_calls", "id") if key in m}
        for m in conversation()
    ]
    bare[0]["usage"] = {}
    given = simulation(messages=bare)
    path = write(tmp_path / "r.json", results(given))

    async def check(ledger: RunLedger) -> None:
        assert (await bring(ledger, path)).refused == 0
        run = await ledger.get_run_by_id(f"run-{given['id']}")
        assert (run.num_steps, run.prompt_tokens, run.output_tokens) == (0, 0, None)
        assert run.tools_used == ["check_phone", "get_user"]
        kept = await ledger.get_stored_messages(run.run_id)
        assert [m.role for m in kept] == [m["role"] for m in bare]
        assert {m.created_at for m in kept} == {run.created_at}

    in_ledger(open_ledger, check)


def test_a_time_with_a_zone_is_taken_as_it_is(open_ledger: Open, tmp_path: Path) -> None:
    given = simulation(start_time="2025-08-01T16:00:00+02:00", messages=[])
    path = write(tmp_path / "r.json", results(given))

    async def check(ledger: RunLedger) -> None:
        await bring(ledger, path)
        run = await ledger.get_run_by_id(f"run-{given['id']}")
        assert run.created_at == datetime(2025, 8, 1, 14, tzinfo=UTC)

    in_ledger(open_ledger, check)


@pytest.mark.parametrize(
    ("changes", "run_ns", "seconds"),
    [
        ({"duration": None}, 9_000_000_000, 9),
        ({"end_time": None}, 8_250_000_000, 8.25),
        ({"start_time": None}, 8_250_000_000, 8.5),
        ({"end_time": None, "duration": None}, 6_500_000_000, 6.5),
        ({"duration": "8.25"}, 8_250_000_000, 9),
        ({"duration": float("nan")}, 9_000_000_000, 9),
    ],
)
def test_what_the_file_does_not_say_of_the_time_follows_from_the_rest(
    tmp_path: Path, changes: dict[str, Any], run_ns: int, seconds: float
) -> None:
    path = write(tmp_path / "r.json", results(simulation(**changes)))

    async def check() -> None:
        async with RunLedger.open(f"sqlite:///{tmp_path}/r.db", tmp_path / "r.duckdb") as ledger:
            assert (await bring(ledger, path)).refused == 0
            (run,) = await ledger.list_runs()
            assert run.run_ns == run_ns
            assert (run.completed_at - run.created_at).total_seconds() == seconds

    asyncio.run(check())


def test_costs_that_are_no_number_and_calls_without_a_name_are_kept(tmp_path: Path) -> None:
    nan = float("nan")
    said = [
        message("assistant", 1, tool_calls=[call("c", "")], usage=usage(5, 1), cost=nan),
        message("tool", 2, id="c", content="Error: no such tool", error=True),
    ]
    given = simulation(agent_cost=nan, reward_info={"reward": nan}, messages=said)
    path = write(tmp_path / "r.json", results(given))

    async def check() -> None:
        async with RunLedger.open(f"sqlite:///{tmp_path}/r.db", tmp_path / "r.duckdb") as ledger:
            assert (await bring(ledger, path)).refusals == []
            (run,) = await ledger.list_runs()
            assert (run.prompt_tokens, run.tools_used) == (5, [""])
            assert "agent_cost" not in run.metadata
            assert run.metadata["reward"] is None
            _, rows = await ledger.sql("SELECT name, status FROM tool_calls")
            assert rows == [("", "error")]

    asyncio.run(check())


def test_repeated_call_ids_stay_apart(open_ledger: Open, tmp_path: Path) -> None:
    turns = []
    for second, name in enumerate(("find", "book", "pay")):
        turns += [
            message("assistant", 2 * second, tool_calls=[call("call_0", name)], usage=usage(1, 1)),
            message("tool", 2 * second + 1, id="call_0", content=name, error=name == "book"),
        ]
    path = write(tmp_path / "r.json", results(simulation(messages=turns)))

    async def check(ledger: RunLedger) -> None:
        await bring(ledger, path)
        _, rows = await ledger.sql("SELECT name, status FROM tool_calls ORDER BY position")
        assert rows == [("find", "success"), ("book", "error"), ("pay", "success")]
        (run,) = await ledger.list_runs()
        kept = await ledger.get_stored_messages(run.run_id)
        assert {m.tool_calls[0].id for m in kept if m.tool_calls} == {"call_0"}
        steps = [s.step_id for s in await ledger.get_run_steps(run.run_id)]
        assert [m.step_id for m in kept] == [id for id in steps for _ in range(2)]

    in_ledger(open_ledger, check)


def test_several_returns_in_one_message_are_messages_each(tmp_path: Path) -> None:
    calls = [call("a", "find"), call("b", "book")]
    turns = [
        message("assistant", 1, tool_calls=calls, usage=usage(1, 1)),
        {
            "role": "tool",
            "tool_messages": [message("tool", 2, id=id, content=id) for id in ("a", "b")],
        },
    ]
    path = write(tmp_path / "r.json", results(simulation(messages=turns)))

    async def check() -> None:
        async with RunLedger.open(f"sqlite:///{tmp_path}/r.db", tmp_path / "r.duckdb") as ledger:
            await bring(ledger, path)
            _, rows = await ledger.sql("SELECT name, status FROM tool_calls ORDER BY position")
            assert rows == [("find", "success"), ("book", "success")]

    asyncio.run(check())


def test_importing_again_changes_nothing(open_ledger: Open, tmp_path: Path) -> None:
    document = results(*(simulation(id=f"sim-{n}") for n in range(70)))
    path = write(tmp_path / "r.json", document)
    packed = write(tmp_path / "renamed.json.gz", document)

    async def check(ledger: RunLedger) -> None:
        assert (await bring(ledger, path)).recorded == 70
        head = ledger.store.head()
        again = await bring(ledger, path, packed)
        assert (again.recorded, again.unchanged, again.refused) == (0, 140, 0)
        assert ledger.store.head() == head
        assert len(await ledger.list_runs(limit=1000)) == 70

    in_ledger(open_ledger, check)


def test_two_imports_at_once_bring_every_run_once(open_ledger: Open, tmp_path: Path) -> None:
    path = write(tmp_path / "r.json", results(*(simulation(id=f"sim-{n}") for n in range(40))))

    async def check(ledger: RunLedger) -> None:
        async with open_ledger_without_read_models(ledger) as other:
            reports = await asyncio.gather(bring(ledger, path), bring(other, path))
        assert sum(report.recorded for report in reports) == 40
        assert sum(report.unchanged for report in reports) == 40
        assert [report.refused for report in reports] == [0, 0]

    def open_ledger_without_read_models(ledger: RunLedger) -> RunLedger:
        return RunLedger.open(ledger.url)

    in_ledger(open_ledger, check)


def test_the_same_id_with_other_content_is_refused(open_ledger: Open, tmp_path: Path) -> None:
    given = simulation()
    path = write(tmp_path / "r.json", results(given))
    other = write(tmp_path / "other.json", results(simulation(), {**given, "agent_cost": 99.0}))

    async def check(ledger: RunLedger) -> None:
        await bring(ledger, path)
        report = await bring(ledger, other)
        assert (report.recorded, report.unchanged, report.refused) == (1, 0, 1)
        (refusal,) = report.refusals
        assert refusal.place == f"{other}: simulations[1] ({given['id']})"
        assert "recorded before with other content" in refusal.reason

    in_ledger(open_ledger, check)


def test_a_deleted_run_does_not_come_back(open_ledger: Open, tmp_path: Path) -> None:
    given = simulation()
    path = write(tmp_path / "r.json", results(given))

    async def check(ledger: RunLedger) -> None:
        await bring(ledger, path)
        await ledger.delete_run(f"run-{given['id']}")
        assert (await bring(ledger, path)).unchanged == 1
        assert await ledger.list_runs() == []

    in_ledger(open_ledger, check)


@pytest.mark.parametrize(
    ("model", "implementation", "expected"),
    [
        ("gpt-4.1", "llm_agent", "agent-tau2-airline-gpt-4.1"),
        ("azure/gpt-4o", "llm_agent", "agent-tau2-airline-azure-gpt-4o"),
        (
            "ollama_chat/q:7b",
            "llm_agent_solo",
            "agent-tau2-airline-ollama_chat-q:7b-llm_agent_solo",
        ),
        (None, None, "agent-tau2-airline-unknown"),
        ("模型/" + "x" * 300, "llm_agent", "agent-tau2-airline-" + "-" + "x" * 86),
    ],
)
def test_the_agent_id_tells_domain_model_and_implementation(
    tmp_path: Path, model: str | None, implementation: str | None, expected: str
) -> None:
    about = info(agent_info={"llm": model, "implementation": implementation})
    path = write(tmp_path / "r.json", results(simulation(), info=about))

    async def check() -> None:
        async with RunLedger.open(f"sqlite:///{tmp_path}/r.db", tmp_path / "r.duckdb") as ledger:
            assert (await bring(ledger, path)).refusals == []
            assert (await ledger.list_runs())[0].agent_id == expected

    asyncio.run(check())


def test_each_organization_has_runs_of_its_own(open_ledger: Open, tmp_path: Path) -> None:
    path = write(tmp_path / "r.json", results(simulation(), simulation(id="7")))

    async def check(ledger: RunLedger) -> None:
        for name in ("org-a", "org-b"):
            for expected in (2, 0):
                report = await Tau2Import(ledger.store, ledger.handler, Actor(name)).run([path])
                assert (report.recorded, report.refused) == (expected, 0)
            assert len(await ledger.list_runs(actor=Actor(name))) == 2

    in_ledger(open_ledger, check)


def test_a_run_with_an_earlier_id_is_there_already(open_ledger: Open, tmp_path: Path) -> None:
    given = simulation()
    path = write(tmp_path / "r.json", results(given))

    async def check(ledger: RunLedger) -> None:
        actor = Actor("org-a")
        digest = identity(given, experiment(info(), path), actor.organization).digest
        await ledger.create_run(
            "agent-a", run_id=f"run-{given['id']}", metadata={DIGEST: digest}, actor=actor
        )
        report = await Tau2Import(ledger.store, ledger.handler, actor).run([path])
        assert (report.recorded, report.unchanged) == (0, 1)
        other = await Tau2Import(ledger.store, ledger.handler, Actor("org-b")).run([path])
        assert (other.recorded, other.refused) == (1, 0)

    in_ledger(open_ledger, check)

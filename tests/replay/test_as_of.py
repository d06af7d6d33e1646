"""Answers from the past: what a ledger would have said at a position of the log, or at a time."""

import asyncio
import inspect
import json
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from projections.as_of import AsOf, position_of
from projections.engine import Engine
from projections.generation import Generation
from projections.queries import Queries
from runledger import Actor, RunLedger
from runledger.callbacks import CallbackSettings
from runledger.command_handler import Order
from runledger.errors import InvalidArgument, NotFound
from runledger.run import commands
from runledger.store import Store

ORGANIZATION = "org-1"


def _counts(queries: Queries) -> list[dict[str, object]]:
    return queries.rows(
        "SELECT count(*) AS runs, sum(num_steps)::BIGINT AS steps, max(last_position) AS last,"
        " (SELECT sum(prompt_tokens)::BIGINT FROM usage_totals) AS prompt FROM runs"
    )


def _projected(store: Store, position: int) -> list[dict[str, object]]:
    generation = Generation(":memory:")
    reader = store.log_reader()
    Engine(generation, reader).catch_up(position)
    found = _counts(Queries(generation.cursor()))
    reader.close()
    generation.close()
    return found


def test_an_answer_is_that_of_the_log_up_to_the_position(store: Store, read_models: Path) -> None:
    past = AsOf(store, read_models)
    for position in (12_000, 20_000, 12_001, 3, 29_999):
        assert past.ask(_counts, position) == _projected(store, position)


def test_the_next_answer_begins_from_the_nearest_one_before(
    store: Store, read_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = AsOf(store, read_models)
    past.ask(_counts, 12_000)
    reads: list[int] = []
    log_reader = type(store).log_reader

    def counted(self: Store) -> object:
        reader = log_reader(self)
        read = reader.read

        def noted(after: int, upto: int, limit: int) -> object:
            reads.append(after)
            return read(after, upto, limit)

        reader.read = noted  # type: ignore[method-assign]
        return reader

    monkeypatch.setattr(type(store), "log_reader", counted)
    assert past.ask(_counts, 12_100) == _projected(store, 12_100)
    assert reads[0] == 12_000
    del reads[:]
    past.ask(_counts, 12_100)
    assert reads == []


def test_few_generations_are_kept(store: Store, read_models: Path) -> None:
    past = AsOf(store, read_models)
    for position in range(100, 1_100, 100):
        past.ask(_counts, position)
    files = sorted((read_models.parent / "runs.duckdb.generations" / "as_of").iterdir())
    assert [int(file.name.split("-")[0]) for file in files] == [500, 600, 700, 800, 900, 1000]


def test_a_time_means_the_last_event_that_was_recorded_by_then(store: Store) -> None:
    rows = store.read_log(0, 500)
    times = [datetime.fromisoformat(json.loads(row.facts)["recorded_at"]) for row in rows]
    assert times == sorted(times)
    microsecond = timedelta(microseconds=1)
    for place in (0, 1, 250, 499):
        assert position_of(store, times[place]) == rows[place].position
        assert position_of(store, times[place] - microsecond) == rows[place].position - 1
    assert position_of(store, times[0] - timedelta(days=1)) == 0
    assert position_of(store, times[0] + timedelta(days=3650)) == store.head()


@pytest.mark.parametrize("moment", [-1, 30_001, True, datetime(2025, 3, 1)])  # noqa: DTZ001
def test_what_is_no_moment_of_the_log_is_refused(store: Store, moment: object) -> None:
    with pytest.raises(InvalidArgument, match="as_of"):
        position_of(store, moment)  # type: ignore[arg-type]


def test_lists_totals_and_getters_agree_about_the_past(url: str, read_models: Path) -> None:
    async def ask() -> None:
        actor = Actor(ORGANIZATION)
        # Another process may hold the live file: the past needs it for nothing.
        async with RunLedger.open(url, read_models, actor=actor, live=False) as ledger:
            for moment in (400, 9_000):
                runs = await ledger.list_runs(as_of=moment, limit=1000)
                assert runs
                for run in runs[:10]:
                    assert await ledger.get_run_by_id(run.run_id, as_of=moment) == run
                    steps = await ledger.get_run_steps(run.run_id, as_of=moment)
                    assert len(steps) == run.num_steps
                totals = await ledger.usage_totals(as_of=moment)
                assert sum(row["steps"] for row in totals) == sum(run.num_steps for run in runs)
                ended = [run for run in runs if run.run_ns is not None]
                (durations,) = await ledger.duration_percentiles(as_of=moment) or [{"runs": 0}]
                assert durations["runs"] == len(ended)
                latest = {agent["last_run_id"] for agent in await ledger.list_agents(as_of=moment)}
                assert latest <= {run.run_id for run in runs} | {None}
            last = (await ledger.list_runs(as_of=9_000, limit=1))[0]
            with pytest.raises(NotFound):
                await ledger.get_run_by_id(last.run_id, as_of=400)

    asyncio.run(ask())


def test_a_run_deleted_since_is_not_in_the_past_either(url: str, read_models: Path) -> None:
    async def ask() -> None:
        async with RunLedger.open(
            url, read_models, actor=Actor(ORGANIZATION), live=False
        ) as ledger:
            before = await ledger.list_runs(as_of=9_000, limit=1000)
            steps = (await ledger.usage_totals(by=(), as_of=9_000))[0]["steps"]
            gone = next(run for run in before if run.num_steps)
            await ledger.delete_run(gone.run_id)
            after = await ledger.list_runs(as_of=9_000, limit=1000)
            assert after == [run for run in before if run != gone]
            totals = await ledger.usage_totals(by=(), as_of=9_000)
            assert totals[0]["steps"] == steps - gone.num_steps
            with pytest.raises(NotFound):
                await ledger.get_run_by_id(gone.run_id, as_of=9_000)

    asyncio.run(ask())


def test_every_question_can_be_asked_of_the_past() -> None:
    asked = {name for name in dir(RunLedger) if name.startswith(("get_", "list_"))}
    asked |= {"duration_percentiles", "export_parquet", "parked", "run_durations", "sql"}
    asked |= {"usage_totals"}
    # It asks an engine, which is in the present.
    asked.remove("get_run_with_status")
    for name in sorted(asked):
        assert "as_of" in inspect.signature(getattr(RunLedger, name)).parameters, name


def test_callbacks_of_then(tmp_path: Path) -> None:
    async def ask() -> None:
        async with RunLedger.open(
            f"sqlite:///{tmp_path}/few.db",
            tmp_path / "few.duckdb",
            callbacks=CallbackSettings(dispatch=False),
        ) as ledger:
            run = await ledger.create_run("agent-a", callback_url="https://example.com/")
            created = ledger.store.head()
            await ledger.complete_run(run.run_id)
            ended = ledger.store.head()
            owed = (await ledger.get_callback(run.run_id)).owed
            assert owed is not None
            facts = {
                "webhook_id": owed.webhook_id,
                "attempt": 1,
                "url": "https://example.com/",
                "status_code": 200,
                "error": None,
                "delivered": True,
                "final": True,
                "next_attempt_at": None,
            }
            attempt = commands.RecordCallbackAttempt(facts)
            await ledger.handler.execute(Order(Actor(), run.run_id, (attempt,)))
            tried = ledger.store.head()
            await ledger.redeliver_callback(run.run_id)

            for moment, said, attempts in (
                (created, None, 0),
                (ended, "pending", 0),
                (tried, "delivered", 1),
                (ledger.store.head(), "pending", 1),
            ):
                rows = await ledger.list_callbacks(as_of=moment)
                assert [row["status"] for row in rows] == ([] if said is None else [said])
                found = await ledger.get_callback(run.run_id, as_of=moment)
                assert found.url == "https://example.com/"
                assert (found.owed.status if found.owed else None) == said
                assert len(found.attempts) == attempts
            assert await ledger.list_callbacks(statuses=["delivered"]) == []
            assert len(await ledger.list_callbacks(statuses=["delivered"], as_of=tried)) == 1

    asyncio.run(ask())


def test_an_agent_is_what_was_registered_by_then(tmp_path: Path) -> None:
    async def ask() -> None:
        async with RunLedger.open(f"sqlite:///{tmp_path}/few.db") as ledger:
            await ledger.register_agent("agent-a", name="first", agent_type="letta_v1_agent")
            await ledger.register_agent("agent-a", name="second")
            assert (await ledger.get_agent("agent-a")).name == "second"
            assert (await ledger.get_agent("agent-a", as_of=2)).name == "second"
            assert (await ledger.get_agent("agent-a", as_of=1)).name == "first"
            with pytest.raises(NotFound):
                await ledger.get_agent("agent-a", as_of=0)

    asyncio.run(ask())

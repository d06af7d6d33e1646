"""Answers from the past: what a ledger would have said at a position of the log, or at a time."""

import asyncio
import inspect
import json
import shutil
import sqlite3
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from replaying import contents

from projections.archive.writer import archive
from projections.fold.engine import Engine
from projections.fold.generation import Generation
from projections.generations.as_of import AsOf, position_of
from projections.queries.queries import Queries
from runledger import Actor, Operator, RunLedger
from runledger.callbacks import CallbackSettings
from runledger.command_handling.batch import CommandBatch
from runledger.errors import ArchiveDamaged, ArchiveError, InvalidArgument, NotFound
from runledger.run import commands
from runledger.store import Store, open_store
from runledger.store.protocol import EncodedEvent, StreamWrite
from scripts.bench.generate import generate

ORGANIZATION = "org-1"


@pytest.fixture(scope="module")
def large_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store file in which moments lie far apart; tests work on copies."""
    file = tmp_path_factory.mktemp("longer") / "runs.db"
    generate(f"sqlite:///{file}", 30_000)
    return file


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


def _reads(store: Store, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the position after which each batch is read from the store."""
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
    return reads


def test_an_answer_is_that_of_the_log_up_to_the_position(store: Store, read_models: Path) -> None:
    past = AsOf(store, read_models)
    for position in (12_000, 20_000, 12_001, 3, 29_999):
        assert past.ask(_counts, position) == _projected(store, position)


def test_the_next_answer_begins_from_the_nearest_one_before(
    store: Store, read_models: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = AsOf(store, read_models)
    past.ask(_counts, 12_000)
    reads = _reads(store, monkeypatch)
    assert past.ask(_counts, 12_100) == _projected(store, 12_100)
    assert reads[0] == 12_000
    del reads[:]
    past.ask(_counts, 12_100)
    assert reads == []


@pytest.fixture(scope="module")
def archive_of_shorter(large_log: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The archive of that log up to position 27,900; tests work on copies."""
    folder = tmp_path_factory.mktemp("shorter")
    shutil.copyfile(large_log, folder / "shorter.db")
    with closing(sqlite3.connect(folder / "shorter.db")) as db:
        db.execute("DROP TRIGGER ledger_events_no_delete")
        db.execute("DELETE FROM ledger_events WHERE notification_id > 27900")
        db.commit()
    with closing(open_store(f"sqlite:///{folder}/shorter.db")) as shorter:
        archive(shorter, folder / "archive", segment_events=10_000)
    return folder / "archive"


@pytest.fixture
def archived(archive_of_shorter: Path, tmp_path: Path) -> Path:
    """A copy of that archive."""
    return Path(shutil.copytree(archive_of_shorter, tmp_path / "archive"))


@pytest.mark.parametrize("position", [26_001, 27_900, 29_500])
def test_answers_of_long_ago_begin_from_the_archive_and_are_the_same(
    store: Store,
    read_models: Path,
    archived: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    position: int,
) -> None:
    assert AsOf(store, tmp_path / "other.duckdb").copy(tmp_path / "a.duckdb", position) == position
    reads = _reads(store, monkeypatch)
    assert AsOf(store, read_models, archived).copy(tmp_path / "b.duckdb", position) == position
    assert sorted(reads) == ([27_900] if position > 27_900 else [])
    assert contents(tmp_path / "b.duckdb") == contents(tmp_path / "a.duckdb")


def test_the_archive_is_left_alone_where_a_generation_is_near(
    store: Store, read_models: Path, archived: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reads = _reads(store, monkeypatch)
    past = AsOf(store, read_models, archived)
    past.ask(_counts, 12_000)
    past.ask(_counts, 27_000)
    assert reads[0] == 0
    assert 12_000 in reads


def test_an_archive_that_cannot_be_used_is_an_error(
    store: Store, read_models: Path, archived: Path, tmp_path: Path
) -> None:
    with pytest.raises(ArchiveError, match="no manifest.json there"):
        AsOf(store, read_models, tmp_path / "nowhere").ask(_counts, 27_000)
    other = open_store(f"sqlite:///{tmp_path}/other.db")
    rows = store.read_log(0, 1, contents=True)
    other.append(
        [
            (StreamWrite(f"run-{n}", 0, (EncodedEvent(rows[0].topic, rows[0].facts, None),)),)
            for n in range(27_950)
        ]
    )
    with pytest.raises(ArchiveError, match="it is the archive of another log"):
        AsOf(other, tmp_path / "other.duckdb", archived).ask(_counts, 27_950)
    other.close()
    segment = next(archived.glob("events-000000010001-*"))
    altered = bytearray(segment.read_bytes())
    altered[1_000] ^= 1
    segment.chmod(0o644)
    segment.write_bytes(altered)
    with pytest.raises(ArchiveDamaged, match="expected SHA-256"):
        AsOf(store, read_models, archived).ask(_counts, 27_000)
    assert AsOf(store, read_models).ask(_counts, 27_000) == _projected(store, 27_000)


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
        async with Operator.open(url, read_models, actor=actor) as operator:
            ledger = operator.ledger
            for moment in (400, 9_000):
                runs = await ledger.list_runs(as_of=moment, limit=1000)
                assert runs
                for run in runs[:10]:
                    assert await ledger.get_run_by_id(run.run_id, as_of=moment) == run
                    steps = await ledger.get_run_steps(run.run_id, as_of=moment)
                    assert len(steps) == run.num_steps
                totals = await ledger.usage_totals(as_of=moment)
                assert sum(row.steps for row in totals) == sum(run.num_steps for run in runs)
                ended = [run for run in runs if run.run_ns is not None]
                durations = await ledger.duration_percentiles(as_of=moment)
                assert sum(row.runs for row in durations) == len(ended)
                latest = {agent.last_run_id for agent in await ledger.list_agents(as_of=moment)}
                assert latest <= {run.run_id for run in runs} | {None}
            last = (await ledger.list_runs(as_of=9_000, limit=1))[0]
            with pytest.raises(NotFound):
                await ledger.get_run_by_id(last.run_id, as_of=400)

    asyncio.run(ask())


def test_a_run_deleted_since_is_not_in_the_past_either(url: str, read_models: Path) -> None:
    async def ask() -> None:
        async with Operator.open(url, read_models, actor=Actor(ORGANIZATION)) as operator:
            ledger = operator.ledger
            before = await ledger.list_runs(as_of=9_000, limit=1000)
            steps = (await ledger.usage_totals(by=(), as_of=9_000))[0].steps
            gone = next(run for run in before if run.num_steps)
            await ledger.delete_run(gone.run_id)
            after = await ledger.list_runs(as_of=9_000, limit=1000)
            assert after == [run for run in before if run != gone]
            totals = await ledger.usage_totals(by=(), as_of=9_000)
            assert totals[0].steps == steps - gone.num_steps
            with pytest.raises(NotFound):
                await ledger.get_run_by_id(gone.run_id, as_of=9_000)

    asyncio.run(ask())


def test_every_question_can_be_asked_of_the_past() -> None:
    asked = {name for name in dir(RunLedger) if name.startswith(("get_", "list_"))}
    asked |= {"duration_percentiles", "export_parquet", "parked", "run_durations", "sql"}
    asked |= {"usage_totals"}
    # It asks an engine, which is in the present.
    asked.remove("get_run_with_status")
    # Prices belong to the times of calls, and each of their changes has its position.
    asked -= {"get_model_prices", "list_own_prices", "list_price_changes"}
    # Saved views belong to no moment of the log.
    asked -= {name for name in asked if name.endswith(("_view", "_views"))}
    for name in sorted(asked):
        assert "as_of" in inspect.signature(getattr(RunLedger, name)).parameters, name


@pytest.mark.slow
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
            await ledger.handler.execute(CommandBatch(Actor(), run.run_id, (attempt,)))
            tried = ledger.store.head()
            await ledger.redeliver_callback(run.run_id)

            for moment, said, attempts in (
                (created, None, 0),
                (ended, "pending", 0),
                (tried, "delivered", 1),
                (ledger.store.head(), "pending", 1),
            ):
                rows = await ledger.list_callbacks(as_of=moment)
                assert [row.status for row in rows] == ([] if said is None else [said])
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

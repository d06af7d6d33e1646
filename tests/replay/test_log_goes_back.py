"""A log that was restored to an earlier state and grew again with other events is noticed by all
that had read it: positions agree, the events do not."""

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import aclosing
from functools import wraps
from pathlib import Path

import duckdb
import pytest

from projections.archive.log_source import archived_log
from projections.fold.generation import Generation
from runledger import RunLedger
from runledger.callbacks.outbox import NAME, Outbox
from runledger.errors import (
    AlreadyEnded,
    ArchiveError,
    LogDiverged,
    NotFound,
    ReadModelsDamaged,
    ReadModelsDiverged,
)
from runledger.store import open_store
from tests.store.going_back import go_back

pytestmark = pytest.mark.slow


def in_loop(test: Callable[..., Coroutine[None, None, None]]) -> Callable[..., None]:
    """Make a test of a coroutine; its fixtures are the same."""

    @wraps(test)
    def run(*given: object, **named: object) -> None:
        asyncio.run(test(*given, **named))

    return run


async def add(ledger: RunLedger, agent: str, count: int) -> list[str]:
    """Record some runs of an agent, each complete; return their ids."""
    made = []
    for _ in range(count):
        run = await ledger.create_run(f"agent-{agent}")
        await ledger.record_step(run.run_id, provider="openai", model="m", prompt_tokens=7)
        await ledger.complete_run(run.run_id)
        made.append(run.run_id)
    return made


async def agents(ledger: RunLedger) -> dict[str, int]:
    """Return how many runs of each agent are listed."""
    return dict(Counter(run.agent_id for run in await ledger.list_runs()))


@in_loop
async def test_read_models_of_lost_events_are_refused_at_opening(
    store_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "r.duckdb"
    async with RunLedger.open(store_url, file) as ledger:
        await add(ledger, "before", 5)
        assert await agents(ledger) == {"agent-before": 5}
        common = ledger.store.head()
        await add(ledger, "lost", 5)
        await ledger.list_runs()
    go_back(store_url, common)
    async with RunLedger.open(store_url) as ledger:
        await add(ledger, "new", 6)
    with pytest.raises(ReadModelsDiverged, match=f"up to position {common:,}") as told:
        async with RunLedger.open(store_url, file):
            pass
    assert told.value.common == common
    assert "replay --switch" in str(told.value)
    async with RunLedger.open(store_url, file, live=False) as ledger:
        await ledger.operator.replay(switch=True)
    async with RunLedger.open(store_url, file) as ledger:
        assert await agents(ledger) == {"agent-before": 5, "agent-new": 6}
        assert (await ledger.operator.verify()).clean


@pytest.mark.parametrize("new", [0, 1, 6])
@in_loop
async def test_a_running_process_answers_no_more_until_it_has_replayed(
    store_url: str, tmp_path: Path, new: int
) -> None:
    async with RunLedger.open(store_url, tmp_path / "r.duckdb") as ledger:
        await add(ledger, "before", 3)
        await ledger.list_runs()
        common = ledger.store.head()
        await add(ledger, "lost", 3)
        await ledger.list_runs()
        go_back(store_url, common)
        # Enough of them that the log ends before, within and after what was projected.
        await add(ledger, "new", new)
        for _ in range(2):
            with pytest.raises(ReadModelsDiverged, match=f"up to position {common:,}"):
                await ledger.list_runs()
        replayed = await ledger.operator.replay(switch=True)
        assert replayed.not_compared is not None
        expected = {"agent-before": 3, "agent-new": new}
        assert await agents(ledger) == {name: count for name, count in expected.items() if count}
        assert (await ledger.operator.verify()).clean


@in_loop
async def test_cached_runs_that_were_lost_are_read_again(
    store_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with RunLedger.open(store_url) as ledger:
        kept = (await ledger.create_run("agent-1")).run_id
        common = ledger.store.head()
        await ledger.record_step(kept, provider="openai", model="m", prompt_tokens=7)
        (lost,) = await add(ledger, "2", 1)
        head = ledger.store.head()
        go_back(store_url, common)
        with caplog.at_level(logging.WARNING, "runledger"):
            with pytest.raises(NotFound):
                await ledger.get_run_by_id(lost)
            await ledger.record_step(kept, provider="openai", model="m", prompt_tokens=8)
        assert f"positions {common + 1} to {head}" in caplog.text
        await ledger.complete_run(kept)
        with pytest.raises(NotFound):
            await ledger.record_step(lost, provider="openai", model="m", prompt_tokens=8)
        (again,) = await add(ledger, "2", 1)
        assert (await ledger.get_run_by_id(kept)).status == "completed"
        assert [step.prompt_tokens for step in await ledger.get_run_steps(kept)] == [8]
        assert (await ledger.get_run_by_id(again)).status == "completed"


@in_loop
async def test_a_command_is_not_decided_on_a_run_that_another_history_has_continued(
    store_url: str,
) -> None:
    async with RunLedger.open(store_url) as ledger, RunLedger.open(store_url) as other:
        run = (await ledger.create_run("agent-1")).run_id
        common = ledger.store.head()
        await ledger.record_step(run, provider="openai", model="m")
        go_back(store_url, common)
        # The same version as the step that was lost.
        await other.cancel_run(run)
        with pytest.raises(AlreadyEnded, match="cancelled"):
            await ledger.complete_run(run)
        assert (await ledger.get_run_by_id(run)).status == "cancelled"


@in_loop
async def test_answers_as_of_a_moment_are_made_again(store_url: str, tmp_path: Path) -> None:
    async with RunLedger.open(store_url, tmp_path / "r.duckdb", live=False) as ledger:
        await add(ledger, "before", 2)
        common = ledger.store.head()
        await add(ledger, "lost", 2)
        moment = ledger.store.head()
        assert len(await ledger.list_runs(as_of=moment)) == 4
        go_back(store_url, common)
        await add(ledger, "new", 3)
        found = Counter(run.agent_id for run in await ledger.list_runs(as_of=moment))
        assert found == {"agent-before": 2, "agent-new": 2}
        later = Counter(run.agent_id for run in await ledger.list_runs(as_of=moment + 1))
        assert "agent-lost" not in later


@in_loop
async def test_an_archive_says_how_much_of_it_the_log_still_has(
    store_url: str, tmp_path: Path
) -> None:
    async with RunLedger.open(store_url, tmp_path / "r.duckdb") as ledger:
        await add(ledger, "before", 2)
        await ledger.operator.archive(tmp_path / "archive")
        common = ledger.store.head()
        await add(ledger, "lost", 2)
        await ledger.operator.archive(tmp_path / "archive")
        go_back(store_url, common)
        await add(ledger, "new", 3)
        with pytest.raises(ArchiveError, match=f"up to position {common:,} in common"):
            await ledger.operator.archive(tmp_path / "archive")
        with pytest.raises(ArchiveError, match="in common"):
            await ledger.operator.replay(source=archived_log(tmp_path / "archive"))


@in_loop
async def test_a_published_copy_of_lost_events_is_not_answered_from(
    store_url: str, tmp_path: Path
) -> None:
    async with RunLedger.open(store_url, tmp_path / "r.duckdb") as ledger:
        await add(ledger, "before", 2)
        common = ledger.store.head()
        await add(ledger, "lost", 2)
        await ledger.operator.publish(tmp_path / "published")
        async with RunLedger.open(store_url, tmp_path / "published") as reader:
            assert len(await reader.list_runs()) == 4
            go_back(store_url, common)
            await add(ledger, "new", 3)
            with pytest.raises(ReadModelsDiverged, match="runledger publish"):
                await reader.list_runs()
            with pytest.raises(ReadModelsDiverged):
                await ledger.operator.publish(tmp_path / "published")
            await ledger.operator.replay(switch=True)
            await ledger.operator.publish(tmp_path / "published")
            assert len(await reader.list_runs()) == 5


@in_loop
async def test_the_outbox_of_a_lost_log_reads_no_further_and_saves_nothing(store_url: str) -> None:
    async with RunLedger.open(store_url) as ledger:
        await add(ledger, "before", 2)
        common = ledger.store.head()
        await add(ledger, "lost", 2)
        store = open_store(store_url)
        outbox = Outbox(store)
        outbox.fold(outbox.read())
        assert outbox.position == store.head()
        go_back(store_url, common)
        for new in (0, 1, 3):
            await add(ledger, "new", new)
            with pytest.raises(LogDiverged):
                outbox.read()
            with pytest.raises(LogDiverged):
                outbox.save(outbox.checkpoint)
        assert store.checkpoint(NAME) == 0
        store.close()


@in_loop
async def test_followers_of_lost_events_are_told(store_url: str) -> None:
    async with RunLedger.open(store_url) as ledger:
        run = await ledger.create_run("agent-1")
        common = ledger.store.head()
        await ledger.record_step(run.run_id, provider="openai", model="m")
        last = ledger.store.head()
        async with (
            aclosing(ledger.follow_log(after=last - 1)) as log,
            aclosing(ledger.follow_run(run.run_id, after=1)) as one,
        ):
            # Both have seen the event that is about to be lost.
            assert (await anext(log)).position == (await anext(one)).position == last
            waiting = [asyncio.ensure_future(anext(log)), asyncio.ensure_future(anext(one))]
            # Most often they wait by then; whether they do decides nothing.
            await asyncio.sleep(0.1)
            go_back(store_url, common)
            for waits in waiting:
                with pytest.raises(LogDiverged):
                    await asyncio.wait_for(waits, 120)
        with pytest.raises(LogDiverged):
            await anext(ledger.follow_log(after=last))


@in_loop
async def test_a_candidate_of_lost_events_is_neither_gone_on_with_nor_switched_to(
    store_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "r.duckdb"
    async with RunLedger.open(store_url, file) as ledger:
        await add(ledger, "before", 2)
        common = ledger.store.head()
        await add(ledger, "lost", 2)
        built = (await ledger.operator.replay()).built
        assert built is not None
        go_back(store_url, common)
        await add(ledger, "new", 3)
        with pytest.raises(ReadModelsDiverged):
            await ledger.operator.switch_generation(built.number)
        await ledger.operator.replay(switch=True)
        assert await agents(ledger) == {"agent-before": 2, "agent-new": 3}


@in_loop
async def test_a_checkpoint_that_was_set_by_hand_is_refused(tmp_path: Path) -> None:
    url, file = f"sqlite:///{tmp_path}/s.db", tmp_path / "r.duckdb"
    async with RunLedger.open(url, file) as ledger:
        await add(ledger, "1", 1)
        await ledger.list_runs()
        await add(ledger, "1", 3)
    with duckdb.connect(str(file)) as db:
        db.execute("UPDATE generation SET position = position + 2")
    with pytest.raises(ReadModelsDamaged, match="set by hand"):
        async with RunLedger.open(url, file):
            pass


@in_loop
async def test_read_models_of_a_version_without_marks_get_their_mark_from_the_log(
    tmp_path: Path,
) -> None:
    url, file = f"sqlite:///{tmp_path}/s.db", tmp_path / "r.duckdb"
    async with RunLedger.open(url, file) as ledger:
        await add(ledger, "before", 2)
        common = ledger.store.head()
        await add(ledger, "1", 2)
        await ledger.list_runs()
    with duckdb.connect(str(file)) as db:
        db.execute("DROP TABLE generation_marks")
    async with RunLedger.open(url, file) as ledger:
        assert await agents(ledger) == {"agent-before": 2, "agent-1": 2}
        go_back(url, common)
        await add(ledger, "new", 3)
        with pytest.raises(ReadModelsDiverged):
            await ledger.list_runs()


def test_marks_thin_out_with_their_distance(tmp_path: Path) -> None:
    generation = Generation(tmp_path / "r.duckdb")
    with generation.transaction() as db:
        db.execute(
            "INSERT INTO generation_marks SELECT range + 1, 'id', 'digest' FROM range(100_000)"
        )
        from projections.fold.log_identity import SQL

        db.execute(SQL["thin"], {"last": 100_000})
        found = [row[0] for row in db.execute(SQL["marks"]).fetchall()]
    generation.close()
    assert len(found) < 80
    assert found[0] == 100_000
    assert all(
        100_000 - older <= 1.3 * (100_000 - newer) + 8 for newer, older in itertools.pairwise(found)
    )

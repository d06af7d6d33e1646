"""Live goes on while a replay is built, compared, switched to: nothing waits, nothing is lost."""

import asyncio
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import pytest
from replaying import open_live, rows

from projections.generations.interruptible_gate import Gate
from projections.generations.live import LiveReadModels
from projections.operator.local import Operations
from projections.queries.queries import FETCH_ROWS, RowIterator
from projections.replay.replay import build
from runledger import RunLedger
from runledger.errors import ReadModelsError
from runledger.store import Store
from tests.store.samples import append


def test_a_program_reads_its_own_writes_all_through_a_replay(
    url: str, read_models: Path, fix
) -> None:
    async def work() -> None:
        async with RunLedger.open(url, read_models) as ledger:
            await ledger.project()
            fix()
            written: list[str] = []
            begun, done = asyncio.Event(), asyncio.Event()
            loop = asyncio.get_running_loop()

            async def write() -> None:
                while not done.is_set():
                    async with ledger.run(agent_id="agent-busy") as run, run.step() as step:
                        step.usage(prompt_tokens=10, completion_tokens=1)
                    written.append(run.run_id)
                    (found,) = await ledger.list_runs(run_id=run.run_id)
                    assert (found.status, found.num_steps) == ("completed", 1)
                    if len(written) == 3:
                        begun.set()

            writing = asyncio.create_task(write())
            await begun.wait()
            replayed = await ledger.operator.replay(switch=True)
            at_switch = len(written)
            while len(written) < at_switch + 3:
                await asyncio.sleep(0)
                assert not writing.done(), writing.exception()
            done.set()
            await writing
            assert replayed.live is not None
            assert at_switch > 3, "runs were recorded and read while the replay ran"
            listed = await ledger.list_runs(agent_id="agent-busy", limit=1000)
            assert {run.run_id for run in listed} == set(written)
            assert (await ledger.operator.verify()).clean
            assert loop is asyncio.get_running_loop()

    asyncio.run(work())


def test_who_waited_for_its_turn_takes_along_what_was_recorded_meanwhile(
    store: Store, live: LiveReadModels, monkeypatch: pytest.MonkeyPatch
) -> None:
    live.catch_up()
    looked, head = threading.Event(), store.head

    def look() -> int:
        found = head()
        looked.set()
        return found

    monkeypatch.setattr(store, "head", look)
    store.append([append("agent-1", 0)])
    waiting = threading.Thread(target=live.catch_up)
    with live._projecting.exclusive():
        waiting.start()
        assert looked.wait(60)
        store.append([append("agent-2", 0)])
    waiting.join()
    assert live.position == head()


def test_a_long_question_is_asked_again_of_the_next_generation(
    store: Store, live: LiveReadModels, operations: Operations
) -> None:
    built = build(store, live.path)
    asked: list[int] = []
    inside = threading.Event()
    answers: list[object] = []

    def question(queries) -> object:
        asked.append(1)
        inside.set()
        if len(asked) == 1:
            # Only an interrupt ends this one.
            queries.rows("SELECT sum(a.i * b.i) FROM range(10000000) a(i), range(10000000) b(i)")
        return queries.rows("SELECT number FROM generation")

    asking = threading.Thread(target=lambda: answers.append(live.ask(question)))
    asking.start()
    inside.wait()
    operations.switch(built.number)
    asking.join()
    assert len(asked) == 2
    assert answers == [[{"number": built.number}]]


@pytest.mark.slow
def test_rows_of_one_answer_are_of_one_generation(tmp_path: Path) -> None:
    begun: list[object] = []

    async def work() -> None:
        loop = asyncio.get_running_loop()
        async with RunLedger.open(f"sqlite:///{tmp_path}/small.db", tmp_path / "rm") as ledger:
            await ledger.create_run(agent_id="agent-a")
            built = (await ledger.operator.replay()).built

            def take(columns: list[str], rows: Iterator[tuple[object, ...]]) -> str:
                if begun:
                    return "given again"
                next(rows)
                begun.append(
                    asyncio.run_coroutine_threadsafe(
                        ledger.operator.switch_generation(built.number), loop
                    )
                )
                # Only an interrupt ends this one.
                return f"no interrupt among {sum(1 for _ in rows)}"

            with pytest.raises(ReadModelsError, match="expected one generation to give all rows"):
                await ledger.sql_rows("FROM range(1000000000000)", take)
            (switched,) = begun
            assert (await asyncio.wrap_future(switched)).number == built.number

    asyncio.run(work())


def test_closing_ends_a_long_question(store: Store, live: LiveReadModels) -> None:
    inside = threading.Event()
    ended: list[ReadModelsError] = []

    def question(queries) -> object:
        inside.set()
        return queries.rows("SELECT sum(a.i * b.i) FROM range(10000000) a(i), range(10000000) b(i)")

    def ask() -> None:
        try:
            live.ask(question)
        except ReadModelsError as e:
            ended.append(e)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    inside.wait()
    live.close()
    asking.join()
    assert "closed while a question was being answered" in str(ended[0])
    open_live(store, live.path).close()


def test_questions_of_many_threads_are_all_answered_through_many_switches(
    store: Store, live: LiveReadModels, operations: Operations
) -> None:
    built = build(store, live.path)
    stop = threading.Event()
    answers: list[set[int]] = []
    failures: list[BaseException] = []

    def ask() -> None:
        seen: set[int] = set()
        try:
            while not stop.is_set():
                (row,) = live.ask(lambda q: q.rows("SELECT count(*) AS n FROM runs"))
                seen.add(row["n"])
        except BaseException as e:
            failures.append(e)
        answers.append(seen)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in (built.number, 1) * 4:
        operations.switch(number)
    stop.set()
    for thread in threads:
        thread.join()
    assert failures == []
    assert set().union(*answers) == {live.generation.rows()["runs"]}


def test_what_live_takes_in_during_a_comparison_is_not_seen_by_it(
    store: Store, read_models: Path, fix
) -> None:
    fix()
    live = open_live(store, read_models)
    with live.snapshot() as snapshot:
        ((before,),) = snapshot.db.execute("SELECT count(*) FROM runs").fetchall()
        with live.generation.transaction() as db:
            db.execute("DELETE FROM runs")
        assert snapshot.db.execute("SELECT count(*) FROM runs").fetchall() == [(before,)]
    assert live.generation.rows()["runs"] == 0
    live.close()


def test_copies_can_be_made_at_once(store: Store, live: LiveReadModels, tmp_path: Path) -> None:
    files = [tmp_path / f"copy-{n}.duckdb" for n in range(8)]
    with ThreadPoolExecutor(4) as threads:
        positions = set(threads.map(live.copy, files))
    assert positions == {store.head()}
    assert all(rows(file, "runs") == rows(files[0], "runs") for file in files[1:])


def test_closing_ends_a_copy_that_is_being_made(
    store: Store, read_models: Path, tmp_path: Path
) -> None:
    live, begun = open_live(store, read_models), threading.Event()

    def copy() -> None:
        for number in count():
            begun.set()
            live.copy(tmp_path / f"copy-{number}.duckdb")

    with ThreadPoolExecutor(1) as threads:
        copying = threads.submit(copy)
        assert begun.wait(120)
        live.close()
        with pytest.raises(ReadModelsError):
            copying.result(120)
    open_live(store, read_models).close()


def test_a_gate_lets_nobody_in_while_one_is_alone() -> None:
    gate = Gate()
    log: list[str] = []
    inside = threading.Event()
    leave = threading.Event()

    def pass_through(name: str) -> None:
        with gate.open():
            log.append(name)
            inside.set()
            leave.wait()

    first = threading.Thread(target=pass_through, args=("first",))
    first.start()
    inside.wait()
    with gate.exclusive(leave.set):
        log.append("alone")
        second = threading.Thread(target=pass_through, args=("second",))
        second.start()
        assert gate.shut
        log.append("still alone")
    second.join()
    first.join()
    assert log == ["first", "alone", "still alone", "second"]


def test_a_switch_does_not_wait_for_the_rows_of_a_long_answer(
    store: Store, live: LiveReadModels, operations: Operations
) -> None:
    built = build(store, live.path)
    taken: list[int] = []
    begun = threading.Event()

    def take(_columns: list[str], rows: RowIterator) -> int:
        taken.append(0)
        for _ in rows:
            taken[-1] += 1
            begun.set()
            while len(taken) == 1 and not live._gate.shut:
                time.sleep(0.001)
        return taken[-1]

    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(live.ask, lambda q: q.sql_rows("FROM range(1_000_000)", take))
        begun.wait()
        operations.switch(built.number)
        assert answer.result() == 1_000_000
    assert len(taken) == 2
    assert taken[0] <= FETCH_ROWS

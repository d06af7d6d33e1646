"""A fault while a generation is built or switched to is a clear error and leaves live untouched."""

import asyncio
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, nullcontext
from pathlib import Path

import duckdb
import pytest
from replaying import change, open_live

from projections.fold.generation import Generation
from projections.fold.layouts import LAYOUT
from projections.generations.generations import Generations
from projections.generations.live import LiveReadModels
from projections.operator.local import Operations
from projections.operator.requests import request
from projections.replay.replay import Plan, build, replay
from runledger import Operator, RunLedger
from runledger.errors import (
    InvalidArgument,
    NotFound,
    ProjectionFailed,
    ReadModelsDamaged,
    ReadModelsError,
    ReadModelsLocked,
)
from runledger.store import Store

LARGEST_FILES = (1 << 20, 3 << 20)
"""The one is met by the write-ahead log, the other by the file, when the log is written into it."""


def cache_reads(live: LiveReadModels) -> int:
    """Return a number that the SQL with the bug gets wrong."""
    statement = "SELECT sum(cache_read_tokens)::BIGINT AS n FROM usage_totals"
    return live.ask(lambda queries: queries.rows(statement))[0]["n"]


@pytest.fixture
def small_disk(read_models: Path) -> Iterator[None]:
    """A folder for generations on a disk that is too small for one."""
    folder = Generations(read_models).folder
    folder.mkdir(exist_ok=True)
    options = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    if subprocess.run(options, check=False, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs more rights")
    yield
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_is_said_and_live_goes_on(
    store: Store, live: LiveReadModels, small_disk: None
) -> None:
    before = cache_reads(live)
    with pytest.raises(ReadModelsError, match=r"(?i)no space left|disk"):
        build(store, live.path)
    assert cache_reads(live) == before


@pytest.mark.parametrize("largest", LARGEST_FILES)
def test_a_file_that_may_not_grow_is_said_and_live_goes_on(
    url: str, live: LiveReadModels, largest: int
) -> None:
    before = cache_reads(live)
    program = f"""
import resource, signal
resource.setrlimit(resource.RLIMIT_FSIZE, ({largest}, {largest}))
from projections.replay.replay import Plan, build, replay
from runledger.errors import ReadModelsError
from runledger.store import open_store
try:
    build(open_store({url!r}), {str(live.path)!r})
except ReadModelsError as e:
    print("said:", e)
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "said:" in done.stdout, done.stderr
    assert cache_reads(live) == before
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != largest


def test_after_a_full_disk_the_replay_goes_on_where_it_was(
    store: Store, live: LiveReadModels, operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached: list[int] = []

    def full(_count: int, position: int) -> None:
        reached.append(position)
        if len(reached) == 2:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        build(store, live.path, batch_events=3_000, progress=full)
    begun: list[tuple[int, int, int]] = []
    built = build(store, live.path, begun=lambda *said: begun.append(said))
    assert begun == [(2, 6_000, 9_000)]
    assert operations.compare(built.number).tables


def test_a_generation_of_a_newer_version_is_refused(
    store: Store, live: LiveReadModels, operations: Operations
) -> None:
    built = build(store, live.path)
    with duckdb.connect(str(live.generations.file(built.number))) as db:
        db.execute("UPDATE generation SET layout = ?", [LAYOUT + 1])
    before = cache_reads(live)
    for act in (operations.switch, operations.compare):
        with pytest.raises(ReadModelsError, match=r"expected layout \d or older, found \d"):
            act(built.number)
    assert cache_reads(live) == before
    assert live.generation.about.number == 1


def test_nothing_is_counted_twice_where_a_checkpoint_was_set_back(
    store: Store, live: LiveReadModels, operations: Operations
) -> None:
    built = build(store, live.path)
    file = live.generations.file(built.number)
    set_back(file)
    refused = file.read_bytes()
    for act in (operations.switch, operations.compare):
        with pytest.raises(ReadModelsDamaged, match="to the checkpoint 6000, found some of 9000"):
            act(built.number)
    assert file.read_bytes() == refused
    again = build(store, live.path)
    assert again.number == built.number, "what cannot be gone on with is built anew"
    assert again.rows == built.rows
    assert operations.compare(again.number).tables


def test_a_file_that_is_no_generation_is_refused(
    store: Store, live: LiveReadModels, operations: Operations
) -> None:
    built = build(store, live.path)
    live.generations.file(built.number).write_bytes(b"not a database" * 1000)
    before = cache_reads(live)
    with pytest.raises(ReadModelsError, match="not a valid DuckDB"):
        operations.switch(built.number)
    assert cache_reads(live) == before


@pytest.fixture
def operating(
    url: str, read_models: Path, projected_log: dict[str, Path], fix
) -> AbstractAsyncContextManager[Operator]:
    """An operator, whose ledger is not open yet, whose read models were made by the SQL that is on disk."""
    fix()
    shutil.copyfile(projected_log["right"], read_models)
    return Operator.open(url, read_models)


def lose_the_checkpoint(file: Path) -> None:
    with duckdb.connect(str(file)) as db:
        db.execute("DELETE FROM generation")


def set_back(file: Path) -> None:
    with duckdb.connect(str(file)) as db:
        db.execute("UPDATE generation SET position = 6000")


def set_forward(file: Path) -> None:
    with duckdb.connect(str(file)) as db:
        db.execute("UPDATE generation SET position = 9001")


def overwrite(file: Path) -> None:
    file.write_bytes(b"not a database" * 1000)


def cut_off(file: Path) -> None:
    os.truncate(file, file.stat().st_size // 2)


@pytest.mark.parametrize("damage", [lose_the_checkpoint, set_back, set_forward, overwrite, cut_off])
def test_a_live_file_that_cannot_be_used_is_replaced_when_it_is_said(
    operating: AbstractAsyncContextManager[Operator],
    url: str,
    read_models: Path,
    damage: Callable[[Path], None],
) -> None:
    async def hold() -> None:
        # The manifest that this writes tells that the file is the ledger's, whatever is in it.
        async with RunLedger.open(url, read_models):
            pass

    asyncio.run(hold())
    damage(read_models)
    damaged = read_models.read_bytes()

    async def operate() -> None:
        async with operating as operator:
            with pytest.raises(ReadModelsDamaged, match="replay --switch"):
                await operator.verify()
            dry = await operator.replay()
            assert (dry.comparison, dry.live, dry.exceeded) == (None, None, [])
            assert str(read_models) in dry.not_compared
            guarded = await operator.replay(switch=True, max_changed="1%")
            assert guarded.live is None
            assert guarded.exceeded == ["nothing was compared, so nothing is within the thresholds"]
            assert read_models.read_bytes() == damaged
            done = await operator.replay(switch=True)
            assert done.live.number == dry.built.number
            assert (await operator.verify()).clean
            assert [(g.number, g.state) for g in await operator.generations()] == [(2, "live")]

    asyncio.run(operate())
    assert read_models.with_name("runs.duckdb.damaged").read_bytes() == damaged


def test_live_read_models_that_cannot_go_on_are_switched_away_from(
    store: Store, read_models: Path, tmp_path: Path, fix
) -> None:
    change(tmp_path / "wrong" / "agents" / "apply.sql", "FROM agent_registered", "FROM nowhere")
    Generation(read_models).close()
    fix()
    live = LiveReadModels(store, read_models)
    operations = Operations(store, live)
    with pytest.raises(ProjectionFailed, match=r"agents/apply\.sql"):
        live.catch_up()
    desk = nullcontext(operations)
    dry = replay(lambda: desk, store, read_models)
    assert "agents/apply.sql" in dry.not_compared
    assert live.generation.about.number == 1
    done = replay(lambda: desk, store, read_models, Plan(switch=True))
    assert done.live.number == dry.built.number
    assert operations.verify().clean
    live.close()


def test_a_report_that_cannot_be_written_is_said_before_anything_is_built(
    store: Store, live: LiveReadModels, operations: Operations, tmp_path: Path
) -> None:
    desk = nullcontext(operations)
    plan = Plan(out=tmp_path / "nowhere" / "diff.parquet")
    with pytest.raises(InvalidArgument, match="expected a file in a folder that is there"):
        replay(lambda: desk, store, live.path, plan)
    assert [entry.number for entry in live.generations.entries()] == [1]
    built = build(store, live.path)
    with pytest.raises(InvalidArgument, match="nowhere"):
        operations.compare(built.number, out=plan.out)


def test_a_generation_that_is_not_there_is_not_found(
    live: LiveReadModels, operations: Operations
) -> None:
    for act in (operations.switch, operations.compare, live.generations.drop):
        with pytest.raises(NotFound, match="generation with id 7 not found: there are 1"):
            act(7)


def test_the_live_generation_is_neither_switched_to_nor_dropped(
    live: LiveReadModels, operations: Operations
) -> None:
    with pytest.raises(ReadModelsError, match="it is the live one already"):
        operations.switch(1)
    with pytest.raises(ReadModelsError, match="expected one that is not live"):
        live.generations.drop(1)


def test_one_that_is_not_complete_is_not_switched_to(
    store: Store, live: LiveReadModels, operations: Operations
) -> None:
    def stop(_count: int, _position: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(store, live.path, batch_events=1_000, progress=stop)
    with pytest.raises(ReadModelsError, match="found one that is being built"):
        operations.switch(2)


def test_writes_that_are_not_in_the_file_yet_forbid_a_switch(
    store: Store, live: LiveReadModels, operations: Operations, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build(store, live.path)
    exchange = Generations.exchange

    def with_a_log(self: Generations, before: int, number: int) -> None:
        log = self.path.with_name(f"{self.path.name}.wal")
        log.write_bytes(b"")
        try:
            exchange(self, before, number)
        finally:
            log.unlink()

    monkeypatch.setattr(Generations, "exchange", with_a_log)
    before = cache_reads(live)
    with pytest.raises(ReadModelsError, match="nothing was switched"):
        operations.switch(built.number)
    assert cache_reads(live) == before
    assert live.generation.about.number == 1


def test_a_generation_of_another_log_is_refused(
    live: LiveReadModels, operations: Operations, store: Store
) -> None:
    built = build(store, live.path)
    other = Generation(live.generations.file(built.number))
    with other.transaction():
        other.advance(40_000)
    other.close()
    with pytest.raises(
        ReadModelsError, match="expected a checkpoint that a batch ended at, found 40000"
    ):
        operations.compare(built.number)
    with pytest.raises(ReadModelsError, match="found 40000"):
        operations.switch(built.number)


def test_a_damaged_manifest_is_named_and_can_be_dropped(store: Store, live: LiveReadModels) -> None:
    built = build(store, live.path)
    manifest = live.generations.file(built.number).with_suffix(".json")
    manifest.write_text('{"number": 2}')
    with pytest.raises(ReadModelsError, match=r"000002\.json.*position: Field required"):
        live.generations.entries()
    live.generations.drop(built.number)
    assert [entry.number for entry in live.generations.entries()] == [1]


def test_nobody_serves_requests(store: Store, live: LiveReadModels) -> None:
    with pytest.raises(ReadModelsLocked, match="does not serve requests"):
        request(live.path, "switch", patience=0.2, number=2)


def test_a_copied_live_file_gets_a_number_of_its_own(store: Store, read_models: Path, fix) -> None:
    fix()
    open_live(store, read_models).close()
    generations = Generations(read_models)
    generations.file(1).write_bytes(read_models.read_bytes())
    live = open_live(store, read_models)
    assert live.generation.about.number == 2
    live.close()
    assert {entry.number: entry.state for entry in generations.entries()} == {1: "kept", 2: "live"}
